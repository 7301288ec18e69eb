"""Tokens: ours for the Bot Connector, and the check of those that Teams' calls bring.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from assistant.contracts.channels import SendLater
from channels.kit.http import Answered, PlatformHttp, value_at
from channels.kit.jwt_keys import SigningKeys
from channels.msteams.settings import TeamsSettings

_SCOPE: Final = "https://api.botframework.com/.default"
_EARLY: Final = 300.0
_CHANNEL: Final = "msteams"


class BotToken:
    """Our token, renewed five minutes before it ends."""

    def __init__(self, http: PlatformHttp, settings: TeamsSettings) -> None:
        self._http = http
        self._settings = settings
        self._token = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def headers(self) -> Mapping[str, str]:
        """Raises PlatformError; SendLater for credentials that are not accepted."""
        async with self._lock:
            if time.monotonic() >= self._until:
                await self._renew()
        return {"Authorization": f"Bearer {self._token}"}

    def drop(self) -> None:
        """It is not accepted any more."""
        self._until = 0.0

    async def _renew(self) -> None:
        tenant = self._settings.tenant_id or "botframework.com"
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.app_id,
            "client_secret": self._settings.secret,
            "scope": _SCOPE,
        }
        try:
            answer = await self._http.json("POST", f"{self._settings.login_url.rstrip('/')}/{tenant}/oauth2/v2.0/token", form=form)
        except Answered as error:
            if error.status not in (400, 401):
                raise
            words = f"Microsoft does not accept channels.msteams.appId and appPassword: {error.words}"
            raise SendLater("unauthorized", words, retry_after=300, counts=False, whole_channel=True) from error
        token, seconds = value_at(answer, "access_token"), value_at(answer, "expires_in")
        self._token = str(token)
        self._until = time.monotonic() + max(float(seconds) if isinstance(seconds, int) else 3600.0, 2 * _EARLY) - _EARLY


class CallerCheck:
    """Whether a call is Teams' own, for this bot."""

    def __init__(self, http: PlatformHttp, settings: TeamsSettings) -> None:
        self._http = http
        self._settings = settings
        self._keys = SigningKeys(self._fetch)

    async def is_genuine(self, authorization: str, activity: Mapping[str, Any]) -> bool:
        """The token is signed by a key that is endorsed for Teams, was issued for this bot, and names the service that it came from; and the activity
        is of Teams: the visitors of the bot's web chat choose their ids themselves. Raises PlatformError where the keys are unavailable."""
        if activity.get("channelId") != _CHANNEL:
            return False
        found = await self._keys.claims(authorization, audience=self._settings.app_id, issuer=self._settings.issuer)
        if found is None:
            return False
        claims, key = found
        endorsed = key.about.get("endorsements") or ()
        service = claims.get("serviceurl", claims.get("serviceUrl"))
        return isinstance(service, str) and service == activity.get("serviceUrl") and (not endorsed or _CHANNEL in endorsed)

    async def _fetch(self) -> Any:
        about = await self._http.json("GET", self._settings.openid_url)
        return await self._http.json("GET", str(value_at(about, "jwks_uri")))

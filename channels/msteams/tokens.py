"""Tokens: ours for the Bot Connector, and the check of those that Teams' calls bring.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication
"""

from typing import Any, Final

from channels.kit.http import PlatformHttp, Unanswered
from channels.kit.jwt_keys import SigningKeys
from channels.kit.renewed import RenewedToken
from channels.kit.values import list_at, number_at, text_at
from channels.msteams.settings import TeamsSettings

PLATFORM: Final = "Microsoft Teams"
_SCOPE: Final = "https://api.botframework.com/.default"
_CHANNEL: Final = "msteams"


def bot_token(http: PlatformHttp, settings: TeamsSettings) -> RenewedToken:
    """Ours."""
    url = f"{settings.login_url.rstrip('/')}/{settings.tenant_id or 'botframework.com'}/oauth2/v2.0/token"
    form = {"grant_type": "client_credentials", "client_id": settings.app_id, "client_secret": settings.secret, "scope": _SCOPE}

    async def ask() -> tuple[str, float]:
        answer = await http.json("POST", url, form=form)
        return text_at(answer, "access_token"), number_at(answer, "expires_in")

    return RenewedToken(ask, platform=PLATFORM, setting="channels.msteams.appId and appPassword")


class CallerCheck:
    """Whether a call is Teams' own, for this bot."""

    def __init__(self, http: PlatformHttp, settings: TeamsSettings) -> None:
        self._http = http
        self._settings = settings
        self._keys = SigningKeys(self._fetch)

    async def is_genuine(self, authorization: str, activity: Any) -> bool:
        """The token is signed by a key that is endorsed for Teams, was issued for this bot, and names the service that it came from; and the activity
        is of Teams: the visitors of the bot's web chat choose their ids themselves. Raises PlatformError where the keys are unavailable."""
        if text_at(activity, "channelId") != _CHANNEL:
            return False
        found = await self._keys.claims(authorization, audience=self._settings.app_id, issuer=self._settings.issuer)
        if found is None:
            return False
        claims, key = found
        endorsed = list_at(key.about, "endorsements")
        service = text_at(claims, "serviceurl") or text_at(claims, "serviceUrl")
        return bool(service) and service == text_at(activity, "serviceUrl") and (not endorsed or _CHANNEL in endorsed)

    async def _fetch(self) -> Any:
        if url := text_at(await self._http.json("GET", self._settings.openid_url), "jwks_uri"):
            return await self._http.json("GET", url)
        raise Unanswered("the answer does not say where the keys are")

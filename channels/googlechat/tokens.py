"""Tokens: ours for the API, and the check of those that Chat's calls bring.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
https://developers.google.com/workspace/chat/verify-requests-from-chat
"""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from assistant.contracts.channels import SendLater
from channels.googlechat.settings import GoogleChatSettings
from channels.kit.http import PlatformHttp
from channels.kit.jwt_keys import SigningKeys
from channels.kit.renewed import RenewedToken
from channels.kit.values import number_at, text_at

PLATFORM: Final = "Google Chat"
SETTING: Final = "channels.googlechat.serviceAccount"
_SCOPE: Final = "https://www.googleapis.com/auth/chat.bot"
_CHAT: Final = "chat@system.gserviceaccount.com"


def _unusable(words: str) -> SendLater:
    return SendLater("unauthorized", words, retry_after=300, counts=False, whole_channel=True)


class AppToken(RenewedToken):
    """Ours, by the key of the service account."""

    account = ""
    """The service account's address, when the first token is there."""

    def __init__(self, http: PlatformHttp, settings: GoogleChatSettings) -> None:
        super().__init__(self._asked, platform=PLATFORM, setting=SETTING)
        self._http = http
        self._secret = settings.secret

    async def _asked(self) -> tuple[str, float]:
        key = await asyncio.to_thread(_read_key, self._secret)
        account, place, now = text_at(key, "client_email"), text_at(key, "token_uri"), int(time.time())
        claims = {"iss": account, "scope": _SCOPE, "aud": place, "iat": now, "exp": now + 3600}
        try:
            assertion = jwt.encode(claims, text_at(key, "private_key"), algorithm="RS256", headers={"kid": text_at(key, "private_key_id")})
        except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
            raise _unusable(f"{SETTING} is no key of a service account: its private_key can't be read.") from None
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        answer = await self._http.json("POST", place, form=form)
        self.account = account
        return text_at(answer, "access_token"), number_at(answer, "expires_in")


def _read_key(secret: str) -> Any:
    """Raises SendLater."""
    try:
        found = json.loads(secret if secret.startswith("{") else Path(secret).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise _unusable(f"{SETTING} is a file that can't be read ({error.strerror}).") from None
    except ValueError:
        raise _unusable(f"{SETTING} is no JSON key of a service account.") from None
    if not all(text_at(found, name) for name in ("client_email", "private_key", "token_uri")):
        raise _unusable(f"{SETTING} is no key of a service account: it lacks client_email, private_key or token_uri.")
    return found


class CallCheck:
    """Whether a call is Chat's own, for this app. The audience decides how it is signed: for a project by Chat, for a URL by Google's accounts."""

    def __init__(self, http: PlatformHttp, settings: GoogleChatSettings) -> None:
        self._audience = settings.audience
        self._by_chat = settings.audience.isdigit()
        path = f"/service_accounts/v1/jwk/{_CHAT}" if self._by_chat else "/oauth2/v3/certs"
        url = settings.keys_url.rstrip("/") + path
        self._keys = SigningKeys(lambda: http.json("GET", url))

    async def is_genuine(self, authorization: str) -> bool:
        """Raises PlatformError where the keys are unavailable."""
        issuer = _CHAT if self._by_chat else "https://accounts.google.com"
        found = await self._keys.claims(authorization, audience=self._audience, issuer=issuer)
        if found is None or self._by_chat:
            return found is not None
        return found[0].get("email") == _CHAT and found[0].get("email_verified") is True

"""The client-server API as the assistant's account. https://spec.matrix.org/latest/client-server-api/"""

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

import orjson

from assistant.contracts.channels import ChannelContext, ChannelFailed, SendFailed, SendLater, SendRefused
from assistant.contracts.records import record
from assistant.contracts.redaction import Redactor
from channels.kit.http import Answered, PlatformError, PlatformHttp, Unanswered
from channels.kit.refusals import channel_failure, send_failure
from channels.kit.values import number_at, text_at
from channels.matrix.settings import MatrixSettings

PLATFORM: Final = "Matrix"
_CLIENT: Final = "/_matrix/client/v3"
_LOGIN: Final = "login"
"""The note of a login: the account, the device, its access token."""
_KEY_ERRORS: Final = frozenset({"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED", "M_USER_LOCKED"})
_ACCOUNT_LATER: Final = frozenset({"M_CONSENT_NOT_GIVEN", "M_RESOURCE_LIMIT_EXCEEDED", "M_USER_SUSPENDED"})
"""The account can't write until a person has done something about it."""


def path_of(*steps: str) -> str:
    """A path under the client API; each step is quoted whole."""
    return "/".join([_CLIENT, *[quote(step, safe="") for step in steps]])


def told(answer: Any, name: str) -> str:
    """A text that an answer has to have. Raises Unanswered."""
    if found := text_at(answer, name):
        return found
    raise Unanswered(f"the answer has no {name}")


def errcode(error: PlatformError) -> str:
    """Matrix's code of a refusal; empty: there is none."""
    return text_at(error.body, "errcode") if isinstance(error, Answered) else ""


def wait_of(error: PlatformError) -> float | None:
    """The seconds to wait, of the header or of `retry_after_ms`, which servers before Matrix 1.10 send instead."""
    if not isinstance(error, Answered):
        return None
    asked = number_at(error.body, "retry_after_ms")
    return error.retry_after if error.retry_after is not None or not asked else min(asked / 1000, 86_400.0)


@record
class Login:
    """Who the access token is for."""

    user_id: str
    device_id: str
    token: str


class MatrixApi:
    """Requests with the account's access token; where that has ended and there is a password, a new login to the same device is made."""

    def __init__(self, settings: MatrixSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._notes = context.notes
        self._password = settings.password.get_secret_value() if settings.password else ""
        given = settings.access_token.get_secret_value() if settings.access_token else ""
        self._given = given.strip()
        self.http = PlatformHttp(
            "matrix", version=context.version, proxy=settings.proxy, secrets=[self._given, self._password], base=settings.homeserver
        )
        self._login: Login | None = None
        self._lock = asyncio.Lock()

    @property
    def setting(self) -> str:
        """What the configuration holds of the login."""
        return "channels.matrix.accessToken" if self._given else "the login of channels.matrix.userId"

    async def login(self) -> Login:
        """The login, made or looked up at the first call. Raises PlatformError, StoreUnavailable."""
        async with self._lock:
            if self._login is None:
                self._login = await self._known() if self._given else await self._kept() or await self._log_in(self._settings.device_id)
            return self._login

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """The JSON of an answer. `more`: of `PlatformHttp.call`. Raises PlatformError."""
        login = await self.login()
        try:
            return await self.http.json(method, path, headers=_bearer(login), **more)
        except Answered as error:
            if errcode(error) != "M_UNKNOWN_TOKEN" or self._given:
                raise
        return await self.http.json(method, path, headers=_bearer(await self._again(login)), **more)

    async def upload(self, content: bytes, name: str, media_type: str) -> str:
        """Returns the mxc address. Raises PlatformError."""
        headers = {**_bearer(await self.login()), "Content-Type": media_type}
        params = {"filename": name}
        answer = await self.http.json("POST", "/_matrix/media/v3/upload", data=content, params=params, headers=headers, seconds=50.0)
        return told(answer, "content_uri")

    async def authorization(self) -> Mapping[str, str]:
        return _bearer(await self.login())

    def failure(self, error: PlatformError) -> SendFailed:
        """What an error means for a send."""
        code, words = errcode(error), error.words if isinstance(error, Answered) else ""
        if code == "M_LIMIT_EXCEEDED":
            wait = wait_of(error)
            return SendLater("flood_wait", f"{PLATFORM} asks to wait{f' {wait:g} s' if wait else ''}.", retry_after=wait, counts=False)
        if code in _KEY_ERRORS or self._not_let_in(code):
            said = f"{PLATFORM} does not accept {self.setting}: {words}."
            return SendLater("unauthorized", said, retry_after=300.0, counts=False, whole_channel=True)
        if code in _ACCOUNT_LATER:
            return SendLater("account", f"The account can't write now: {words}.", retry_after=600.0, counts=False, whole_channel=True)
        if code == "M_FORBIDDEN":
            return SendRefused("forbidden", f"The account may not write in this room: {words}.")
        if code == "M_NOT_FOUND":
            return SendRefused("not_found", f"There is no such room: {words}.")
        return send_failure(error, PLATFORM, setting=self.setting)

    @contextmanager
    def connecting(self) -> Generator[None]:
        """What fails in it is an error of the connection."""
        try:
            yield
        except PlatformError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: PlatformError) -> ChannelFailed:
        if errcode(error) in _KEY_ERRORS or self._not_let_in(errcode(error)):
            return ChannelFailed(f"{PLATFORM} does not accept {self.setting}: {error}.", fatal=True)
        if errcode(error) == "M_LIMIT_EXCEEDED":
            return ChannelFailed(f"{PLATFORM} asks to wait {wait_of(error) or 0:g} s.")
        return channel_failure(error, PLATFORM, setting=self.setting)

    def _not_let_in(self, code: str) -> bool:
        """Whether this refuses a password."""
        return code == "M_FORBIDDEN" and self._login is None and not self._given

    async def _known(self) -> Login:
        """https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3accountwhoami"""
        answer = await self.http.json("GET", path_of("account", "whoami"), headers={"Authorization": f"Bearer {self._given}"})
        return Login(user_id=told(answer, "user_id"), device_id=text_at(answer, "device_id"), token=self._given)

    async def _kept(self) -> Login | None:
        """The login that was made before, for the same account and server."""
        kept = await self._notes.get(_LOGIN)
        found: Any = orjson.loads(kept) if kept else None
        if found is None or found["homeserver"] != self._settings.homeserver or found["user"] != self._settings.user_id:
            return None
        return self._secret(Login(user_id=found["id"], device_id=found["device"], token=found["token"]))

    async def _log_in(self, device_id: str | None) -> Login:
        """https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3login"""
        wanted = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self._settings.user_id},
            "password": self._password,
            "initial_device_display_name": "nanobot",
        }
        answer = await self.http.json("POST", path_of("login"), json=wanted | ({"device_id": device_id} if device_id else {}))
        user, device, token = (told(answer, name) for name in ("user_id", "device_id", "access_token"))
        kept = {"homeserver": self._settings.homeserver, "user": self._settings.user_id, "id": user, "device": device, "token": token}
        await self._notes.keep(_LOGIN, orjson.dumps(kept).decode())
        return self._secret(Login(user_id=user, device_id=device, token=token))

    async def _again(self, ended: Login) -> Login:
        """A new login to the device of one that has ended, or the one that was made in the meantime."""
        async with self._lock:
            if self._login is ended:
                kept = await self._kept()
                self._login = kept if kept is not None and kept.token != ended.token else await self._log_in(ended.device_id)
            assert self._login is not None
            return self._login

    def _secret(self, login: Login) -> Login:
        self.http.redact = Redactor([self._given, self._password, login.token])
        return login


def _bearer(login: Login) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {login.token}"}

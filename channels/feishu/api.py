"""Calls of the open platform with the app's token, and what its errors mean. https://open.feishu.cn/document/server-docs/api-call-guide"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from assistant.contracts.channels import SendFailed, SendLater, SendRefused
from channels.feishu.settings import FeishuSettings
from channels.kit.answers import seconds_until
from channels.kit.http import Answered, PlatformError, PlatformHttp, Unanswered
from channels.kit.refusals import send_failure
from channels.kit.renewed import RenewedToken
from channels.kit.values import number_at, text_at, value_at

PLATFORM: Final = "Feishu"
_SETTING: Final = "channels.feishu.appSecret"
_TOKEN: Final = frozenset({"99991661", "99991663", "99991664", "99991668", "99991671"})
_LIMIT: Final = frozenset({"99991400", "230020", "11232", "11233", "11247"})
_NOT_NOW: Final = frozenset({"230049"})
_REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "230002": ("not_a_member", "the bot is not in this chat: add it there"),
    "230006": ("forbidden", "the app has no bot: switch it on and publish a version"),
    "230013": ("forbidden", "this person is outside of the app's availability, or has left"),
    "230018": ("forbidden", "the group's settings don't let the bot write"),
    "230022": ("content_refused", "its content is held to be sensitive"),
    "230025": ("too_large", "the message is too large"),
    "230027": ("forbidden", "the app lacks a permission (im:message:send_as_bot, im:resource)"),
    "230028": ("content_refused", "its content does not pass the organisation's audit"),
    "230034": ("chat_not_found", "there is no such chat"),
    "230035": ("blocked", "the receiver has blocked the bot, or the chat is muted"),
    "230038": ("forbidden", "people of other organisations can't be written to"),
    "230075": ("forbidden", "bots can't write in encrypted chats"),
    "232009": ("chat_not_found", "the group was dissolved"),
    "234006": ("too_large", "the file is too large"),
    "99991672": ("forbidden", "the app lacks a permission for this"),
}
"""https://open.feishu.cn/document/server-docs/im-v1/message/create, …/message/reply, …/file/create"""


class FeishuApi:
    def __init__(self, http: PlatformHttp, settings: FeishuSettings) -> None:
        self._http = http
        self._settings = settings
        self.token = RenewedToken(self._asked, platform=PLATFORM, setting="channels.feishu.appId and appSecret")
        """The platform gives a new one in its last 30 minutes."""

    async def call(self, method: str, path: str, *, form: Callable[[], Any] | None = None, **more: Any) -> Any:
        """`data` of the answer. Raises PlatformError, with the platform's code, and SendLater. `form`: makes one, which can be sent once. `more`: of
        `PlatformHttp.json`."""

        async def once(headers: Mapping[str, str]) -> Any:
            return await self._once(method, path, headers=headers, form=form() if form else None, **more)

        return await self.token.used(once, ended=lambda error: error.code in _TOKEN)

    async def bot(self) -> tuple[str, str]:
        """(the bot's open id, its name)."""
        answer = await self._once("GET", "/open-apis/bot/v3/info", headers=await self.token.headers(), whole=True)
        return text_at(answer, "bot", "open_id"), text_at(answer, "bot", "app_name")

    def failure(self, error: PlatformError) -> SendFailed:
        if not isinstance(error, Answered):
            return send_failure(error, PLATFORM, setting=_SETTING)
        if error.code in _LIMIT or error.status == 429:
            wait = error.retry_after or seconds_until(error.headers.get("x-ogw-ratelimit-reset"), datetime.now(UTC)) or 1.0
            return SendLater("flood_wait", f"{PLATFORM} asks to wait {wait:g} s.", retry_after=wait, counts=False)
        if error.code in _TOKEN:
            words = f"{PLATFORM} does not accept the token that {_SETTING} gave."
            return SendLater("unauthorized", words, retry_after=300.0, counts=False, whole_channel=True)
        if error.code in _NOT_NOW:
            return SendLater("not_now", f"{PLATFORM} is still sending an earlier try.", counts=False)
        if error.code in _REFUSED:
            code, words = _REFUSED[error.code]
            return SendRefused(code, f"{PLATFORM} refused it: {words} ({error.code}).")
        if error.status < 500 and "receive_id" in error.words:
            return SendRefused("chat_not_found", f"{PLATFORM} refused it: there is no such chat ({error.code}).")
        if 0 < error.status < 500 and error.code:
            return SendRefused(error.code, f"{PLATFORM} refused it with code {error.code}.")
        return send_failure(error, PLATFORM, setting=_SETTING)

    async def _asked(self) -> tuple[str, float]:
        body = {"app_id": self._settings.app_id, "app_secret": self._settings.secrets[0]}
        try:
            answer = await self._once("POST", "/open-apis/auth/v3/tenant_access_token/internal", json=body, whole=True)
        except Answered as error:
            raise (Answered(429, error.words, retry_after=error.retry_after) if error.code in _LIMIT else error) from None
        return text_at(answer, "tenant_access_token"), number_at(answer, "expire")

    async def _once(self, method: str, path: str, *, whole: bool = False, **more: Any) -> Any:
        try:
            answered = await self._http.call(method, path, **more)
        except Answered as error:
            code = error.at("code")
            error.code = str(code) if isinstance(code, int) and code else ""
            raise
        answer = answered.json()
        code = value_at(answer, "code")
        if not isinstance(code, int):
            raise Unanswered("the answer has no code")
        if code:
            raise Answered(
                400, self._http.redact(text_at(answer, "msg") or f"code {code}"), code=str(code), body=answer, headers=answered.headers
            )
        return answer if whole else value_at(answer, "data")

"""Slack's Web API, and what its answers mean. https://docs.slack.dev/apis/web-api/

Every answer is a 200 with `ok`, but for rate limits (429) and failures of the server.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import orjson

from assistant.contracts.channels import ChannelContext, ChannelFailed, SendFailed, SendLater, SendRefused, SendUnclear
from assistant.contracts.records import record
from channels.kit.forms import ANY_BUT_KIND, Blame, Piece
from channels.kit.http import Answered, PlatformError, PlatformHttp, Unanswered
from channels.kit.names import KnownNames
from channels.kit.refusals import before_post, channel_failure, connecting, send_failure
from channels.kit.values import Latest, text_at, value_at
from channels.slack.settings import SlackSettings

PLATFORM: Final = "Slack"
_CODE: Final = re.compile(r"[a-z0-9_]{1,80}")
_SETTING: Final = "channels.slack.botToken"
MEMBER: Final = re.compile(r"[UWB][A-Z0-9]{1,30}")
KEY_CODES: Final = frozenset(
    re.findall(r"\w+", "not_authed invalid_auth account_inactive token_revoked token_expired not_allowed_token_type no_permission")
)
"""The token is not accepted: https://docs.slack.dev/reference/methods/auth.test/#errors"""
_NOT_NOW: Final = frozenset(["request_timeout", "service_unavailable", "team_added_to_org", "org_login_required", "ekm_access_denied"])
_MAY_HAVE_ARRIVED: Final = frozenset({"fatal_error", "internal_error"})
""""It's possible some aspect of the operation succeeded before the error was raised." (all methods)"""
GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "is_inactive"})
_ABOUT: Final[tuple[tuple[re.Pattern[str], tuple[Piece, ...]], ...]] = (
    (
        re.compile(r"thread_not_found|cannot_reply_to_message|invalid_thread_ts|restricted_action_(thread_locked|non_threadable_channel)"),
        ("thread",),
    ),
    (re.compile(r"file_\w+|storage_limit_reached|blocked_file_type|posting_to_channel_denied"), ("album", "files")),
    (re.compile(r"invalid_blocks\w*|msg_blocks_too_long"), ("buttons",)),
    (re.compile(r"invalid_arg\w*"), ANY_BUT_KIND),
)
"""What a refusal is about, by its code."""
_REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "channel_not_found": ("chat_not_found", "There is no such chat, or the bot is not in it."),
    "invalid_channel": ("chat_not_found", "There is no such chat, or the bot is not in it."),
    "user_not_found": ("chat_not_found", "There is no such member."),
    "users_not_found": ("chat_not_found", "There is no such member."),
    "not_in_channel": ("not_in_chat", "The bot is not in that channel: invite it there (/invite)."),
    "is_archived": ("chat_archived", "The channel is archived."),
    "user_disabled": ("blocked", "That member's account is deactivated."),
    "cannot_dm_bot": ("blocked", "Slack lets no bot write to that one."),
    "messages_tab_disabled": ("blocked", 'The app takes no direct messages: switch on "Messages Tab" under "App Home".'),
    "msg_too_long": ("too_long", "The message is too long."),
    "restricted_action": ("forbidden", "A rule of the workspace does not let the bot write there."),
    "restricted_action_read_only_channel": ("forbidden", "The channel is read-only."),
    "restricted_action_thread_only_channel": ("forbidden", "That channel takes messages in threads only."),
}
"""By https://docs.slack.dev/reference/methods/chat.postMessage/#errors"""


@record
class Me:
    """The bot, by auth.test."""

    user_id: str
    bot_id: str
    name: str
    detail: str


class SlackApi:
    """Calls with the bot's token. Every failure is a PlatformError, with Slack's own code where it answered."""

    def __init__(self, settings: SlackSettings, context: ChannelContext) -> None:
        self._bot, self._app, signing = settings.secrets
        secrets = [self._app, signing]
        self.http = PlatformHttp(
            "slack", version=context.version, proxy=settings.proxy, bearer=self._bot, secrets=secrets, base=settings.api_base
        )
        self.names = KnownNames(self._name)
        self._opened = Latest[str]()

    async def call(
        self, method: str, more: Mapping[str, object] | None = None, *, seconds: float | None = None, app: bool = False, **arguments: object
    ) -> Any:
        """The answer's JSON. `more`: further arguments; those that are None are left out. `app`: with the app's token. Raises PlatformError."""
        headers = {"Authorization": f"Bearer {self._app}"} if app else None
        arguments |= more or {}
        given = {name: value for name, value in arguments.items() if value is not None}
        form = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in given.items()}
        answer = await self.http.json("POST", f"/{method}", form=form, seconds=seconds, headers=headers)
        if value_at(answer, "ok") is True:
            return answer
        code = value_at(answer, "error")
        if not isinstance(code, str):
            raise Unanswered("the answer is not one of Slack's")
        code = code if _CODE.fullmatch(code) else "unknown_error"
        needed = value_at(answer, "needed")
        scope = f" ({needed})" if code == "missing_scope" and isinstance(needed, str) and re.fullmatch(r"[a-z:,._]{1,100}", needed) else ""
        raise Answered(200, code + scope, code=code, body=answer)

    async def me(self) -> Me:
        """Raises ChannelFailed."""
        with connecting(failure=partial(connection_failure, setting=_SETTING)):
            found = await self.call("auth.test")
        user, bot = text_at(found, "user_id"), text_at(found, "bot_id")
        if not MEMBER.fullmatch(user):
            raise ChannelFailed(f"{PLATFORM} does not tell which account the token is of.")
        name = text_at(found, "user")
        return Me(user_id=user, bot_id=bot, name=name, detail=f"@{name} ({user}) in {text_at(found, 'team')}")

    async def socket_url(self) -> str:
        """A URL of Socket Mode, good for one connection soon. Raises ChannelFailed."""
        with connecting(failure=partial(connection_failure, setting="channels.slack.appToken")):
            return text_at(await self.call("apps.connections.open", app=True), "url")

    async def _name(self, id: str) -> str:
        try:
            user = value_at(await self.call("users.info", user=id), "user")
        except Answered as error:
            if error.code not in ("user_not_found", "user_not_visible"):
                raise
            return ""
        names = (text_at(user, "profile", "display_name"), text_at(user, "real_name"), text_at(user, "name"))
        return next(filter(str.strip, names), "")

    async def chat_of(self, chat_id: str) -> str:
        """The id of a conversation; of a member's direct messages for a member's id. Raises PlatformError, SendLater."""
        if not chat_id.startswith(("U", "W")):
            return self._opened.get(chat_id) or chat_id
        with before_post(PLATFORM):
            return await self._opened.or_ask(chat_id, self._open)

    async def _open(self, member: str) -> str:
        if not (chat := text_at(await self.call("conversations.open", users=member), "channel", "id")):
            raise Unanswered("the answer has no conversation")
        return chat

    def renamed(self, chat_id: str, now: str) -> None:
        """A channel has another id: what is on its way to the old one goes there."""
        self._opened.put(chat_id, now)


def connection_failure(error: PlatformError, setting: str) -> ChannelFailed:
    if isinstance(error, Answered) and error.code in KEY_CODES | {"missing_scope"}:
        return ChannelFailed(f"{PLATFORM} does not accept {setting}: {error.words}.", fatal=True)
    return channel_failure(error, PLATFORM, setting=setting)


def failure_of(error: PlatformError) -> SendFailed:
    """See `channels.kit.sender.Posting.failure`."""
    if not isinstance(error, Answered):
        return send_failure(error, PLATFORM, setting=_SETTING)
    if error.code in KEY_CODES:
        return send_failure(Answered(401, error.words), PLATFORM, setting=_SETTING)
    if error.code in ("ratelimited", "rate_limited"):
        return send_failure(Answered(429, error.words, retry_after=error.retry_after or 30.0), PLATFORM)
    if error.code in _NOT_NOW:
        return SendLater("not_now", f"{PLATFORM} did not take it now: {error.words}.")
    if error.code in _MAY_HAVE_ARRIVED or (error.status >= 500 and error.status != 503):
        return SendUnclear("server_error", f"{PLATFORM} failed ({error.words}); the message may have arrived.")
    if error.code in _REFUSED:
        code, words = _REFUSED[error.code]
        return SendRefused(code, f"{words} ({PLATFORM}: {error.code})")
    if error.code:
        return SendRefused(error.code, f"{PLATFORM} refused it: {error.words}.")
    return send_failure(error, PLATFORM, setting=_SETTING)


def blame_of(error: PlatformError) -> Blame | None:
    """See `channels.kit.forms.in_some_form`."""
    if not isinstance(error, Answered) or not error.code:
        return None
    words = f"{PLATFORM}: {error.words}"
    if error.code == "missing_scope" and "files:write" in error.words:
        return ("files",), words
    return next(((pieces, words) for codes, pieces in _ABOUT if codes.fullmatch(error.code)), None)

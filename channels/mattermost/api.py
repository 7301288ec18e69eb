"""Mattermost's REST API, and what its answers mean. https://developers.mattermost.com/api-documentation/"""

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, cast

from assistant.contracts.channels import ChannelContext, ChannelFailed, SendFailed, SendRefused, SendUnclear
from assistant.contracts.util import no_address
from channels.kit.forms import ANY_BUT_KIND, Blame, Piece
from channels.kit.http import Answered, PlatformError, PlatformHttp, Unanswered
from channels.kit.refusals import before_post, channel_failure, send_failure
from channels.kit.values import Latest, objects_at, text_at, value_at
from channels.mattermost.kind import ID
from channels.mattermost.settings import MattermostSettings

PLATFORM: Final = "Mattermost"
SETTING: Final = "channels.mattermost.token"
LOOK_SECONDS: Final = 3.0
"""For what is looked up while a message waits."""
_PENDING: Final = "api.post.deduplicate_create_post.pending"
_REFUSED: Final[tuple[tuple[re.Pattern[str], str, str], ...]] = (
    (re.compile(r"can_not_post_to_deleted"), "chat_archived", "The channel is archived."),
    (
        re.compile(r"channel\.get|existing|missing_account|invalid_param"),
        "chat_not_found",
        "There is no such chat, or the bot is not in it.",
    ),
    (re.compile(r"restricted_dm|deactivated"), "blocked", "The server lets the bot not write to that one."),
    (re.compile(r"permissions"), "forbidden", "The bot is not in that channel, or may not write there: add it."),
    (re.compile(r"is_valid\.(msg|message)|message_length"), "too_long", "The message is too long."),
)
_ABOUT: Final[tuple[tuple[re.Pattern[str], tuple[Piece, ...]], ...]] = (
    (re.compile(r"root_id"), ("thread",)),
    (re.compile(r"file"), ("album", "files")),
    (re.compile(r"attachment|props|action"), ("buttons",)),
)
"""What a refusal is about, by its id. https://github.com/mattermost/mattermost/blob/master/server/i18n/en.json"""


class MattermostBot(NamedTuple):
    """The bot's account, and the server's time when it was asked, in milliseconds. `calls`: what mentions it, in lower case."""

    id: str
    username: str
    calls: tuple[str, ...]
    now: int


class MattermostApi:
    """Calls with the bot's token. Every failure is a PlatformError."""

    def __init__(self, settings: MattermostSettings, context: ChannelContext) -> None:
        self.http = PlatformHttp(
            "mattermost",
            version=context.version,
            proxy=settings.proxy,
            secrets=[settings.secret],
            headers={"Authorization": f"Bearer {settings.secret}"},
            base=f"{settings.server_url.rstrip('/')}/api/v4",
        )
        self._names = Latest[str]()
        self._chats = Latest[tuple[str, str]]()
        self._bot: MattermostBot | None = None

    async def bot(self, *, fresh: bool = False) -> MattermostBot:
        """Raises PlatformError."""
        if self._bot is None or fresh:
            answer = await self.http.call("GET", "/users/me")
            found = answer.json()
            id, name = text_at(found, "id"), text_at(found, "username")
            if not (ID.fullmatch(id) and name):
                raise Unanswered("the answer has no account")
            keys = text_at(found, "notify_props", "mention_keys").lower().split(",")
            calls = dict.fromkeys([f"@{name.lower()}", *[key for each in keys if len(key := each.strip()) > 1]])
            self._bot = MattermostBot(id, name, tuple(calls), _milliseconds(answer.headers.get("date", "")))
        return self._bot

    async def name_of(self, user_id: str) -> str:
        """A user's name; the id where it is not known now."""

        async def ask(id: str) -> str:
            found = await self.http.json("GET", f"/users/{id}", seconds=LOOK_SECONDS)
            return no_address(text_at(found, "username") or id)[:100]

        try:
            return await self._names.or_ask(user_id, ask)
        except PlatformError:
            return user_id

    async def chat(self, id: str) -> tuple[str, str]:
        """(the channel's id, its type: "D" direct, "G" group, "O" open, "P" private); of a user's id that of their direct messages. Raises
        PlatformError."""
        return await self._chats.or_ask(id, self._chat)

    async def chat_of(self, chat_id: str) -> tuple[str, str]:
        """The same for a send. Raises PlatformError or SendFailed."""
        if not ID.fullmatch(chat_id):
            raise SendRefused("chat_not_found", "There is no such chat.")
        with before_post(PLATFORM):
            return await self.chat(chat_id)

    async def _chat(self, id: str) -> tuple[str, str]:
        try:
            found = await self.http.json("GET", f"/channels/{id}")
        except Answered as error:
            if error.status not in (403, 404):
                raise
            try:
                found = await self.http.json("POST", "/channels/direct", json=[(await self.bot()).id, id])
            except Answered:
                raise error from None
        if not ID.fullmatch(chat := text_at(found, "id")):
            raise Unanswered("the answer has no channel")
        return chat, text_at(found, "type")


def _milliseconds(date: str) -> int:
    """Of a Date header; of this machine's clock where it is none."""
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000)
    except (ValueError, OverflowError):
        return int(time.time() * 1000)


def posts_in(answer: Any) -> list[dict[str, Any]]:
    """The posts of a list of them, as they come."""
    posts = value_at(answer, "posts")
    return objects_at(list(cast("dict[str, Any]", posts).values())) if isinstance(posts, dict) else []


def failure_of(error: PlatformError) -> SendFailed:
    """See `channels.kit.sender.Posting.failure`."""
    if not isinstance(error, Answered):
        return send_failure(error, PLATFORM, setting=SETTING)
    id = text_at(error.body, "id")
    if id == _PENDING:  # an earlier try is being carried out
        return SendUnclear("not_now", f"{PLATFORM} is still at an earlier try of it.")
    if error.status >= 500 and error.status != 503:
        return SendUnclear("server_error", f"{PLATFORM} failed (status {error.status}); the message may have arrived.")
    if error.status in (400, 403, 404):
        code, words = next(((code, words) for ids, code, words in _REFUSED if ids.search(id)), ("refused", f"{PLATFORM} refused it."))
        return SendRefused(code, f"{words} ({PLATFORM}: {id or error.status})")
    return send_failure(error, PLATFORM, setting=SETTING)


def blame_of(error: PlatformError) -> Blame | None:
    """See `channels.kit.forms.in_some_form`."""
    if not isinstance(error, Answered) or error.status not in (400, 403, 404, 413, 501):
        return None
    id = text_at(error.body, "id")
    words = f"{PLATFORM}: {id or error.status}"
    if error.status == 413:
        return ("album", "files"), words
    found = next((pieces for ids, pieces in _ABOUT if ids.search(id)), None)
    if found is None and error.status == 400 and not any(ids.search(id) for ids, _, _ in _REFUSED):
        found = ANY_BUT_KIND
    return (found, words) if found is not None else None


def connection_failure(error: PlatformError) -> ChannelFailed:
    return channel_failure(error, PLATFORM, setting=SETTING)

"""Mattermost's REST API, and what its answers mean. https://developers.mattermost.com/api-documentation/"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

from assistant.contracts.channels import ChannelContext, ChannelFailed, SendFailed, SendRefused, SendUnclear
from assistant.contracts.util import no_address
from channels.kit.forms import ANY_BUT_KIND, Blame, Piece
from channels.kit.http import Answered, PlatformError, PlatformHttp, Unanswered, value_at
from channels.kit.refusals import channel_failure, not_sent, send_failure
from channels.kit.values import Latest, objects_at, text_at
from channels.mattermost.kind import ID
from channels.mattermost.settings import MattermostSettings

PLATFORM: Final = "Mattermost"
SETTING: Final = "channels.mattermost.token"
_LOOK_SECONDS: Final = 3.0
_MOST: Final = 4096
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MattermostBot:
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
        self._names = Latest[str](_MOST)
        self._chats = Latest[tuple[str, str]](_MOST)
        self._bot: MattermostBot | None = None

    async def bot(self, *, fresh: bool = False) -> MattermostBot:
        """Raises PlatformError."""
        if self._bot is None or fresh:
            answer = await self.http.call("GET", "/users/me")
            found = answer.json()
            name = text_at(found, "username")
            calls = [f"@{name}", *[key.strip() for key in text_at(found, "notify_props", "mention_keys").split(",")]]
            self._bot = MattermostBot(
                id=text_at(found, "id"),
                username=name,
                calls=tuple(dict.fromkeys(call.lower() for call in calls if len(call) > 1)),
                now=_milliseconds(answer.headers.get("date")),
            )
        return self._bot

    async def name_of(self, user_id: str) -> str:
        """A user's name; the id where it is not known now."""
        if (known := self._names.get(user_id)) is not None:
            return known
        try:
            found = await self.http.json("GET", f"/users/{user_id}", seconds=_LOOK_SECONDS)
        except PlatformError:
            return user_id
        name = no_address(text_at(found, "username") or user_id)[:100]
        self._names.put(user_id, name)
        return name

    async def chat_of(self, chat_id: str) -> tuple[str, str]:
        """(the channel's id, its type: "D" direct, "G" group, "O" open, "P" private); of a user's id that of their direct messages. Raises
        PlatformError or SendFailed."""
        if not ID.fullmatch(chat_id):
            raise SendRefused("chat_not_found", "There is no such chat.")
        if (known := self._chats.get(chat_id)) is not None:
            return known
        try:
            found = await self._channel(chat_id)
        except Unanswered as error:
            raise not_sent(error, PLATFORM) from error
        chat = text_at(found, "id") or chat_id, text_at(found, "type")
        self._chats.put(chat_id, chat)
        return chat

    async def _channel(self, id: str) -> Any:
        try:
            return await self.http.json("GET", f"/channels/{id}")
        except Answered as error:
            if error.status not in (403, 404):
                raise
            try:
                return await self.http.json("POST", "/channels/direct", json=[(await self.bot()).id, id])
            except Answered:
                raise error from None


def _milliseconds(date: str | None) -> int:
    """Of a Date header; of this machine's clock without one."""
    try:
        at = parsedate_to_datetime(date or "")
    except ValueError:
        at = datetime.now(UTC)
    return int(at.timestamp() * 1000)


def posts_in(answer: Any) -> list[dict[str, Any]]:
    """The posts of a list of them, as they come."""
    posts = value_at(answer, "posts")
    return objects_at(list(cast("dict[str, Any]", posts).values())) if isinstance(posts, dict) else []


def failure_of(error: PlatformError) -> SendFailed:
    """See `channels.kit.sender.Posting.failure`."""
    if not isinstance(error, Answered):
        return send_failure(error, PLATFORM, setting=SETTING)
    id = str(error.at("id") or "")
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
    id = str(error.at("id") or "")
    words = f"{PLATFORM}: {id or error.status}"
    if error.status == 413:
        return ("album", "files"), words
    found = next((pieces for ids, pieces in _ABOUT if ids.search(id)), None)
    if found is None and error.status == 400 and not any(ids.search(id) for ids, _, _ in _REFUSED):
        found = ANY_BUT_KIND
    return (found, words) if found is not None else None


def connection_failure(error: PlatformError) -> ChannelFailed:
    return channel_failure(error, PLATFORM, setting=SETTING)

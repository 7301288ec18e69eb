"""Mattermost's calls: https://developers.mattermost.com/api-documentation/"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, Sending, SendRefused
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import ButtonRows
from channels.kit.answers import date_in
from channels.kit.calls import hmac_hex
from channels.kit.commands import button_value
from channels.kit.http import Answered, PlatformHttp, Unanswered
from channels.kit.names import KnownNames
from channels.kit.planning import ButtonRules, MessageRules
from channels.kit.refusals import before_post, still_there
from channels.kit.sender import Post
from channels.kit.values import Latest, id_at, objects_at, text_at, value_at
from channels.mattermost.kind import ID
from channels.mattermost.refusals import PLATFORM, blame_of, failure_of
from channels.mattermost.settings import MattermostSettings
from channels.text.markdown import Dialect, markdown_parts

LOOK_SECONDS: Final = 3.0
"""For what is looked up while a message waits."""
_DIALECT: Final = Dialect(pings=r"(?<![^\W_])@(?=\w|$)")
_KEY: Final = "nanobot_key"
"""The prop of a post that holds its key: `pending_post_id` is remembered for 30 seconds only.
https://github.com/mattermost/mattermost/blob/master/server/channels/app/post.go (pendingPostIDsCacheTTL)"""
_BEFORE: Final = timedelta(minutes=5)
"""The largest difference between the server's clock and ours."""
_MOST_TEXT: Final = 15_000
"""The server takes 16,383 characters. https://github.com/mattermost/mattermost/blob/master/server/public/model/post.go (PostMessageMaxRunesV2)"""
_RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=lambda markdown, limit: markdown_parts(markdown, limit, _DIALECT),
    most_text=_MOST_TEXT,
    most_caption=_MOST_TEXT,
    most_files=10,
    most_file_bytes=100 << 20,  # the server's own setting, unless it is changed
    most_bytes=100 << 20,
)
_BUTTONS: Final = ButtonRules(rows=5, in_row=5, text=100, can_link=lambda url: False)
"""A button calls the assistant, and opens no page."""


def rules_for(settings: MattermostSettings) -> MessageRules:
    return replace(_RULES, buttons=_BUTTONS if settings.callback_url else None)


class MattermostBot(NamedTuple):
    """The bot's account, and the server's time when it was asked, in milliseconds. `call`: what mentions it."""

    id: str
    username: str
    call: re.Pattern[str]
    now: int


class MattermostWire:
    """With the bot's token. Every failure is a PlatformError."""

    platform = PLATFORM
    blamed = staticmethod(blame_of)
    failure = staticmethod(failure_of)

    def __init__(self, settings: MattermostSettings, context: ChannelContext) -> None:
        base = f"{settings.server_url.rstrip('/')}/api/v4"
        self.http = PlatformHttp("mattermost", version=context.version, proxy=settings.proxy, bearer=settings.secret, base=base)
        self._settings = settings
        self.names = KnownNames(self._name, seconds=LOOK_SECONDS)
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
            calls = "|".join(map(re.escape, [f"@{name}", *[key for each in keys if len(key := each.strip()) > 1]]))
            call = re.compile(rf"(?<![\w.@-])(?:{calls})(?![\w@-]|\.\w)", re.IGNORECASE)
            now = date_in(answer.headers.get("date")) or datetime.now(UTC)
            self._bot = MattermostBot(id, name, call, int(now.timestamp() * 1000))
        return self._bot

    async def _name(self, id: str) -> str:
        return text_at(await self.http.json("GET", f"/users/{id}"), "username")

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

    async def post(self, post: Post) -> str | None:
        chat, _ = await self.chat_of(post.sending.address.chat_id)
        if (arrived := await self._arrived(post.sending, chat, post.key)) is not None:
            return arrived
        part = post.form.part
        files = [await self._upload(chat, media.name, post.contents[media.digest]) for media in part.media]
        props = {_KEY: post.key, **self._buttons(part.buttons)}
        pending = f"{(await self.bot()).id}:{post.key}"
        words = post.quiet(_DIALECT.quiet)
        return await self._create(chat, post.form.thread_id, words, file_ids=files, props=props, pending_post_id=pending)

    async def edit(self, post: Post, message_id: str) -> bool:
        return await self._patch(message_id, post.quiet(_DIALECT.quiet), self._buttons(post.form.part.buttons))

    async def remove(self, post: Post, message_id: str) -> None:
        await self.http.call("DELETE", f"/posts/{message_id}")

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """`ref`: the file's id."""
        await self.http.download(f"/files/{file.ref}", into, most_bytes)

    async def react(self, message: InboundMessage, emoji: str) -> None:
        reaction = {"user_id": (await self.bot()).id, "post_id": message.message_id, "emoji_name": emoji}
        await self.http.call("POST", "/reactions", json=reaction)

    async def show_typing(self, address: Address) -> None:
        chat, _ = await self.chat_of(address.chat_id)
        body = {"channel_id": chat, "parent_id": address.thread_id or ""}
        await self.http.call("POST", f"/users/{(await self.bot()).id}/typing", json=body)

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        if message_id is not None:
            return message_id if await self._patch(message_id, text, {}) else None
        chat, _ = await self.chat_of(address.chat_id)
        return await self._create(chat, address.thread_id, text)

    async def _create(self, chat: str, root: str | None, text: str, **more: object) -> str | None:
        body = {"channel_id": chat, "message": text, "root_id": root or "", **more}
        return text_at(await self.http.json("POST", "/posts", json=body), "id") or None

    async def _arrived(self, sending: Sending, chat: str, key: str) -> str | None:
        """The post that an earlier try of this part made, if it did."""
        if sending.again is None:
            return None
        since = int((sending.again - _BEFORE).timestamp() * 1000)
        with before_post(PLATFORM):
            answer = await self.http.json("GET", f"/channels/{chat}/posts", params={"since": str(since)})
            me = (await self.bot()).id
        own = [post for post in posts_in(answer) if text_at(post, "user_id") == me and text_at(post, "props", _KEY) == key]
        return next(filter(None, [text_at(post, "id") for post in own]), None)

    async def _patch(self, message_id: str, text: str, props: Mapping[str, Any]) -> bool:
        """`props` take the place of all that were there."""
        call = self.http.call("PUT", f"/posts/{message_id}/patch", json={"message": text, "props": {"from_bot": "true", **props}})
        return await still_there(call, lambda error: error.status == 404 or "time_limit" in id_at(error.body, "id"))

    async def _upload(self, chat: str, name: str, content: bytes) -> str:
        with before_post(PLATFORM):
            answer = await self.http.json("POST", "/files", params={"channel_id": chat, "filename": name}, data=content)
            if id := text_at(answer, "file_infos", 0, "id"):
                return id
            raise Unanswered("the answer has no file")

    def _buttons(self, rows: ButtonRows) -> Mapping[str, Any]:
        """https://docs.mattermost.com/developers/integrate/plugins/interactive-messages: the server calls, without a signature of its own; so each
        button carries ours, which no client is shown."""

        def action(label: str, value: str, id: str) -> Mapping[str, Any]:
            context = {"value": value, "label": label, "sign": sign(self._settings, value, label)}
            return {"id": id, "name": label, "integration": {"url": self._settings.callback_url, "context": context}}

        lines = [
            [action(each.text, button_value(each, f"{row}.{column}", 2000), f"b{row}x{column}") for column, each in enumerate(line)]
            for row, line in enumerate(rows)
        ]
        return {"attachments": [{"actions": line} for line in lines]} if lines else {}


def posts_in(answer: Any) -> list[dict[str, Any]]:
    """The posts of a list of them, as they come."""
    posts = value_at(answer, "posts")
    return objects_at(list(cast("dict[str, Any]", posts).values())) if isinstance(posts, dict) else []


def sign(settings: MattermostSettings, value: str, label: str) -> str:
    return hmac_hex(settings.secret, f"button\n{value}\n{label}".encode())

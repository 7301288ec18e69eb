"""A message as Discord's calls: posts, edits, forums, the history; and what a chat shows.

https://discord.com/developers/docs/resources/message#create-message, …/components/reference
"""

import re
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from discord.utils import time_snowflake

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Sending, SendRefused
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import Button, ButtonRows
from channels.discord.kind import is_snowflake
from channels.discord.posts import open_post
from channels.discord.refusals import ARCHIVED, NOT_A_TEXT_CHANNEL, NOT_OURS, UNKNOWN_MESSAGE, blamed, send_failure
from channels.discord.rest import DiscordRest
from channels.kit.conversation import PlainWire
from channels.kit.http import Answered, Unanswered, value_at
from channels.kit.planning import ButtonRules, MessageRules
from channels.kit.refusals import still_there
from channels.kit.sender import Post
from channels.kit.values import list_at, objects_at, text_at
from channels.text.blocks import utf16
from channels.text.discord import discord_parts, escape

T = TypeVar("T")
MOST_CHARS: Final = 2000
_MOST_ID, _MOST_LABEL, _MOST_URL = 100, 80, 512
_URL: Final = re.compile(r"(?:https?|discord)://[^\s/?#]+\S*", re.IGNORECASE)
_SAID, _GIVEN = "say", "do"
"""Prefixes of the ids of buttons: `say:<number>:<text>` is the user's message when pressed, `do:<number>:<command>` a command."""
_NO_PREVIEWS: Final = 1 << 2
"""A flag of messages: links are shown without a preview."""
_NONCE_HOLDS: Final = timedelta(seconds=60)
"""How long a nonce alone is relied on; Discord honours it "for a few minutes"."""
_MOST_SENT: Final = 1000
_PAGE, _MOST_PAGES = 100, 10
_REF: Final = re.compile(r"(?:(\d+)/(\d+)/(\d+))? (https?://\S+)", re.ASCII)
_HOSTS: Final = ("cdn.discordapp.com", "media.discordapp.net")


def can_link(url: str) -> bool:
    """Whether a button may lead there."""
    return len(url) <= _MOST_URL and _URL.fullmatch(url) is not None


RULES: Final = MessageRules(
    platform="Discord",
    texts=discord_parts,
    most_text=MOST_CHARS,
    most_caption=MOST_CHARS,
    most_files=10,
    most_file_bytes=10 * 1024 * 1024,
    most_bytes=24 * 1024 * 1024,  # of 25, the message itself included
    empty_files=True,
    buttons=ButtonRules(rows=5, in_row=5, text=_MOST_ID - len(_SAID) - 4, can_link=can_link),
)


def said_by(custom_id: str) -> str | None:
    """The text, or the command, of the button with this id; None: it is not one of ours."""
    mark, _, rest = custom_id.partition(":")
    number, _, text = rest.partition(":")
    return text if mark in (_SAID, _GIVEN) and number.isdecimal() and text else None


class DiscordWire(PlainWire):
    """`kit.sender.Posting` and `kit.conversation.ChatWire`."""

    platform = "Discord"
    blamed, failure = staticmethod(blamed), staticmethod(send_failure)

    def __init__(self, rest: DiscordRest) -> None:
        self._rest = rest
        self._preview_key = secrets.token_hex(12)
        self._flags = 0 if rest.settings.link_previews else _NO_PREVIEWS
        self._sent: deque[tuple[str, str]] = deque(maxlen=_MOST_SENT)
        """(message, key) of the latest posts."""

    async def post(self, post: Post) -> str | None:
        """The nonce makes a repeat harmless: Discord returns the first message."""
        await self._rest.me()
        address = Address(channel="discord", chat_id=post.sending.address.chat_id, thread_id=post.form.thread_id)
        message_id = await self._there(address, lambda target: self._post(target, post))
        self._sent.append((message_id, post.key))
        return message_id

    async def edit(self, post: Post, message_id: str) -> bool:
        await self._rest.me()
        target = await self._rest.target(post.sending.address)
        message = self._message(post)
        about = {name: value for name, value in message.items() if name != "flags"} | {"components": message.get("components", [])}
        call = self._rest.call("PATCH", f"/channels/{target}/messages/{message_id}", about, files=self._files(post))
        return await still_there(call, lambda error: error.code in (UNKNOWN_MESSAGE, NOT_OURS))

    async def earlier(self, sending: Sending) -> str | None:
        """The message of an earlier try, found in the history: our own since then with this content, which is no other part's. Where the bot may
        not read it, a message that did arrive comes twice."""
        if sending.again is None or datetime.now(UTC) - sending.again <= _NONCE_HOLDS:
            return None
        me, after = text_at(await self._rest.me(), "id"), time_snowflake(sending.again + self._rest.ahead)
        others = {message_id for message_id, key in self._sent if key != sending.key}
        try:
            return await self._there(sending.address, lambda target: self._find(target, sending, me, after, others))
        except Answered as error:
            if error.status in (401, 429):
                raise
            return None

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """From Discord's file servers only. URLs of files expire after about a day; then a fresh one is requested.
        https://discord.com/developers/docs/reference#signed-attachment-cdn-urls"""
        known = _REF.fullmatch(file.ref)
        if known is None:
            raise SendRefused("gone", "The file is no longer there.")
        channel, message, attachment, url = known.groups()
        try:
            await self._download(url, into, most_bytes)
        except SendRefused as refused:
            fresh = await self._fresh(channel, message, attachment) if channel and refused.trouble.code == "gone" else None
            if fresh is None:
                raise
            await self._download(fresh, into, most_bytes)

    async def react(self, message: InboundMessage, emoji: str) -> None:
        target = await self._rest.target(message.address)
        await self._rest.call("PUT", f"/channels/{target}/messages/{message.message_id}/reactions/{quote(emoji)}/@me")

    async def show_typing(self, address: Address) -> None:
        await self._rest.call("POST", f"/channels/{await self._rest.target(address)}/typing")

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        path = f"/channels/{await self._rest.target(address)}/messages"
        if message_id is not None:
            await self._rest.call("PATCH", f"{path}/{message_id}", {"content": text, "allowed_mentions": {"parse": []}})
            return message_id
        message: dict[str, Any] = {"content": text, "flags": self._flags, "allowed_mentions": {"parse": []}, **self._reply(reply_to)}
        return _id_of(await self._rest.call("POST", path, message | _nonce(self._preview_key)))

    async def _there(self, address: Address, act: Callable[[str], Awaitable[T]]) -> T:
        """Call `act` with the channel of an address; if the id is a user's, with their direct messages."""
        try:
            return await act(await self._rest.target(address))
        except Answered as error:
            if address.thread_id is not None:
                raise
            return await act(await self._rest.open_private(address.chat_id, error))

    async def _post(self, target: str, post: Post) -> str:
        first = post.sending.first
        if first is not None and self._rest.holds_posts(target):
            target = first  # a post has the id of its first message
        try:
            return await self._post_once(target, post)
        except Answered as error:
            if error.code == ARCHIVED:
                await self._rest.reopen(target, error)
                return await self._post_once(target, post)
            if error.code != NOT_A_TEXT_CHANNEL or not await self._rest.learn_posts(target):
                raise
        if first is not None:
            return await self._post_once(first, post)
        return await open_post(self._rest, target, post, self._message(post), self._files(post))

    async def _post_once(self, target: str, post: Post) -> str:
        message = {**self._message(post), **self._reply(post.form.reply_to), **_nonce(post.key)}
        return _id_of(await self._rest.call("POST", f"/channels/{target}/messages", message, files=self._files(post)))

    def _message(self, post: Post) -> dict[str, Any]:
        part = post.form.part
        words = post.within(lambda _: True, lambda lines: "\n".join(map(escape, lines.split("\n"))))
        content = words if utf16(words) <= MOST_CHARS else post.within(lambda _: False)
        message: dict[str, Any] = {"content": content or None, "flags": self._flags, "allowed_mentions": {"parse": []}}
        if part.buttons:
            message["components"] = _components(part.buttons)
        if part.media:
            message["attachments"] = [{"id": place, "filename": media.name} for place, media in enumerate(part.media)]
        return message

    def _files(self, post: Post) -> list[tuple[str, bytes]]:
        return [(media.name, post.contents[media.digest]) for media in post.form.part.media]

    def _reply(self, reply_to: str | None) -> dict[str, Any]:
        if reply_to is None or not reply_to.isdecimal() or not self._rest.settings.reply_to_message:
            return {}
        return {"message_reference": {"message_id": reply_to, "fail_if_not_exists": False}}

    async def _find(self, target: str, sending: Sending, me: str, after: int, others: set[str]) -> str | None:
        for _ in range(_MOST_PAGES):
            query = {"limit": str(_PAGE), "after": str(after)}
            page = objects_at([await self._rest.call("GET", f"/channels/{target}/messages", params=query)], 0)
            for message in reversed(page):
                if text_at(message, "author", "id") == me and (id := text_at(message, "id")) not in others and _is(message, sending):
                    return id
            if len(page) < _PAGE or not is_snowflake(last := text_at(page, 0, "id")):
                return None
            after = int(last)
        return None

    async def _download(self, address: str, into: Path, most_bytes: int) -> None:
        await self._rest.http.download(address, into, most_bytes, hosts=_HOSTS)

    async def _fresh(self, channel: str, message: str, attachment: str) -> str | None:
        try:
            data: Any = await self._rest.call("GET", f"/channels/{channel}/messages/{message}")
        except Answered as error:
            if error.status in (403, 404):
                return None
            raise
        shots = [value_at(shot, "message") for shot in list_at(data, "message_snapshots")]
        found = [one for place in (data, *shots) for one in list_at(place, "attachments")]
        return next((text_at(each, "url") for each in found if text_at(each, "id") == attachment), None)


def _id_of(message: object) -> str:
    if not (id := text_at(message, "id")):  # it was taken, or something between answered in Discord's place
        raise Unanswered("the answer holds no message")
    return id


def _nonce(key: str) -> dict[str, Any]:
    return {"nonce": key, "enforce_nonce": True}


def _components(rows: ButtonRows) -> list[dict[str, Any]]:
    numbers = iter(range(len(rows) * 5))
    return [{"type": 1, "components": [_component(button, next(numbers)) for button in row]} for row in rows]


def _component(button: Button, number: int) -> dict[str, Any]:
    label = button.text if len(button.text) <= _MOST_LABEL else f"{button.text[: _MOST_LABEL - 1]}…"
    if button.url is not None:
        return {"type": 2, "style": 5, "label": label, "url": button.url}
    said = f"{_SAID}:{number}:{button.text}" if button.command is None else f"{_GIVEN}:{number}:{button.given}"
    return {"type": 2, "style": 2, "label": label, "custom_id": said}


def _is(message: dict[str, Any], sending: Sending) -> bool:
    nonce = message.get("nonce")
    if nonce is not None:
        return str(nonce) == sending.key
    said, files = text_at(message, "content").strip(), len(list_at(message, "attachments"))
    part = sending.part
    if said and said in (part.text.strip(), part.plain.strip()):
        return files in (len(part.media), 0)  # words arrive without the files that Discord refuses
    return said == part.text.strip() and files == len(part.media)

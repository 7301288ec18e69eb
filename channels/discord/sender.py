"""Sends the parts of an event to Discord, each once, in the richest form that is taken."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import discord

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Sending, SendRefused, SendUnclear
from assistant.contracts.outbox import Media, MediaFiles, OutboundPart, Receipt
from channels.discord.http import CONNECTION_ERRORS, UNREADABLE
from channels.discord.plan import MOST_CHARS, reply_in, view_of
from channels.discord.posts import open_post
from channels.discord.refusals import ARCHIVED, NOT_A_TEXT_CHANNEL, NOT_OURS, UNKNOWN_MESSAGE, blamed, send_failure
from channels.discord.rest import DiscordClient, DiscordRest
from channels.kit.forms import MessageForm, in_some_form
from channels.text.blocks import utf16
from channels.text.discord import escape

T = TypeVar("T")
_NONCE_HOLDS: Final = timedelta(seconds=60)
"""How long a nonce alone is relied on; Discord honours it "for a few minutes"."""
_MOST_SENT: Final = 1000
_PAGE, _MOST_PAGES = 100, 10


class _Try:
    written = False
    """Whether the message itself has been sent, and not only a question before it."""


class DiscordSender:
    """Sends parts; safe to be used for many chats at once."""

    def __init__(self, rest: DiscordRest, files: MediaFiles, within: float) -> None:
        """`within`: seconds for a part."""
        self._settings = rest.settings
        self._rest = rest
        self._files = files
        self._within = within
        self._blamed = partial(blamed, redact=rest.refusals.redact)
        self._sent: deque[tuple[str, str]] = deque(maxlen=_MOST_SENT)
        """(message, key) of the latest receipts."""

    async def send(self, sending: Sending) -> Receipt:
        """See `Channel.send`. The nonce makes a repeat harmless: Discord returns the first message. After a minute, the history is searched
        first; where the bot may not read it, a message that did arrive comes twice."""
        attempt = _Try()
        try:
            async with asyncio.timeout(self._within):
                receipt = await self._send(await self._rest.client(), sending, attempt)
                self._sent.append((str(receipt.message_id), sending.key))
                return receipt
        except CONNECTION_ERRORS as error:
            raise send_failure(error, self._rest.refusals, written=attempt.written) from error

    async def _send(self, client: DiscordClient, sending: Sending, attempt: _Try) -> Receipt:
        reply_to = sending.reply_to if self._settings.reply_to_message else None
        form = MessageForm(part=sending.part, reply_to=reply_to, thread_id=sending.address.thread_id)
        if sending.replaces is not None and (receipt := await self._edit(client, sending, form, sending.replaces)) is not None:
            return receipt
        if sending.again is not None and datetime.now(UTC) - sending.again > _NONCE_HOLDS:
            since = sending.again + self._rest.refusals.ahead
            found = await self._there(sending.address, lambda target: self._arrived(client, target, sending, since))
            if found is not None:
                return replace(found, notice=form.notice)

        async def send(form: MessageForm) -> Receipt:
            address = replace(sending.address, thread_id=form.thread_id)
            return await self._there(address, lambda target: self._post(client, target, sending, form, attempt))

        receipt, form = await in_some_form(form, send, discord.HTTPException, self._blamed, channel="discord")
        return replace(receipt, notice="; ".join(filter(None, [form.notice, receipt.notice])))

    async def _there(self, address: Address, act: Callable[[str], Awaitable[T]]) -> T:
        """Call `act` with the channel of an address; if the id is a user's, with their direct messages."""
        try:
            return await act(await self._rest.target(address))
        except discord.NotFound as error:
            if address.thread_id is not None:
                raise
            return await act(await self._rest.open_private(address.chat_id, error))

    async def _post(self, client: DiscordClient, target: str, sending: Sending, form: MessageForm, attempt: _Try) -> Receipt:
        if form.single and len(form.part.media) > 1:
            return await self._one_by_one(client, target, sending, form, attempt)
        if sending.first is not None and self._rest.holds_posts(target):
            target = sending.first  # a post has the id of its first message
        try:
            return await self._post_once(client, target, sending, form, attempt)
        except discord.HTTPException as error:
            if error.code == ARCHIVED:
                await self._rest.reopen(target, error)
                return await self._post_once(client, target, sending, form, attempt)
            if error.code != NOT_A_TEXT_CHANNEL or not await self._rest.learn_posts(target):
                raise
        if sending.first is not None:
            return await self._post_once(client, sending.first, sending, form, attempt)
        attempt.written = True
        return await open_post(self._rest, target, sending, await self._message(form))

    async def _post_once(self, client: DiscordClient, target: str, sending: Sending, form: MessageForm, attempt: _Try) -> Receipt:
        channel = client.get_partial_messageable(int(target))
        more = {**await self._message(form), **reply_in(channel, form.reply_to)}
        attempt.written = True
        try:
            message = await channel.send(nonce=sending.key, mention_author=False, **more)
        except UNREADABLE:  # it was taken, or something between answered in Discord's place
            raise SendUnclear("no_answer", "Discord's answer can't be read; the message may have arrived.") from None
        return Receipt(message_id=str(message.id), at=message.created_at)

    async def _message(self, form: MessageForm) -> dict[str, Any]:
        """Parameters of the message itself."""
        more: dict[str, Any] = {"content": _words(form) or None, "suppress_embeds": not self._settings.link_previews}
        if form.part.buttons:
            more["view"] = view_of(form.part.buttons)
        if form.part.media:
            more["files"] = await self._open(form.part.media)
        return more

    async def _one_by_one(self, client: DiscordClient, target: str, sending: Sending, form: MessageForm, attempt: _Try) -> Receipt:
        """The words and buttons with the first file, each other file in a message of its own. A file that is refused is left out, unless nothing
        was sent."""
        part, first = form.part, None
        left: list[str] = []
        for place, media in enumerate(part.media):
            own = replace(part, media=(media,), notice="") if first is None else OutboundPart(text="", plain="", media=(media,))
            one = replace(form, part=own, single=False, lines=() if first else form.lines, notices=())
            key = replace(sending, key=f"{sending.key[:24]}{place}", first=sending.first or (first.message_id if first else None))
            try:
                send = partial(self._post, client, target, key, attempt=attempt)
                receipt, taken = await in_some_form(one, send, discord.HTTPException, self._blamed, channel="discord")
            except discord.HTTPException as error:
                if self._blamed(error) is None or (first is None and media is part.media[-1]):
                    raise
                left.append(f"{media.name} left out (Discord: {self._rest.refusals.redact(error.text)})")
            else:
                first = first or receipt
                left += taken.notices
        assert first is not None
        return replace(first, notice="; ".join(left))

    async def _edit(self, client: DiscordClient, sending: Sending, form: MessageForm, message_id: str) -> Receipt | None:
        """Edit a message to show the part. None: it is gone."""

        async def edit(form: MessageForm) -> Receipt:
            more: dict[str, Any] = {"attachments": await self._open(form.part.media)} if form.part.media else {}
            target = await self._rest.target(sending.address)
            message = client.get_partial_messageable(int(target)).get_partial_message(int(message_id))
            view = view_of(form.part.buttons) if form.part.buttons else None
            done = await message.edit(content=_words(form) or None, view=view, **more)  # a message stays without previews
            return Receipt(message_id=str(done.id), at=done.edited_at or done.created_at)

        try:
            receipt, form = await in_some_form(
                replace(form, reply_to=None, thread_id=None, single=True), edit, discord.HTTPException, self._blamed, channel="discord"
            )
        except (discord.NotFound, discord.Forbidden) as error:
            if error.code in (UNKNOWN_MESSAGE, NOT_OURS):
                return None
            raise
        return replace(receipt, notice=form.notice)

    async def _open(self, media: Sequence[Media]) -> list[discord.File]:
        try:
            return await asyncio.to_thread(lambda: [discord.File(self._files.path(each), filename=each.name) for each in media])
        except OSError as error:
            raise SendRefused("media_missing", "A file of the message is no longer there.") from error

    async def _arrived(self, client: DiscordClient, target: str, sending: Sending, since: datetime) -> Receipt | None:
        """The receipt of an earlier try that arrived: our own message since then with this content, which is no other part's."""
        after = discord.utils.time_snowflake(since)
        others = {message_id for message_id, key in self._sent if key != sending.key}
        for _ in range(_MOST_PAGES):
            try:
                page: list[Any] = await client.http.logs_from(int(target), _PAGE, after=after)
            except discord.HTTPException as error:
                if error.code == NOT_A_TEXT_CHANNEL:  # a forum: `open_post` looks for the post
                    return None
                raise
            for message in reversed(page):
                if int(message["author"]["id"]) == client.me.id and str(message["id"]) not in others and _is(message, sending):
                    return Receipt(message_id=str(message["id"]), at=datetime.fromisoformat(message["timestamp"]))
            if len(page) < _PAGE:
                return None
            after = int(page[0]["id"])
        return None


def _is(message: dict[str, Any], sending: Sending) -> bool:
    nonce = message.get("nonce")
    if nonce is not None:
        return str(nonce) == sending.key
    said, files = str(message["content"]).strip(), len(message.get("attachments", ()))
    part = sending.part
    if said and said in (part.text.strip(), part.plain.strip()):
        return files in (len(part.media), 0)  # words arrive without the files that Discord refuses
    return said == part.text.strip() and files == len(part.media)


def _words(form: MessageForm) -> str:
    """The text, with the lines of buttons that are left out where they fit."""
    text = form.part.text if form.styled else form.part.plain
    whole = "\n\n".join(filter(None, [text, "\n".join([escape(line) for line in form.lines])]))
    return whole if utf16(whole) <= MOST_CHARS else text

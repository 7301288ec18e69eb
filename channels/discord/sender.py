"""An event as Discord's messages: planned as parts, sent once each."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import discord
from discord import ui

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Sending, SendRefused
from assistant.contracts.outbox import Button, ButtonRows, Media, MediaFiles, OutboundEvent, OutboundPart, Receipt
from assistant.contracts.util import replace_surrogates
from channels.discord.http import CONNECTION_ERRORS, NO_REPLIES_HERE, NOT_OURS, UNKNOWN_MESSAGE, send_failure
from channels.discord.rest import DiscordClient, DiscordRest
from channels.text.discord import discord_parts

MOST_CHARS: Final = 2000
_MOST_FILES, _MOST_FILE_BYTES = 10, 10 * 1024 * 1024
_MOST_BYTES: Final = 24 * 1024 * 1024
"""Of one request; Discord takes 25 MiB, the message itself included."""
_MOST_ROWS, _MOST_IN_ROW, _MOST_LABEL, _MOST_ID = 5, 5, 80, 100
SAID: Final = "say"
"""Prefix of the ids of buttons whose press is the user's message: `say:<number>:<text>`."""


def plan(event: OutboundEvent) -> Sequence[OutboundPart]:
    """Text first, its last part with the files (at most ten a message) and the last of all with the buttons. Raises SendRefused.
    https://discord.com/developers/docs/resources/message#create-message, https://discord.com/developers/docs/reference#uploading-files"""
    for media in event.media:
        if media.size > _MOST_FILE_BYTES:
            raise SendRefused("too_large", f"Discord takes files of at most 10 MB; {media.name} has {media.size / 1024 / 1024:.1f} MB.")
    rows = _rows(event.buttons)
    parts = [OutboundPart(text=part.text, plain=part.plain) for part in discord_parts(event.text, MOST_CHARS)]
    batches = _batches(event.media)
    if parts and batches:
        parts[-1] = replace(parts[-1], media=batches.pop(0))
    parts += [OutboundPart(text="", plain="", media=batch) for batch in batches]
    if not parts:
        raise SendRefused("empty", "There is nothing in the message.")
    return [*parts[:-1], replace(parts[-1], buttons=rows)]


def view_of(rows: ButtonRows) -> ui.View:
    view = ui.View(timeout=None)
    number = 0
    for row, buttons in enumerate(rows):
        for button in buttons:
            label = button.text if len(button.text) <= _MOST_LABEL else f"{button.text[: _MOST_LABEL - 1]}…"
            if button.url is not None:
                view.add_item(ui.Button(label=label, url=button.url, row=row))
            else:
                view.add_item(ui.Button(label=label, custom_id=f"{SAID}:{number}:{button.text}", row=row))
            number += 1
    view.stop()  # presses come as interactions: discord.py must not keep every view that it has sent
    return view


def reply_in(channel: discord.PartialMessageable, reply_to: str | None) -> dict[str, Any]:
    if reply_to is None or not reply_to.isdecimal():
        return {}
    return {"reference": channel.get_partial_message(int(reply_to)).to_reference(fail_if_not_exists=False)}


def said_by(custom_id: str) -> str | None:
    """The text of the button with this id; None: it is not one of ours."""
    mark, _, rest = custom_id.partition(":")
    number, _, text = rest.partition(":")
    return text if mark == SAID and number.isdecimal() and text else None


def _batches(media: Sequence[Media]) -> list[tuple[Media, ...]]:
    batches: list[tuple[Media, ...]] = []
    for each in media:
        last = batches[-1] if batches else ()
        if last and len(last) < _MOST_FILES and sum(one.size for one in last) + each.size <= _MOST_BYTES:
            batches[-1] = (*last, each)
        else:
            batches.append((each,))
    return batches


def _rows(given: ButtonRows) -> ButtonRows:
    """Rows of at most five. Raises SendRefused."""
    rows: list[tuple[Button, ...]] = []
    for buttons in given:
        row = tuple([replace(button, text=replace_surrogates(button.text)) for button in buttons])
        rows += [row[start : start + _MOST_IN_ROW] for start in range(0, len(row), _MOST_IN_ROW)]
    if len(rows) > _MOST_ROWS:
        raise SendRefused("buttons", "Discord takes at most five rows of five buttons.")
    for button in (button for row in rows for button in row):
        if not button.text.strip():
            raise SendRefused("buttons", "A button needs a text.")
        if button.url is not None and not button.url.startswith(("https://", "http://")):
            raise SendRefused("buttons", "On Discord the address of a button begins with https:// or http://.")
        if button.url is None and len(button.text) + len(SAID) + 4 > _MOST_ID:
            raise SendRefused("buttons", f"The text of a button has at most {_MOST_ID - len(SAID) - 4} characters.")
    return tuple(rows)


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
        if sending.replaces is not None and (receipt := await self._edit(client, sending, sending.replaces)) is not None:
            return receipt
        if sending.again is not None and datetime.now(UTC) - sending.again > _NONCE_HOLDS:
            since = sending.again + self._rest.refusals.ahead
            found = await self._there(sending.address, lambda target: self._arrived(client, target, sending, since))
            if found is not None:
                return found

        async def post(target: str) -> Receipt:
            reply_to = sending.reply_to if self._settings.reply_to_message else None
            try:
                return await self._post(client, target, sending, reply_to, attempt)
            except discord.HTTPException as error:
                if error.code != NO_REPLIES_HERE:
                    raise
                return await self._post(client, target, sending, None, attempt)

        return await self._there(sending.address, post)

    async def _there(self, address: Address, act: Callable[[str], Awaitable[T]]) -> T:
        """Call `act` with the channel of an address; if the id is a user's, with their direct messages."""
        try:
            return await act(await self._rest.target(address))
        except discord.NotFound as error:
            if address.thread_id is not None:
                raise
            return await act(await self._rest.open_private(address.chat_id, error))

    async def _post(self, client: DiscordClient, target: str, sending: Sending, reply_to: str | None, attempt: _Try) -> Receipt:
        channel = client.get_partial_messageable(int(target))
        more = reply_in(channel, reply_to)
        if sending.part.buttons:
            more["view"] = view_of(sending.part.buttons)
        if sending.part.media:
            more["files"] = await self._open(sending)
        attempt.written = True
        message = await channel.send(
            sending.part.text or None, nonce=sending.key, suppress_embeds=not self._settings.link_previews, mention_author=False, **more
        )
        return Receipt(message_id=str(message.id), at=message.created_at)

    async def _edit(self, client: DiscordClient, sending: Sending, message_id: str) -> Receipt | None:
        """Edit a message to show the part. None: it is gone."""
        more: dict[str, Any] = {"attachments": await self._open(sending)} if sending.part.media else {}

        async def edit(target: str) -> Receipt:
            message = client.get_partial_messageable(int(target)).get_partial_message(int(message_id))
            view = view_of(sending.part.buttons) if sending.part.buttons else None
            done = await message.edit(content=sending.part.text or None, view=view, **more)  # a message stays without previews
            return Receipt(message_id=str(done.id), at=done.edited_at or done.created_at)

        try:
            return await edit(await self._rest.target(sending.address))
        except (discord.NotFound, discord.Forbidden) as error:
            if error.code in (UNKNOWN_MESSAGE, NOT_OURS):
                return None
            raise

    async def _open(self, sending: Sending) -> list[discord.File]:
        try:
            return await asyncio.to_thread(
                lambda: [discord.File(self._files.path(each), filename=each.name) for each in sending.part.media]
            )
        except OSError as error:
            raise SendRefused("media_missing", "A file of the message is no longer there.") from error

    async def _arrived(self, client: DiscordClient, target: str, sending: Sending, since: datetime) -> Receipt | None:
        """The receipt of an earlier try that arrived: our own message since then with this content, which is no other part's."""
        after = discord.utils.time_snowflake(since)
        others = {message_id for message_id, key in self._sent if key != sending.key}
        for _ in range(_MOST_PAGES):
            page: list[Any] = await client.http.logs_from(int(target), _PAGE, after=after)
            for message in reversed(page):
                if int(message["author"]["id"]) == client.me.id and str(message["id"]) not in others and _is(message, sending):
                    return Receipt(message_id=str(message["id"]), at=datetime.fromisoformat(message["timestamp"]))
            if len(page) < _PAGE:
                return None
            after = int(page[0]["id"])
        return None


def _is(message: dict[str, Any], sending: Sending) -> bool:
    nonce = message.get("nonce")
    if nonce is not None and str(nonce) != sending.key:
        return False
    names = len(message.get("attachments", ()))
    return str(message["content"]).strip() == sending.part.text.strip() and names == len(sending.part.media)

"""Sending a part, once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import aiohttp
import discord

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendFailed, Sending, SendRefused
from assistant.contracts.outbox import MediaFiles, Receipt
from channels.discord.errors import NO_REPLIES_HERE, NOT_OURS, UNKNOWN_MESSAGE, send_failure
from channels.discord.outbound import files_of, view_of
from channels.discord.rest import Client, Rest
from channels.discord.settings import DiscordSettings
from channels.discord.wire import Refusals

T = TypeVar("T")
_NONCE_HOLDS: Final = timedelta(seconds=60)
"""Discord honours a nonce "for a few minutes"; for this long it is relied on alone."""
_MOST_SENT: Final = 1000
_PAGE, _MOST_PAGES = 100, 10


@dataclass(slots=True)
class _Try:
    """How far it got."""

    written: bool = False


class Sender:
    """Sends parts; safe to be used for many chats at once."""

    def __init__(self, settings: DiscordSettings, rest: Rest, files: MediaFiles, refusals: Refusals, within: float) -> None:
        """`within`: seconds for a part."""
        self._settings = settings
        self._rest = rest
        self._files = files
        self._refusals = refusals
        self._within = within
        self._sent: deque[tuple[str, str]] = deque(maxlen=_MOST_SENT)
        """(message, key) of the last receipts."""

    async def send(self, sending: Sending) -> Receipt:
        """See `Channel.send`. The nonce makes a repeat harmless: Discord gives back the first message. After a minute, its history is looked
        at first; where the bot may not read that, Discord shows nothing of it, and a message that did arrive comes twice."""
        attempt = _Try()
        try:
            async with asyncio.timeout(self._within):
                receipt = await self._send(await self._rest.client(), sending, attempt)
                self._sent.append((str(receipt.message_id), sending.key))
                return receipt
        except SendFailed:
            raise
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise send_failure(error, self._refusals, written=attempt.written) from error

    async def _send(self, client: Client, sending: Sending, attempt: _Try) -> Receipt:
        if sending.replaces is not None and (receipt := await self._edit(client, sending, sending.replaces)) is not None:
            return receipt
        if sending.again is not None and datetime.now(UTC) - sending.again > _NONCE_HOLDS:
            since = sending.again + self._refusals.ahead
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
        """Do it in the channel of an address; where there is none but a user of that id, in their direct messages."""
        try:
            return await act(await self._rest.target(address))
        except discord.NotFound as error:
            if address.thread_id is not None:
                raise
            return await act(await self._rest.open_private(address.chat_id, error))

    async def _post(self, client: Client, target: str, sending: Sending, reply_to: str | None, attempt: _Try) -> Receipt:
        channel = client.get_partial_messageable(int(target))
        more: dict[str, Any] = {}
        if reply_to is not None and reply_to.isdecimal():
            more["reference"] = channel.get_partial_message(int(reply_to)).to_reference(fail_if_not_exists=False)
        if sending.part.buttons:
            more["view"] = view_of(sending.part.buttons)
        if sending.part.media:
            more["files"] = await self._open(sending)
        attempt.written = True
        message = await channel.send(
            sending.part.text or None, nonce=sending.key, suppress_embeds=not self._settings.link_previews, mention_author=False, **more
        )
        return Receipt(message_id=str(message.id), at=message.created_at)

    async def _edit(self, client: Client, sending: Sending, message_id: str) -> Receipt | None:
        """Put the part in the place of a message. None: that is no longer there."""
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
            return await asyncio.to_thread(files_of, sending.part, self._files)
        except OSError as error:
            raise SendRefused("media_missing", "A file of the message is no longer there.") from error

    async def _arrived(self, client: Client, target: str, sending: Sending, since: datetime) -> Receipt | None:
        """Our own message with this content, written since then, that no other part had for its receipt: the earlier try arrived."""
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
    """Whether this is the part that is being sent, as far as can be seen."""
    nonce = message.get("nonce")
    if nonce is not None and str(nonce) != sending.key:
        return False
    names = len(message.get("attachments", ()))
    return str(message["content"]).strip() == sending.part.text.strip() and names == len(sending.part.media)

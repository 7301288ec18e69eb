"""IRC as a channel."""

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import (
    ChannelContext,
    ChannelFailed,
    ChannelLink,
    Conversation,
    Limit,
    SendFailed,
    Sending,
    SendLater,
    SendRefused,
    SendUnclear,
)
from assistant.contracts.outbox import OutboundEvent, OutboundPart, Receipt
from channels.irc.connection import IrcConnection
from channels.irc.inbound import IrcReader, Known
from channels.irc.lines import LINES, IrcLine, line_parts, lower, room_for
from channels.irc.settings import ACCOUNT, NICK, ROOM, IrcSettings
from channels.kit.hearing import Hearing
from channels.kit.intake import Intake
from channels.kit.planning import MessageRules, plan_message

log = logging.getLogger(__name__)
_RULES: Final = MessageRules(platform="IRC", texts=line_parts, most_text=512, most_files=0)
_SECONDS: Final = 50.0
_WAIT: Final = re.compile(r"(\d{1,5}) ?sec")
_SOON: Final = frozenset({"263", "439", "707"})
_BLOCKED: Final = frozenset({"531", "716", "718"})
_AWAY: Final = 60.0
_MOST_WAITING: Final = 5000


class IrcChannel:
    """A nick on one server. See `contracts.channels.Channel`. One connection sends and receives; it is made by the first that needs it."""

    name = "irc"
    keyed = False
    conversation: Conversation | None

    def __init__(
        self,
        settings: IrcSettings,
        context: ChannelContext,
        *,
        pause: float = 1.0,
        gather: float = 1.0,
        quiet: float = 90.0,
        patience: float = 20.0,
    ) -> None:
        """`pause`: seconds before the first retry where the store can't be written. `gather`: for the next line of a long message. `quiet` and
        `patience`: see `IrcConnection`."""
        self._settings = settings
        self._quiet, self._patience, self._gather = quiet, patience, gather
        self.conversation = None
        self._intake = Intake(self.name, pause=pause)
        self._hearing = Hearing(settings.groups, allow_bots=settings.allow_bots)
        self._lock = asyncio.Lock()
        self._connection: IrcConnection | None = None
        self._lines: asyncio.Queue[IrcLine] = asyncio.Queue(_MOST_WAITING)
        self._known = Known()

    def limits(self, address: Address) -> Sequence[Limit]:
        """A part is a few lines; the connection itself keeps the time between them."""
        return (Limit(key=self.name, amount=2, seconds=2 * LINES * self._settings.line_seconds),) if self._settings.line_seconds else ()

    def plan(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        texts: Callable[[str, int], Sequence[object]] = partial(_texts, most=room_for(event.address.chat_id))
        return plan_message(event, replace(_RULES, texts=texts))  # pyright: ignore[reportArgumentType] - as above

    async def identity(self) -> str:
        connection = await self._connected()
        return f"{connection.nick} on {self._settings.host}"

    async def run(self, link: ChannelLink) -> None:
        connection = await self._connected()
        for entry in self._settings.channels:
            room, _, key = entry.partition(" ")
            if (refusal := await self._join(connection, room, key)) is not None:
                log.warning("irc.not_joined room=%s code=%s", room, refusal.command)
        link.connected(f"{connection.nick} on {self._settings.host}")
        reader = IrcReader(self._settings, connection, self._hearing, self._lines, self._known, self._gather)
        while True:
            message = await reader.next()
            if message is None:
                raise ChannelFailed(f"{connection.ended.result()}.".replace("..", "."))
            await self._intake.keep(link, message)

    async def send(self, sending: Sending) -> Receipt:
        target, account = sending.address.chat_id.removeprefix(ACCOUNT), sending.address.chat_id.startswith(ACCOUNT)
        if not (ROOM.fullmatch(target) or NICK.fullmatch(target)):
            raise SendRefused("not_found", "That is no channel or nick of IRC.")
        try:
            async with asyncio.timeout(_SECONDS):
                connection = await self._connected()
                if ROOM.fullmatch(target) and (refusal := await self._join(connection, target, self._key(target))) is not None:
                    raise _failure(refusal, target)
                if account and lower(await connection.account_of(target)) != lower(target):
                    words = f"No one under the nick {target} is logged in to that account."
                    raise SendLater("offline", words, retry_after=_AWAY, counts=False)
        except ChannelFailed as error:
            raise SendLater("unauthorized" if error.fatal else "network", str(error), counts=False, whole_channel=True) from error
        except TimeoutError:
            raise SendLater("network", f"{self._settings.host} does not answer.", counts=False, whole_channel=True) from None
        return await self._say(connection, target, sending.part.text.split("\n"))

    async def _say(self, connection: IrcConnection, target: str, lines: list[str]) -> Receipt:
        try:
            async with asyncio.timeout(_SECONDS):
                waiter = await connection.said(target, lines)
        except ConnectionError:
            raise SendLater("network", "The connection had ended.", counts=False, whole_channel=True) from None
        except (TimeoutError, ChannelFailed) as error:
            raise SendUnclear("no_answer", f"No answer came from {self._settings.host} ({error}); the message may have arrived.") from None
        if waiter.refusal is not None:
            raise _failure(waiter.refusal, target)
        return Receipt(message_id=waiter.message_id, at=datetime.now(UTC))

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    def _key(self, room: str) -> str:
        return next((key for name, _, key in (each.partition(" ") for each in self._settings.channels) if lower(name) == lower(room)), "")

    async def _join(self, connection: IrcConnection, room: str, key: str) -> IrcLine | None:
        try:
            return await connection.join(room, key)
        except TimeoutError:
            raise ChannelFailed(f"{self._settings.host} does not answer.") from None

    async def _connected(self) -> IrcConnection:
        """Raises ChannelFailed."""
        async with self._lock:
            if self._connection is None or self._connection.ended.done():
                connection = IrcConnection(self._settings, self._take, quiet_seconds=self._quiet, patience=self._patience)
                await connection.connect()
                self._connection = connection
            return self._connection

    def _take(self, line: IrcLine) -> None:
        if self._lines.full():
            log.warning("irc.flooded")  # what can't be taken in is lost: IRC sends nothing again
            return
        self._lines.put_nowait(line)


def _texts(markdown: str, limit: int, *, most: int) -> Sequence[object]:
    return line_parts(markdown, min(limit, most))


def _failure(line: IrcLine, target: str) -> SendFailed:
    """What an error means. https://modern.ircdocs.horse/#numerics"""
    said = line.at(-1)[:200]
    if line.command in _SOON:
        wait = _WAIT.search(said)
        return SendLater("flood_wait", f"The server asks to wait: {said}", retry_after=float(wait[1]) if wait else None, counts=False)
    if line.command in _BLOCKED:
        return SendRefused("blocked", f"{target} takes no messages of the assistant: {said}")
    if line.command == "401":
        return SendLater("offline", f"{target} is not there: {said}", retry_after=_AWAY, counts=False)
    return SendRefused("forbidden" if line.command != "403" else "not_found", f"The server refused it: {said}")

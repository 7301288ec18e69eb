"""XMPP as a channel."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from xml.etree.ElementTree import Element

from slixmpp.exceptions import IqError, IqTimeout

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit
from assistant.contracts.errors import traceback_location
from assistant.contracts.inbox import InboundMessage, Quote, Sender
from channels.kit.chats import ChatChannel, Manners
from channels.kit.commands import command_of
from channels.kit.hearing import Overheard
from channels.kit.http import PlatformError, PlatformHttp
from channels.kit.refusals import connecting
from channels.xmpp.session import XmppSession, error_in, jid_of
from channels.xmpp.settings import XmppSettings
from channels.xmpp.stanzas import Stanza, add, archived, read_stanza
from channels.xmpp.wire import PLATFORM, XmppWire, rules_of

log = logging.getLogger(__name__)
_CURSOR: Final = "cursor"
_OVERLAP: Final = timedelta(seconds=60)
_OLDEST: Final = timedelta(days=7)
_MOST_WAITING: Final = 10_000
_ENTERING: Final = 5.0
"""Seconds that rooms may take, before the chats with persons are read."""
_QUIET: Final = 60.0
"""Seconds without a message after which the connection is tried."""


class XmppChannel(ChatChannel):
    """See `contracts.channels.Channel`."""

    name = "xmpp"
    keyed = False
    """The key is the message's id, but a server passes one that comes twice on twice."""

    def __init__(self, settings: XmppSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        self._settings = settings
        self._arrived: asyncio.Queue[Element] = asyncio.Queue(_MOST_WAITING)
        self._lost = False
        self._listening = False
        self._session = XmppSession(settings, heard=self._hear)
        http = PlatformHttp(self.name, version=context.version)
        self._wire = wire = XmppWire(settings, self._session, http)
        manners = Manners(groups=settings.groups, preview=settings.preview)
        super().__init__(manners, context, wire, rules_of(settings), earlier=wire.earlier, closes=http, typing_seconds=20.0, pause=pause)
        self.conversation = replace(self.conversation, preview_seconds=2.0)

    def limits(self, address: Address) -> Sequence[Limit]:
        """Servers slow down those who send much: prosody takes 10 kB/s."""
        return (Limit(key=self.name, amount=20, seconds=5), Limit(key=address.lane, amount=10, seconds=10))

    async def identity(self) -> str:
        with connecting(PLATFORM, setting="channels.xmpp.password"):
            return str((await self._session.client()).boundjid.bare)

    async def run(self, link: ChannelLink) -> None:
        try:
            with connecting(PLATFORM, setting="channels.xmpp.password"):
                await self._run(link)
        finally:
            self._listening = False
            await self._session.close()

    async def close(self) -> None:
        await self._session.close()
        await super().close()

    async def _run(self, link: ChannelLink) -> None:
        client = await self._session.client()
        self._arrived, self._lost, self._listening = asyncio.Queue(_MOST_WAITING), False, True
        kept = await self._notes.get(_CURSOR)
        now = datetime.now(UTC)
        since = max(datetime.fromisoformat(kept), now - _OLDEST) - _OVERLAP if kept is not None else None
        if kept is None:
            await self._notes.keep(_CURSOR, now.isoformat())
        entering = [asyncio.ensure_future(self._enter(link, room, since)) for room in self._settings.rooms]
        client.send_presence()  # before the archive is read: what comes after that waits here, and nothing is in neither
        if since is not None:
            await self._catch_up(link, client, since)
        if entering:
            await asyncio.wait(entering, timeout=_ENTERING)
        link.connected(str(client.boundjid.bare))
        ended = asyncio.ensure_future(self._session.ended.wait())
        try:
            while not ended.done():
                await self._next(link, client, ended)
        finally:
            for task in (ended, *entering):
                task.cancel()
        raise ChannelFailed(f"The connection to {PLATFORM.lower().removeprefix('the ')} broke.")

    async def _next(self, link: ChannelLink, client: Any, ended: "asyncio.Task[Literal[True]]") -> None:
        taking = asyncio.ensure_future(self._arrived.get())
        try:
            await asyncio.wait([taking, ended], timeout=_QUIET, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not taking.done():
                taking.cancel()
        if self._lost:
            raise ChannelFailed("More messages came than could be stored; they are read again.")
        if taking.done() and not taking.cancelled():
            await self._take(link, taking.result())
        elif not ended.done():
            ping = (await self._session.client()).plugin["xep_0199"].send_ping(jid_of(self._settings.domain), timeout=20)
            await self._session.ask(ping)

    async def _enter(self, link: ChannelLink, room: str, since: datetime | None) -> None:
        """A room that can't be entered keeps no one from the others."""
        try:
            await self._session.join(room, **({"since": since} if since is not None else {"maxstanzas": 0}))
        except PlatformError as error:
            log.warning("xmpp.room_not_entered room=%s", room)
            link.degraded(f"{room} can't be entered: {error}.")

    async def _catch_up(self, link: ChannelLink, client: Any, since: datetime) -> None:
        """What came while it was away, of the account's archive. https://xmpp.org/extensions/xep-0313.html"""
        try:
            async for each in client.plugin["xep_0313"].iterate(start=since, rsm={"max": 50}):
                if (inner := archived(each.xml, self._settings.jid)) is not None and inner.get("type") != "error":
                    await self._take(link, inner)
        except IqError as error:  # it keeps none
            log.info("xmpp.no_archive code=%s", error.condition)
        except IqTimeout:
            raise ChannelFailed(f"{PLATFORM}'s archive does not answer.") from None

    def _hear(self, stanza: Element) -> None:
        """Messages wait, so that those of the archive come first. Where too many do, the connection is made again, and they are in the archive."""
        if not self._listening:
            return
        try:
            self._arrived.put_nowait(stanza)
        except asyncio.QueueFull:
            self._lost = True

    async def _take(self, link: ChannelLink, stanza: Element) -> None:
        if stanza.get("type") == "error":
            error = error_in(stanza)
            await link.undelivered(stanza.get("id", ""), error.code, f"{PLATFORM} answered later: {error.words}")
            return
        try:
            said = read_stanza(stanza)
            message = self._message(said) if said is not None else None
        except (ValueError, TypeError, OverflowError) as error:  # a shape that no one thought of; it would come again for ever
            log.error("xmpp.stanza_not_read at=%s", traceback_location(error))  # noqa: TRY400 - it may hold words
            return
        if said is None or message is None:
            return
        kept = await self._intake.keep(link, message)
        await self._notes.keep(_CURSOR, (said.at or datetime.now(UTC)).isoformat())
        if kept and said.wants_receipt and said.id and not said.in_room:
            await self._confirm(said)

    async def _confirm(self, said: Stanza) -> None:
        """XEP-0184, when the message is stored; a stranger does not learn by it that the account is there."""
        client = await self._session.client()
        receipt = client.make_message(mto=jid_of(f"{said.sender}/{said.nick}" if said.nick else said.sender), mtype="chat")
        add(receipt.xml, "{urn:xmpp:receipts}received", id=said.id)
        add(receipt.xml, "{urn:xmpp:hints}store")
        receipt.send()

    def _message(self, said: Stanza) -> InboundMessage | None:
        """None: it is not for the assistant."""
        room = said.sender if said.in_room else None
        if (room is not None and room not in self._settings.rooms) or (room is None and said.sender in self._settings.rooms):
            return None
        sender = self._member(said) if room is not None else said.sender
        own = (said.nick == self._settings.nick) if room is not None else (said.sender == self._settings.jid)
        if not sender or own:
            return None
        words, mentions = self._without_name(said.body) if room is not None else (said.body, False)
        command = command_of(words)
        answers = said.answers == f"{said.sender}/{self._settings.nick}"
        heard = Overheard(
            chat_id=said.sender, external_id=said.key, private=room is None, mentions_me=mentions, answers_me=answers, command=command
        )
        if not self._hearing.hears(heard):
            return None
        return InboundMessage(
            external_id=said.key,
            address=Address(channel=self.name, chat_id=said.sender),
            sender=Sender(id=sender, name=said.nick if room is not None and said.nick else sender.partition("@")[0]),
            private=room is None,
            text=words,
            quote=Quote(text=said.quote, author="") if said.quote else None,
            files=tuple(replace(each, ref=each.ref if self._wire.may_fetch(each.ref, sender) else "") for each in said.files),
            command=command,
            message_id=said.id or None,
            at=said.at or datetime.now(UTC),
        )

    def _member(self, said: Stanza) -> str:
        """The bare address of who wrote in a room, where the room shows it; else the room's own id of them; empty: neither is known. Never the
        nick, which others may take: of what was written a while ago, by who has its nick now only if the room's id is the same."""
        occupant = said.occupant if said.sender in self._session.stamping else ""
        member = self._session.members.get(f"{said.sender}/{said.nick}")
        if member is not None and member.jid and (member.occupant == occupant if occupant else said.at is None):
            return member.jid
        return f"{said.sender}#{occupant}" if occupant else ""

    def _without_name(self, body: str) -> tuple[str, bool]:
        """(without the name that it is addressed to, whether it names the assistant)."""
        nick = self._settings.nick
        stripped = body.strip()
        for start in (f"@{nick}", nick):
            rest = stripped[len(start) :]
            if stripped.lower().startswith(start.lower()) and (not rest or rest[0] in ":, \n"):
                return rest.lstrip(":, \n") or stripped, True
        words = stripped.lower().replace(",", " ").replace(":", " ").split()
        return body, any(word.strip("@.!?") == nick.lower() for word in words)

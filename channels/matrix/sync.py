"""Reads what happens in the account's rooms: one sync after the other, each kept as read after its messages are stored."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import orjson

from assistant.contracts.channels import ChannelFailed, ChannelLink, SendFailed
from assistant.contracts.errors import traceback_location
from assistant.contracts.notes import ChannelNotes
from assistant.contracts.util import new_id
from channels.kit.hearing import Hearing
from channels.kit.http import Answered, PlatformError
from channels.kit.intake import Intake
from channels.kit.values import Latest, id_at, list_at, text_at, value_at
from channels.matrix.api import PLATFORM, Login, MatrixApi, errcode, path_of, wait_of
from channels.matrix.inbound import MOST_ID, MatrixReader
from channels.matrix.invitations import Invitations
from channels.matrix.places import Places
from channels.matrix.rooms import MatrixRoom, Rooms, events_in, rooms_in
from channels.matrix.secrecy import Secrecy
from channels.matrix.settings import MatrixSettings
from channels.matrix.wire import MatrixWire

log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 30
_MOST_MISSED: Final = 2000
"""Messages of a room that are fetched after an outage."""
_PAGE: Final = 100
_MOST_WAITING: Final = 200
_MOST_TOLD: Final = 3
_MOST_KNOWN: Final = 2000
_MESSAGES: Final = frozenset({"m.room.message", "m.sticker", "m.room.encrypted"})
_NOTHING: Final[Any] = {"types": []}


def _filter(timeline: int, nonce: str = "") -> str:
    """https://spec.matrix.org/latest/client-server-api/#filtering. `nonce`: a filter like no other, because Synapse answers a first sync from a cache
    of two minutes, which may not know yet that a room is encrypted."""
    room = {"timeline": {"limit": timeline}, "state": {"lazy_load_members": True}, "ephemeral": _NOTHING, "account_data": _NOTHING}
    return orjson.dumps({"room": room, "presence": _NOTHING | ({"not_types": [nonce]} if nonce else {}), "account_data": _NOTHING}).decode()


@dataclass(kw_only=True)
class Syncing:
    """One run of the connection."""

    api: MatrixApi
    rooms: Rooms
    places: Places
    invitations: Invitations
    secrecy: Secrecy
    wire: MatrixWire
    settings: MatrixSettings
    notes: ChannelNotes
    intake: Intake
    hearing: Hearing
    link: ChannelLink
    _people: Latest[bool] = field(default_factory=lambda: Latest[bool](_MOST_KNOWN))
    """Those who may write, as far as they did."""
    _waiting: Latest[tuple[MatrixRoom, Any]] = field(default_factory=lambda: Latest[tuple[MatrixRoom, Any]](_MOST_WAITING))
    """Encrypted events whose key has not come yet."""
    _told: Latest[set[str]] = field(default_factory=lambda: Latest[set[str]](_MOST_KNOWN))
    """room → what was said in it of messages that can't be read. The keys that they name are their senders' choice."""
    _detail: str = ""

    async def run(self, login: Login, name: str) -> None:
        """Raises PlatformError, ChannelFailed, StoreUnavailable."""
        self._me = login.user_id
        self._reader = MatrixReader(login.user_id, name, self.hearing, self._event)
        note = f"since:{login.user_id}:{login.device_id}"
        since = await self.notes.get(note)
        now = await self._sync(None, 0)
        for id, news in rooms_in(now, "join"):
            self.rooms.take(id, news)
        await self.secrecy.take(now if since is None else {})
        last = await self.link.last_seen()
        for room in self.rooms:
            if room.id in last and room.private:
                self._people.update(dict.fromkeys(room.others, True))
        self._say_connected()
        await self.invitations.take(self._me, self._people, now)
        if since is None:
            since = _cursor_of(now)
            await self.notes.keep(note, since)
        while True:
            news = await self._sync(since, _POLL_SECONDS)
            await self._take(news, since)
            since = _cursor_of(news)
            await self.notes.keep(note, since)

    async def _sync(self, since: str | None, wait: int) -> Any:
        """https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync"""
        params = {"filter": _filter(50) if since else _filter(0, new_id("n")), "timeout": str(wait * 1000), "set_presence": "online"} | (
            {"since": since} if since else {}
        )
        while True:
            try:
                return await self.api.call("GET", path_of("sync"), params=params, seconds=wait + 20.0)
            except Answered as error:
                if errcode(error) != "M_LIMIT_EXCEEDED":
                    raise
                await asyncio.sleep(wait_of(error) or 5.0)

    async def _take(self, news: Any, since: str) -> None:
        await self.secrecy.take(news)
        if events_in(news, "to_device"):
            await self._read_waiting()
        await self.invitations.take(self._me, self._people, news)
        for id, section in rooms_in(news, "join"):
            was_in = self.rooms.get(id) is not None
            room = self.rooms.take(id, section)
            last = ""
            async for event in self._new(room, section, since, was_in):
                last = await self._event_of(room, event) or last
            if last and self.settings.read_receipts:
                await self._mark_read(room, last)
        for id, _ in rooms_in(news, "leave"):
            self.rooms.leave(id)
        self._say_connected()

    async def _new(self, room: MatrixRoom, section: Any, since: str, was_in: bool) -> AsyncGenerator[Any]:
        """The events since the last sync, with those that it leaves out. Of a room that was joined in between: those since the invitation."""
        events = events_in(section, "timeline")
        if not was_in:
            about_us = (place for place, event in enumerate(events) if text_at(event, "state_key") == self._me)
            events = events[next(about_us, 0) :]
        elif value_at(section, "timeline", "limited") is True:
            before = text_at(section, "timeline", "prev_batch")
            for event in await self._missed(room, before, since) if before else ():
                yield event
        for event in events:
            yield event

    async def _missed(self, room: MatrixRoom, before: str, since: str) -> Sequence[Any]:
        """https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3roomsroomidmessages"""
        found: list[Any] = []
        while len(found) < _MOST_MISSED:
            params = {"dir": "b", "from": before, "to": since, "limit": str(_PAGE)}
            page = await self.api.call("GET", path_of("rooms", room.id, "messages"), params=params)
            chunk = list_at(page, "chunk")
            found += chunk
            before = text_at(page, "end")
            if not chunk or not before:
                return found[::-1]
        log.warning("matrix.messages_missed room=%s read=%d", room.id, len(found))
        return found[::-1]

    async def _event_of(self, room: MatrixRoom, event: Any) -> str:
        """Returns the event's id, if it was accepted."""
        kind = text_at(event, "type")
        if kind == "m.room.tombstone" and value_at(event, "state_key") == "":
            await self._upgraded(room, event)
        elif kind == "m.room.member" and text_at(event, "content", "membership") != "invite":
            await self.secrecy.changed(room.id)
        elif kind in _MESSAGES and text_at(event, "sender") != self._me:
            return await self._read(room, event)
        return ""

    async def _read(self, room: MatrixRoom, event: Any) -> str:
        if text_at(event, "type") == "m.room.encrypted":
            sealed, event = event, await self.secrecy.opened(room.id, event)
            if event is None:
                await self._unreadable(room, sealed)
                return ""
        try:
            message = await self._reader.read(room, event)
        except (TypeError, ValueError, KeyError, AttributeError) as error:  # a shape that no one thought of; it would come again for ever
            log.error("matrix.event_not_read room=%s at=%s", room.id, traceback_location(error))  # noqa: TRY400 - it may hold words
            return ""
        if message is None or not await self.intake.keep(self.link, message):
            return ""
        self._people[message.sender.id] = True
        await self.invitations.let_in(room.id)
        return message.external_id

    async def _event(self, room: str, id: str) -> Any:
        """An event of a room, decrypted; None: it can't be read."""
        try:
            found = await self.api.call("GET", path_of("rooms", room, "event", id))
        except Answered as error:
            if error.status < 500 and error.status not in (401, 429):
                return None
            raise
        if text_at(found, "type") == "m.room.encrypted":
            opened: Any = await self.secrecy.opened(room, found)
            return found if opened is None else opened
        return found

    async def _unreadable(self, room: MatrixRoom, event: Any) -> None:
        """Says so in the room, once; what only waits for its key is read when that comes."""
        id = id_at(event, "event_id", most=MOST_ID)
        if not id:
            return
        why = self.secrecy.why_not
        log.warning("matrix.unreadable room=%s id=%s", room.id, id)
        if not why:
            self._waiting[id] = room, event
        session = "" if why else text_at(event, "content", "session_id")
        told, before = sha256(f"{room.id} {session}".encode()).hexdigest()[:24], self._told.get(room.id) or set()
        if told in before or len(before) >= _MOST_TOLD or (self.settings.groups == "off" and not room.private):
            return
        self._told[room.id] = before | {told}
        words = (
            f"This room is encrypted, and I can't read it: {why}. Write to me in a room without encryption."
            if why
            else "I can't decrypt that message: its key has not reached me. Please write it again."
        )
        content: dict[str, Any] = {"msgtype": "m.notice", "body": words, "m.mentions": {}}
        try:
            if why:  # as plain text: there is no other way to say it
                await self.api.call("PUT", path_of("rooms", room.id, "send", "m.room.message", f"u{told}"), json=content)
            else:
                await self.wire.put(room.id, content, f"u{told}")
        except (PlatformError, SendFailed) as error:
            log.warning("matrix.unreadable_not_said room=%s reason=%s", room.id, type(error).__name__)

    async def _read_waiting(self) -> None:
        for id, (room, event) in list(self._waiting.items()):
            opened = await self.secrecy.opened(room.id, event)
            if opened is not None:
                del self._waiting[id]
                await self._read(room, opened)

    async def _mark_read(self, room: MatrixRoom, id: str) -> None:
        try:
            await self.api.call("POST", path_of("rooms", room.id, "receipt", "m.read", id), json={})
        except PlatformError as error:
            log.info("matrix.not_marked_read room=%s reason=%s", room.id, error)

    async def _upgraded(self, room: MatrixRoom, event: Any) -> None:
        """https://spec.matrix.org/latest/client-server-api/#room-upgrades. A room can call itself the successor of none but those that name it."""
        new, server = id_at(event, "content", "replacement_room", most=MOST_ID), text_at(event, "sender").partition(":")[2]
        if not new or new == room.id or self.settings.join == "off":
            return
        via, was_in = {"via": server, "server_name": server}, self.rooms.get(new) is not None
        try:
            if not was_in:
                await self.api.call("POST", path_of("join", new), json={}, params=via)
            made = await self.api.call("GET", path_of("rooms", new, "state", "m.room.create", ""))
        except Answered as error:
            log.warning("matrix.upgrade_not_followed room=%s reason=%s", room.id, error)
            return
        if text_at(made, "predecessor", "room_id") == room.id:
            self.places.moved(room.id, new)
            await self.link.moved(room.id, new)
            await self.invitations.moved(room.id, new)
        elif not was_in:
            await self.invitations.leave(new)

    def _say_connected(self) -> None:
        hidden = sum(room.encrypted for room in self.rooms) if self.secrecy.why_not else 0
        blind = f"; can't read encrypted rooms ({hidden}): {self.secrecy.why_not}" if hidden else ""
        detail = f"{self._me}{blind}"
        if detail != self._detail:
            self._detail = detail
            self.link.connected(detail)


def _cursor_of(news: Any) -> str:
    """Raises ChannelFailed: what came is read again."""
    if found := text_at(news, "next_batch"):
        return found
    raise ChannelFailed(f"{PLATFORM} answered a sync without next_batch.")

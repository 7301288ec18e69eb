"""Which invitations are accepted. Each room makes every sync heavier, and anyone can invite: there are only so many rooms of strangers."""

import logging
import time
from collections import deque
from collections.abc import Collection
from typing import Any, Final

import orjson

from assistant.contracts.notes import ChannelNotes
from channels.kit.http import PlatformError
from channels.kit.values import text_at, value_at
from channels.matrix.api import MatrixApi, path_of
from channels.matrix.places import Places
from channels.matrix.rooms import events_in, rooms_in
from channels.matrix.settings import MatrixSettings

log = logging.getLogger(__name__)
_NOTE: Final = "strangers"
"""The rooms that a stranger's invitation led to, and in which no one was let in yet; the oldest first."""
_MOST_AN_HOUR: Final = 10
_MOST_ROOMS: Final = 50


class Invitations:
    """One for all runs of an adapter."""

    def __init__(self, api: MatrixApi, places: Places, settings: MatrixSettings, notes: ChannelNotes) -> None:
        self._api = api
        self._places = places
        self._settings = settings
        self._notes = notes
        self._joined: deque[float] = deque(maxlen=_MOST_AN_HOUR)
        """When strangers' invitations were accepted."""
        self._rooms: list[str] | None = None
        """What the note holds, once it was read."""

    async def take(self, me: str, people: Collection[str], news: Any) -> None:
        """Join what the account is invited to. `people`: who may write. https://spec.matrix.org/latest/client-server-api/#joining-rooms"""
        allowed = {*people, *self._settings.owners, *self._settings.allow_from}
        for id, section in rooms_in(news, "invite"):
            state = events_in(section, "invite_state")
            ours = next((each for each in state if text_at(each, "type") == "m.room.member" and text_at(each, "state_key") == me), None)
            by, direct = text_at(ours, "sender"), value_at(ours, "content", "is_direct") is True
            known = by in allowed or "*" in allowed
            if self._settings.join == "off" or not by or not (direct or known):
                log.info("matrix.not_joined room=%s by=%s", id, by)
            elif known or self._has_turn():
                await self._join(id, by, direct=direct, known=known)
            else:
                log.warning("matrix.invitation_declined room=%s by=%s", id, by)
                await self.leave(id)

    async def moved(self, room: str, now: str) -> None:
        """A stranger's room was upgraded: the account is in no more rooms than before."""
        if room in (rooms := await self._strangers()):
            await self.leave(room)
            await self._keep([now if each == room else each for each in rooms])

    async def let_in(self, room: str) -> None:
        """Someone in this room may write: it is no stranger's any more."""
        if room in (rooms := await self._strangers()):
            await self._keep([each for each in rooms if each != room])

    async def leave(self, id: str) -> None:
        """Leave a room, or decline the invitation to it."""
        try:
            await self._api.call("POST", path_of("rooms", id, "leave"), json={})
            await self._places.forget_direct(id)
        except PlatformError as error:
            log.warning("matrix.not_left room=%s reason=%s", id, error)

    def _has_turn(self) -> bool:
        return len(self._joined) < _MOST_AN_HOUR or time.monotonic() - self._joined[0] > 3600

    async def _join(self, id: str, by: str, *, direct: bool, known: bool) -> None:
        try:
            await self._api.call("POST", path_of("join", id), json={})
            if direct:
                await self._places.note_direct(by, id)
        except PlatformError as error:
            log.warning("matrix.not_joined room=%s reason=%s", id, error)
            return
        if known:
            return
        self._joined.append(time.monotonic())
        rooms = [*(each for each in await self._strangers() if each != id), id]
        for old in rooms[:-_MOST_ROOMS]:
            log.warning("matrix.strangers_room_left room=%s", old)
            await self.leave(old)
        await self._keep(rooms[-_MOST_ROOMS:])

    async def _strangers(self) -> list[str]:
        if self._rooms is None:
            self._rooms = list(orjson.loads(await self._notes.get(_NOTE) or "[]"))
        return self._rooms

    async def _keep(self, rooms: list[str]) -> None:
        self._rooms = rooms
        await self._notes.keep(_NOTE, orjson.dumps(rooms).decode())

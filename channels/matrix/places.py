"""Which room an address means: a room, a room's alias, or the direct chat with a person."""

import asyncio
from typing import Any, Final

from assistant.contracts.channels import SendRefused
from channels.kit.http import Answered
from channels.kit.values import Latest, text_at
from channels.matrix.api import MatrixApi, path_of, told
from channels.matrix.rooms import object_at, texts_at

_DIRECT: Final = "m.direct"
"""The account's list of direct chats. https://spec.matrix.org/latest/client-server-api/#mdirect"""

_MOST_MOVED: Final = 500


class Places:
    def __init__(self, api: MatrixApi) -> None:
        self._api = api
        self._lock = asyncio.Lock()
        self._moved = Latest[str](_MOST_MOVED)

    def moved(self, room: str, now: str) -> None:
        """What is under way to a room that was upgraded goes to the new one."""
        self._moved[room] = now

    async def room_of(self, chat_id: str) -> str:
        """Raises PlatformError, SendRefused."""
        match chat_id[:1]:
            case "!":
                return self._moved.get(chat_id, chat_id)
            case "#":
                return told(await self._api.call("GET", path_of("directory", "room", chat_id)), "room_id")
            case "@":
                return await self._direct(chat_id)
            case _:
                raise SendRefused("not_found", "That is no room, alias or person of Matrix.")

    async def _direct(self, user: str) -> str:
        """The direct chat with a person that no one else is in; a new one, to which they are invited, where there is none."""
        async with self._lock:
            for room in reversed(texts_at(await self.direct_chats(), user)):
                if await self._is_between_us(room, user):
                    return room
            wanted = {"preset": "trusted_private_chat", "is_direct": True, "invite": [user]}
            room = told(await self._api.call("POST", path_of("createRoom"), json=wanted), "room_id")
            await self.note_direct(user, room)
            return room

    async def _is_between_us(self, room: str, user: str) -> bool:
        me = (await self._api.login()).user_id
        try:
            joined = object_at(await self._api.call("GET", path_of("rooms", room, "joined_members")), "joined")
            if user in joined:
                return set(joined) == {me, user}
            member = await self._api.call("GET", path_of("rooms", room, "state", "m.room.member", user))
            return set(joined) == {me} and text_at(member, "membership") == "invite"
        except Answered as error:
            if error.status in (403, 404):  # the account has left it
                return False
            raise

    async def direct_chats(self) -> dict[str, Any]:
        """User → rooms."""
        me = (await self._api.login()).user_id
        try:
            return object_at(await self._api.call("GET", path_of("user", me, "account_data", _DIRECT)))
        except Answered as error:
            if error.status == 404:
                return {}
            raise

    async def note_direct(self, user: str, room: str) -> None:
        """Note that a room is the direct chat with a person, as clients do."""
        listed = await self.direct_chats()
        await self._keep_direct(listed | {user: [*texts_at(listed, user), room][-20:]})

    async def forget_direct(self, room: str) -> None:
        """The room is one no more."""
        listed = await self.direct_chats()
        if any(room in texts_at(listed, user) for user in listed):
            left = {user: [each for each in texts_at(listed, user) if each != room] for user in listed}
            await self._keep_direct({user: rooms for user, rooms in left.items() if rooms})

    async def _keep_direct(self, listed: dict[str, Any]) -> None:
        me = (await self._api.login()).user_id
        await self._api.call("PUT", path_of("user", me, "account_data", _DIRECT), json=listed)

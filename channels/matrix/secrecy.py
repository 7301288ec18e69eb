"""Which rooms are encrypted, and what is written in them as it is. The keys themselves are in `keys`, with the extra `matrix`."""

import asyncio
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from assistant.contracts.channels import ChannelContext, SendLater, SendRefused
from channels.kit.http import Answered
from channels.matrix.api import MatrixApi, path_of
from channels.matrix.rooms import Rooms
from channels.matrix.settings import MatrixSettings

if TYPE_CHECKING:
    from channels.matrix.keys import RoomKeys

_MISSING: Final = "the extra is not installed: pip install 'nanobot[matrix]'"
_OFF: Final = "channels.matrix.encryption is false"
_NO_DEVICE: Final = "the access token belongs to no device: log in with a password instead"


class Secrecy:
    def __init__(self, api: MatrixApi, rooms: Rooms, settings: MatrixSettings, context: ChannelContext) -> None:
        self._api = api
        self._rooms = rooms
        self._context = context
        self.why_not = _OFF if not settings.encryption else "" if find_spec("vodozemac") and find_spec("nio") else _MISSING
        """Why encrypted rooms can't be read; empty: they can."""
        self._keys: RoomKeys | None = None
        self._lock = asyncio.Lock()

    async def is_encrypted(self, room: str) -> bool:
        """Asks the server about a room that is not in the sync: nothing may go into an encrypted one as plain text. Raises PlatformError."""
        if (known := self._rooms.get(room)) is not None:
            return known.encrypted
        try:
            await self._api.call("GET", path_of("rooms", room, "state", "m.room.encryption", ""))
        except Answered as error:
            if error.status == 404:
                return False
            raise
        return True

    async def sealed(self, room: str, kind: str, content: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """(type, content) of the event that is sent. Raises PlatformError, SendFailed."""
        if not await self.is_encrypted(room):
            return kind, content
        return "m.room.encrypted", await (await self._wanted()).encrypted(room, kind, content)

    async def sealed_file(self, content: bytes) -> tuple[bytes, dict[str, Any]]:
        return await (await self._wanted()).encrypted_file(content)

    async def open_file(self, hidden: Mapping[str, Any], file: Path) -> None:
        """Decrypt a downloaded file in place. Raises SendRefused."""
        await (await self._wanted()).decrypt_file(hidden, file)

    async def opened(self, room: str, event: Any) -> Any:
        """An encrypted event as it was before; None: it can't be read."""
        keys = await self.keys()
        return await keys.decrypted(room, event) if keys is not None else None

    async def take(self, news: Any) -> None:
        """What a sync brings of keys. Raises PlatformError, ChannelFailed."""
        if (keys := await self.keys()) is not None:
            await keys.take(news)

    async def changed(self, room: str) -> None:
        """Members came or went: what is sent from here on has a new key."""
        if self._keys is not None and not self._keys.elsewhere:
            await self._keys.renew(room)

    async def keys(self) -> "RoomKeys | None":
        """Opened at the first call. None: `why_not`. Raises PlatformError, ChannelFailed."""
        if self.why_not:
            return None
        async with self._lock:
            if self._keys is not None and self._keys.elsewhere:
                await self.close()  # the other process may have ended
            if self._keys is None:
                login = await self._api.login()
                if not login.device_id:
                    self.why_not = _NO_DEVICE
                    return None
                module = await asyncio.to_thread(import_module, "channels.matrix.keys")  # 40 MB, only where it is installed and wanted
                folder = await asyncio.to_thread(self._context.make_folder)
                self._keys = await module.RoomKeys.open(self._api, login, folder)
            return self._keys

    async def close(self) -> None:
        keys, self._keys = self._keys, None
        if keys is not None:
            await keys.close()

    async def _wanted(self) -> "RoomKeys":
        keys = await self.keys()
        if keys is None:
            raise SendRefused("encrypted_room", f"The room is encrypted, and {self.why_not}.")
        if keys.elsewhere:
            raise SendLater("keys_elsewhere", "The keys of encrypted rooms are in use by another process.", counts=False)
        return keys

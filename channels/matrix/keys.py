"""End-to-end encryption: matrix-nio's Olm machine with its keys in a folder, over our own requests.

https://spec.matrix.org/latest/client-server-api/#end-to-end-encryption. Devices of people are trusted as they come; nothing is cross-signed.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar

from assistant.contracts.channels import ChannelFailed, SendRefused
from assistant.contracts.util import new_id
from channels.kit.http import Unreached
from channels.kit.values import list_at, number_at, objects_at, text_at, value_at
from channels.matrix.api import Login, MatrixApi, path_of
from channels.matrix.rooms import object_at

log = logging.getLogger(__name__)
T = TypeVar("T")
nio: Any = import_module("nio")
"""The extra `matrix`, which is not installed where this project's types are checked."""
crypto: Any = import_module("nio.crypto")
attachments: Any = import_module("nio.crypto.attachments")
events: Any = import_module("nio.events.to_device")
responses: Any = import_module("nio.responses")
store: Any = import_module("nio.store")
logging.getLogger("nio").setLevel(logging.CRITICAL)  # its lines quote what people sent
_MEMBERS: Final = frozenset({"join", "invite"})
_FEW_KEYS: Final = 25


class RoomKeys:
    """Everything of nio runs in one thread of its own: its store is SQLite, and its machine is no one else's to change meanwhile."""

    def __init__(self, api: MatrixApi, login: Login) -> None:
        self._api = api
        self._login = login
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="matrix-keys")
        self._machine: Any = None
        self._store: Any = None
        self._guard: int | None = None
        self._closed = False
        self.elsewhere = False
        """Another process has the keys: with two, each would spoil the other's."""
        self._sharing = asyncio.Lock()
        """While a room's key is given to its members, no one takes it away."""

    @classmethod
    async def open(cls, api: MatrixApi, login: Login, folder: Path) -> "RoomKeys":
        """Raises PlatformError, ChannelFailed."""
        keys = cls(api, login)
        try:
            await keys._do(lambda: keys._open(folder))
            if not keys.elsewhere:
                await keys._keep_up()
        except BaseException:
            await keys.close()
            raise
        return keys

    async def close(self) -> None:
        try:
            await self._do(self._close)
        finally:
            self._closed = True
            self._thread.shutdown(wait=False)

    async def take(self, news: Any) -> None:
        """The keys that others sent to this device, and whose devices have changed. Raises PlatformError."""
        if self.elsewhere:
            return
        async with self._sharing:
            await self._do(lambda: self._take(news))
        await self._keep_up()

    async def renew(self, room: str) -> None:
        async with self._sharing:
            await self._do(lambda: self._machine.outbound_group_sessions.pop(room, None))

    async def decrypted(self, room: str, event: Any) -> Any:
        """None: its key is not here, or it is not its sender's. Raises PlatformError."""
        if self.elsewhere:
            return None
        opened = await self._do(lambda: _read("message", partial(self._decrypt, room, event)))
        if opened is not None and not await self._do(lambda: self._is_from(event)):
            await self._query([event["sender"]])
            return opened if await self._do(lambda: self._is_from(event)) else None
        return opened

    async def encrypted(self, room: str, kind: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """The content of an m.room.encrypted event. Raises PlatformError."""
        async with self._sharing:
            if await self._do(lambda: self._machine.should_share_group_session(room)):
                await self._share(room)
            said = {"type": kind, "content": dict(content)}
            sealed: dict[str, Any] = await self._do(lambda: self._machine.group_encrypt(room, said))
        return sealed | ({"m.relates_to": content["m.relates_to"]} if "m.relates_to" in content else {})

    async def encrypted_file(self, content: bytes) -> tuple[bytes, dict[str, Any]]:
        sealed: tuple[bytes, dict[str, Any]] = await asyncio.to_thread(attachments.encrypt_attachment, content)
        return sealed

    async def decrypt_file(self, hidden: Mapping[str, Any], file: Path) -> None:
        key, digest, start = text_at(hidden, "key", "k"), text_at(hidden, "hashes", "sha256"), text_at(hidden, "iv")
        sealed = await asyncio.to_thread(file.read_bytes)
        content = await asyncio.to_thread(lambda: _read("file", partial(attachments.decrypt_attachment, sealed, key, digest, start)))
        if content is None:
            raise SendRefused("unreadable", "The file could not be decrypted.")
        await asyncio.to_thread(file.write_bytes, content)

    def _open(self, folder: Path) -> None:
        self._guard = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.elsewhere = True
            return
        name = f"{self._login.device_id.encode().hex()}.db"
        try:
            os.close(os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600))
            self._store = store.SqliteStore(self._login.user_id, self._login.device_id, str(folder), database_name=name)
            self._machine = crypto.Olm(self._login.user_id, self._login.device_id, self._store)
        except Exception as error:
            raise ChannelFailed(f"The keys in {folder} can't be read ({type(error).__name__}).", fatal=True) from error

    def _close(self) -> None:
        if self._store is not None:
            self._store.database.close()
        if self._guard is not None:
            os.close(self._guard)

    async def _keep_up(self) -> None:
        """Publish our keys, and learn those of devices that changed."""
        if await self._do(lambda: not self._machine.account.shared or _few(self._machine.uploaded_key_count)):
            ours = await self._do(lambda: self._machine.share_keys())
            answer = await self._api.call("POST", path_of("keys", "upload"), json=ours)
            response = responses.KeysUploadResponse(0, number_at(answer, "one_time_key_counts", "signed_curve25519"))
            await self._do(lambda: self._machine.handle_response(response))
        if users := await self._do(lambda: sorted(self._machine.users_for_key_query)):
            await self._query(users)

    async def _query(self, users: Sequence[str]) -> None:
        answer = await self._api.call("POST", path_of("keys", "query"), json={"device_keys": {user: [] for user in users}})
        await self._do(lambda: self._learn(responses.KeysQueryResponse, "device_keys", answer))
        await self._do(lambda: self._machine.users_for_key_query.difference_update(users))  # also those that the answer lacks

    async def _share(self, room: str) -> None:
        """Give a new key of the room to every device of its members."""
        answer: Any = await self._api.call("GET", path_of("rooms", room, "members"))
        members = [each for each in objects_at(answer, "chunk") if text_at(each, "content", "membership") in _MEMBERS]
        users = sorted({text_at(each, "state_key") for each in members} - {""})
        if unknown := await self._do(lambda: [user for user in users if user not in self._machine.tracked_users]):
            await self._query(unknown)
        if missing := await self._do(lambda: dict(self._machine.get_missing_sessions(users))):
            wanted = {user: dict.fromkeys(devices, "signed_curve25519") for user, devices in missing.items()}
            claimed = await self._api.call("POST", path_of("keys", "claim"), json={"one_time_keys": wanted})
            await self._do(lambda: self._learn(responses.KeysClaimResponse, "one_time_keys", claimed))
        await self._do(lambda: self._machine.create_outbound_group_session(room))
        while True:
            shared, messages = await self._do(
                lambda: self._machine.share_group_session(room, users, ignore_missing_sessions=True, ignore_unverified_devices=True)
            )
            if not shared:
                break
            await self._api.call("PUT", path_of("sendToDevice", "m.room.encrypted", new_id("t")), json=messages)
            await self._do(partial(self._machine.outbound_group_sessions[room].users_shared_with.update, shared))
        await self._do(lambda: self._machine.outbound_group_sessions[room].mark_as_shared())

    def _take(self, news: Any) -> None:
        for event in objects_at(news, "to_device", "events"):
            if value_at(event, "type") == "m.room.encrypted":
                _read("to_device", partial(self._take_key, event))
        count = value_at(news, "device_one_time_keys_count", "signed_curve25519")
        if isinstance(count, int):
            self._machine.uploaded_key_count = count
        changed = {user for user in list_at(news, "device_lists", "changed") if isinstance(user, str)}
        if known := changed & self._machine.tracked_users:
            self._machine.add_changed_users(known)
            self._machine.outbound_group_sessions.clear()
        for queue in (self._machine.outgoing_to_device_messages, self._machine.wedged_devices, self._machine.key_re_requests_events):
            queue.clear()  # what nio would ask others for: nothing here sends it

    def _take_key(self, event: Any) -> None:
        parsed = events.ToDeviceEvent.parse_encrypted_event(event)
        if isinstance(parsed, events.ToDeviceEvent):
            self._machine.handle_to_device_event(parsed)

    def _learn(self, kind: Any, field: str, answer: Any) -> None:
        """The keys of each user by themselves: one whose device published nonsense takes no one else's away."""
        for user, keys in object_at(answer, field).items():
            one = {field: {user: keys}, "failures": {}}
            _read("keys", lambda one=one: self._machine.handle_response(kind.from_dict(one)))

    def _decrypt(self, room: str, event: Any) -> Any:
        parsed = nio.MegolmEvent.from_dict(event)
        if not isinstance(parsed, nio.MegolmEvent):
            return None
        said = getattr(self._machine.decrypt_megolm_event(parsed, room), "source", None)
        return {**event, "type": value_at(said, "type"), "content": value_at(said, "content")}

    def _is_from(self, event: Any) -> bool:
        """Whether the key belongs to a device of the sender: else any member could write in another's name."""
        sender, key = event["sender"], value_at(event, "content", "sender_key")
        own = sender == self._login.user_id and key == self._machine.account.identity_keys["curve25519"]
        return own or any(device.curve25519 == key for device in self._machine.device_store.active_user_devices(sender))

    async def _do(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise Unreached("closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _read(what: str, work: Callable[[], T]) -> T | None:
    """What others sent, which may be anything, and for which nio raises anything. None: it can't be read."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - as above
        log.warning("matrix.keys_not_read what=%s error=%s", what, type(error).__name__)
        return None


def _few(count: int | None) -> bool:
    return count is not None and count < _FEW_KEYS

"""A person's device in encrypted rooms, by vodozemac alone, and what a home server passes on of keys.

https://spec.matrix.org/latest/client-server-api/#end-to-end-encryption
"""

import base64
import json
from importlib import import_module
from typing import Any

from aiohttp import web

from tests.doubles.matrix_server import ANNA, BOT, MatrixServer

OLM, MEGOLM = "m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"


def canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


class Device:
    def __init__(self, user_id: str, id: str = "PHONE") -> None:
        self.user_id, self.id = user_id, id
        self.account: Any = import_module("vodozemac").Account()
        self.curve, self.signing = self.account.curve25519_key.to_base64(), self.account.ed25519_key.to_base64()
        self.group: Any = import_module("vodozemac").GroupSession()
        self._session: Any = None
        self._rooms: dict[str, Any] = {}

    def signed(self, value: dict[str, Any]) -> dict[str, Any]:
        return value | {"signatures": {self.user_id: {f"ed25519:{self.id}": self.account.sign(canonical(value)).to_base64()}}}

    def published(self) -> dict[str, Any]:
        keys = {f"curve25519:{self.id}": self.curve, f"ed25519:{self.id}": self.signing}
        return self.signed({"user_id": self.user_id, "device_id": self.id, "algorithms": [OLM, MEGOLM], "keys": keys})

    def one_time_key(self) -> dict[str, Any]:
        self.account.generate_one_time_keys(1)
        [(id, key)] = self.account.one_time_keys.items()
        self.account.mark_keys_as_published()
        return {f"signed_curve25519:{id}": self.signed({"key": key.to_base64()})}

    def shared(self, room: str, server: "EncryptedServer") -> dict[str, Any]:
        """The to-device event by which the assistant gets the key of what is `sealed`."""
        vodozemac: Any = import_module("vodozemac")
        own, once = server.own["keys"], server.one_time_keys.popitem()[1]["key"]
        bot = next(key for name, key in own.items() if name.startswith("curve25519:"))
        self._session = self.account.create_outbound_session(
            vodozemac.Curve25519PublicKey.from_base64(bot), vodozemac.Curve25519PublicKey.from_base64(once)
        )
        key = {"algorithm": MEGOLM, "room_id": room, "session_id": self.group.session_id, "session_key": self.group.session_key.to_base64()}
        said = {
            "type": "m.room_key",
            "content": key,
            "sender": self.user_id,
            "sender_device": self.id,
            "keys": {"ed25519": self.signing},
            "recipient": BOT,
            "recipient_keys": {"ed25519": next(key for name, key in own.items() if name.startswith("ed25519:"))},
        }
        _, body = self._session.encrypt(canonical(said)).to_parts()
        return self.olm(bot, base64.b64encode(body).decode().rstrip("="))

    def olm(self, to: str, body: str, *, kind: int = 0) -> dict[str, Any]:
        content = {"algorithm": OLM, "sender_key": self.curve, "ciphertext": {to: {"type": kind, "body": body}}}
        return {"type": "m.room.encrypted", "sender": self.user_id, "content": content}

    def sealed(self, text: bytes) -> dict[str, Any]:
        ciphertext = self.group.encrypt(text).to_base64()
        about = {"sender_key": self.curve, "session_id": self.group.session_id, "device_id": self.id}
        return {"algorithm": MEGOLM, "ciphertext": ciphertext, **about}

    def take(self, content: dict[str, Any]) -> None:
        """A key of the assistant's."""
        vodozemac: Any = import_module("vodozemac")
        sealed = content["ciphertext"][self.curve]
        if sealed["type"] == 1:
            said = self._session.decrypt(vodozemac.AnyOlmMessage.normal(base64.b64decode(sealed["body"] + "==")))
        else:
            sender = vodozemac.Curve25519PublicKey.from_base64(content["sender_key"])
            _, said = self.account.create_inbound_session(sender, vodozemac.PreKeyMessage.from_base64(sealed["body"]))
        key = json.loads(said)["content"]
        self._rooms[key["session_id"]] = vodozemac.InboundGroupSession(vodozemac.SessionKey(key["session_key"]))

    def opened(self, content: dict[str, Any]) -> dict[str, Any]:
        vodozemac: Any = import_module("vodozemac")
        message = vodozemac.MegolmMessage.from_base64(content["ciphertext"])
        return json.loads(self._rooms[content["session_id"]].decrypt(message).plaintext)["content"]


class EncryptedServer(MatrixServer):
    """With the device of a person. `published`: what it says of devices, by user; `once`: of their one-time keys."""

    def __init__(self) -> None:
        super().__init__()
        self.device = Device(ANNA)
        self.published: dict[str, Any] = {ANNA: {self.device.id: self.device.published()}}
        self.once: dict[str, Any] = {ANNA: {self.device.id: self.device.one_time_key()}}
        self.own: dict[str, Any] = {}
        self.one_time_keys: dict[str, Any] = {}

    def routes(self, app: web.Application) -> None:
        super().routes(app)
        v3 = "/_matrix/client/v3"
        app.router.add_post(f"{v3}/keys/upload", self._upload_keys)
        app.router.add_post(f"{v3}/keys/query", self._query)
        app.router.add_post(f"{v3}/keys/claim", self._claim)
        app.router.add_put(f"{v3}/sendToDevice/{{type}}/{{txn}}", self._pass_on)
        app.router.add_get(f"{v3}/rooms/{{room}}/members", self._members)

    async def _upload_keys(self, request: web.Request) -> web.StreamResponse:
        given = await request.json()
        self.own = given.get("device_keys", self.own)
        self.one_time_keys |= given.get("one_time_keys", {})
        return web.json_response({"one_time_key_counts": {"signed_curve25519": len(self.one_time_keys)}})

    async def _query(self, request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["device_keys"]
        return web.json_response({"device_keys": {user: self.published.get(user, {}) for user in asked}, "failures": {}})

    async def _claim(self, request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["one_time_keys"]
        return web.json_response({"one_time_keys": {user: self.once.get(user, {}) for user in asked}, "failures": {}})

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        for user, devices in (await request.json())["messages"].items():
            if user == ANNA:
                self.device.take(devices[self.device.id])
        return web.json_response({})

    async def _members(self, request: web.Request) -> web.StreamResponse:
        members = self.members[request.match_info["room"]].items()
        return web.json_response({"chunk": [{"state_key": user, "content": {"membership": how}} for user, how in members]})

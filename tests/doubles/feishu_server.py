"""A stand-in for the open platform of Feishu.

https://open.feishu.cn/document/server-docs/im-v1/message/create, …/message/reply (a uuid is known for an hour), …/message-card/patch, …/file/create,
https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case
"""

import base64
import html
import os
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import orjson
from aiohttp import web
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from assistant.contracts.channels import PlatformCall
from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

APP, SECRET = "cli_a1b2c3d4e5f6", "feishu-app-secret-0123456789"
KEY, VERIFY = "feishu-encrypt-key-0123456789", "feishu-verification-0123456789"
BOT = "ou_" + "0" * 32


class FeishuServer(ChannelServer):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = 0
        """How many were given out."""
        self.posted: list[dict[str, Any]] = []
        """Every body of a message that was accepted."""
        self.offered: dict[str, dict[str, Any]] = {}
        """Message → label → value."""
        self.told: dict[str, tuple[str, str]] = {}
        """Messages of people: (text, author)."""
        self.contents: dict[str, bytes] = {}
        """Key → a person's file."""
        self.reactions: list[str] = []
        self.private: set[str] = set()
        """Chats of two."""
        self.answer_with: tuple[int, str] | None = None
        """The code and words that the next message is refused with."""
        self._uploads: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/open-apis/auth/v3/tenant_access_token/internal", self._token)
        app.router.add_get("/open-apis/bot/v3/info", self._bot)
        app.router.add_post("/open-apis/im/v1/messages", self._create)
        app.router.add_post("/open-apis/im/v1/messages/{id}/reply", self._create)
        app.router.add_post("/open-apis/im/v1/messages/{id}/reactions", self._react)
        app.router.add_patch("/open-apis/im/v1/messages/{id}", self._patch)
        app.router.add_get("/open-apis/im/v1/messages/{id}", self._get)
        app.router.add_delete("/open-apis/im/v1/messages/{id}", self._delete)
        app.router.add_get("/open-apis/im/v1/messages/{id}/resources/{key}", self._resource)
        app.router.add_get("/open-apis/im/v1/chats/{id}", self._chat)
        app.router.add_post("/open-apis/im/v1/{kind:(images|files)}", self._upload)

    def is_send(self, request: web.Request) -> bool:
        return request.method == "POST" and (request.path.endswith("/messages") or request.path.endswith("/reply"))

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        return {
            "refuse": lambda: error(230002, "The bot can not be outside the group."),
            "limit": lambda: error(99991400, "request trigger frequency limit", headers={"x-ogw-ratelimit-reset": "30"}),
            "server_error": lambda: web.Response(status=500, text="oops"),
            "unauthorized": lambda: error(99991663, "Invalid access token for authorization."),
            "blocked": lambda: error(230035, "Send Message Permission deny."),
        }

    async def _token(self, request: web.Request) -> web.Response:
        if await request.json() != {"app_id": APP, "app_secret": SECRET}:
            return web.json_response({"code": 10014, "msg": "app secret invalid"})
        self.tokens += 1
        return web.json_response({"code": 0, "msg": "ok", "tenant_access_token": f"t-{self.tokens}", "expire": 7200})

    def _known(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer t-{self.tokens}"

    async def _bot(self, request: web.Request) -> web.Response:
        return web.json_response({"code": 0, "msg": "ok", "bot": {"app_name": "Assistant", "open_id": BOT}})

    async def _create(self, request: web.Request) -> web.Response:
        body, answered = await request.json(), request.match_info.get("id", "")
        if not self._known(request):
            return error(99991663, "Invalid access token for authorization.")
        if self.answer_with is not None:
            (code, words), self.answer_with = self.answer_with, None
            return error(code, words)
        if answered and self.fault("reply_gone", "thread_gone"):
            return error(230011, "The message is recalled.")
        prefix = {"chat_id": "oc_", "open_id": "ou_"}.get(request.query.get("receive_id_type", ""), "-")
        if not answered and not body["receive_id"].startswith(prefix):
            return error(230001, "Your request contains an invalid request parameter, ext=invalid receive_id.")
        if body["msg_type"] == "interactive" and (self.fault("form") or len(body["content"].encode()) > 30_000):
            return error(230099, "Failed to create card content, ext=ErrCode: 200621; ErrMsg: parse card json err")
        key: str = body.get("uuid", "")
        assert len(key) <= 50
        if key not in self._keys:
            id = self._accept(body, answered)
            if not key:
                return data(message_id=id)
            self._keys[key] = id
        return data(message_id=self._keys[key])

    def _accept(self, body: dict[str, Any], answered: str) -> str:
        id, content = f"om_{len(self.posted) + 1:032}", orjson.loads(body["content"])
        self.posted.append(body)
        text, buttons = self._shown(id, content)
        parent = self.accepted.get(answered)
        in_thread = body.get("reply_in_thread", False)
        chat = body.get("receive_id") or (parent.chat_id if parent else self.told.get(answered, ("", ""))[1])
        thread = (parent.thread_id if parent and parent.thread_id else answered) if in_thread else None
        files = tuple(self._uploads[each] for name, each in content.items() if name in ("file_key", "image_key"))
        reply = answered if answered and answered != thread else None
        self.accepted[id] = Seen(id=id, text=text, chat_id=chat, thread_id=thread, reply_to=reply, files=files, buttons=buttons)
        return id

    def _shown(self, id: str, content: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        """As people see it; the values of its buttons are kept."""
        text: str = content.get("text", "")
        found: dict[str, Any] = {}
        for each in content.get("elements", []):
            if each["tag"] == "action":
                found |= {button["text"]["content"]: button.get("value") for button in each["actions"]}
            else:
                text += html.unescape(each["content"]) if each["tag"] == "markdown" else each["text"]["content"]
        self.offered[id] = found
        return text, tuple(found)

    async def _patch(self, request: web.Request) -> web.Response:
        id, content = request.match_info["id"], orjson.loads((await request.json())["content"])
        assert content["config"]["update_multi"] is True
        if self.fault("edit_gone") or id not in self.accepted:
            return error(230011, "The message is recalled.")
        text, buttons = self._shown(id, content)
        old = self.accepted[id]
        self.accepted[id] = Seen(id=id, text=text, chat_id=old.chat_id, thread_id=old.thread_id, buttons=buttons, edited=True)
        return data()

    async def _get(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        if id in self.accepted:
            text, sender = self.accepted[id].text, {"id": APP, "id_type": "app_id", "sender_type": "app"}
        elif id in self.told:
            text, sender = self.told[id][0], {"id": self.told[id][1], "id_type": "open_id", "sender_type": "user"}
        else:
            return error(230011, "The message is recalled.")
        return data(
            items=[{"message_id": id, "msg_type": "text", "body": {"content": orjson.dumps({"text": text}).decode()}, "sender": sender}]
        )

    async def _delete(self, request: web.Request) -> web.Response:
        del self.accepted[request.match_info["id"]]
        return data()

    async def _react(self, request: web.Request) -> web.Response:
        assert (await request.json())["reaction_type"]["emoji_type"]
        self.reactions.append(request.match_info["id"])
        return data()

    async def _chat(self, request: web.Request) -> web.Response:
        return data(chat_mode="p2p" if request.match_info["id"] in self.private else "group")

    async def _resource(self, request: web.Request) -> web.Response:
        content = self.contents.get(request.match_info["key"])
        if not self._known(request) or request.query["type"] not in ("image", "file"):
            return error(99991663, "Invalid access token for authorization.")
        return error(234003, "File not in msg.") if content is None else web.Response(body=content)

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        if self.fault("files"):
            return error(234011, "Can't regonnize the image format.")
        kind = request.match_info["kind"]
        field = form["image" if kind == "images" else "file"]
        assert isinstance(field, web.FileField)
        key = f"{kind[:3]}_v3_{len(self._uploads)}"
        self._uploads[key] = field.filename if kind == "images" else str(form["file_name"])
        return data(**{"image_key" if kind == "images" else "file_key": key})


def data(**found: Any) -> web.Response:
    return web.json_response({"code": 0, "msg": "success", "data": found})


def error(code: int, words: str, **more: Any) -> web.Response:
    return web.json_response({"code": code, "msg": words, "error": {"log_id": "1"}}, status=400, **more)


def encrypted(body: bytes, key: str = KEY) -> bytes:
    padder = PKCS7(128).padder()
    vector = os.urandom(16)
    cipher = Cipher(algorithms.AES(sha256(key.encode()).digest()), modes.CBC(vector)).encryptor()
    sent = vector + cipher.update(padder.update(body) + padder.finalize()) + cipher.finalize()
    return orjson.dumps({"encrypt": base64.b64encode(sent).decode()})


def signed(body: bytes, key: str = KEY, *, ago: float = 0.0) -> PlatformCall:
    at, nonce = str(int(time.time() - ago)), "n1"
    signature = sha256(f"{at}{nonce}{key}".encode() + body).hexdigest()
    headers = {"x-lark-request-timestamp": at, "x-lark-request-nonce": nonce, "x-lark-signature": signature}
    return PlatformCall(method="POST", query={}, headers=headers, body=body, url="https://example.org/channels/feishu")


def call_of(kind: str, event: Any, *, id: str = "e1", key: str = KEY, ago: float = 0.0) -> PlatformCall:
    header = {"event_id": id, "event_type": kind, "create_time": "1790000000000", "token": VERIFY, "app_id": APP, "tenant_key": "t"}
    return signed(encrypted(orjson.dumps({"schema": "2.0", "header": header, "event": event}), key), key, ago=ago)

"""A stand-in for WhatsApp's Cloud API.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages, …/webhooks/reference/messages,
…/support/error-codes/, …/business-phone-numbers/media
"""

import hmac
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import orjson
from aiohttp import web

from assistant.contracts.channels import PlatformCall
from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

PHONE = "106540352242922"
TOKEN = "EAAtoken" + "x" * 20
SECRET = "app-secret-0123456789"
NOW = int(time.time())


class WhatsAppServer(ChannelServer):
    def __init__(self) -> None:
        super().__init__()
        self.media: dict[str, tuple[str, bytes]] = {}
        """id → (name, content) of what was uploaded, or sent by a person."""
        self.bodies: list[dict[str, Any]] = []
        """The messages that were posted, as they were sent."""
        self.marks: list[dict[str, Any]] = []
        """Read marks and typing indicators."""
        self.shut: set[str] = set()
        """Chats outside of the 24 hours."""
        self.instead: dict[str, object] = {}
        """What an upload ("id") or a look for a file ("url") is answered with, in place of what it should be."""
        self.offered: dict[str, dict[str, str]] = {}
        """message → label → the id of its button."""

    def routes(self, app: web.Application) -> None:
        app.router.add_get(f"/{PHONE}", self._phone)
        app.router.add_post(f"/{PHONE}/messages", self._post)
        app.router.add_post(f"/{PHONE}/media", self._upload)
        app.router.add_get("/download/{id}", self._download)
        app.router.add_get("/{id}", self._found)

    def is_send(self, request: web.Request) -> bool:
        return request.path.endswith("/messages")

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        return {
            "refuse": lambda: error(400, 131030, "(#131030) Recipient phone number not in allowed list"),
            "limit": lambda: error(400, 130429, "(#130429) Rate limit hit"),
            "server_error": lambda: error(500, 131000, "(#131000) Something went wrong"),
            "unauthorized": lambda: error(401, 190, "Error validating access token: Session has expired"),
        }

    async def _phone(self, request: web.Request) -> web.Response:
        return web.json_response({"display_phone_number": "+1 555-078-3881", "verified_name": "Assistant", "id": PHONE})

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        if "id" in self.instead:
            return web.json_response(self.instead["id"])
        file = form["file"]
        assert isinstance(file, web.FileField)
        assert form["messaging_product"] == "whatsapp"
        if self.fault("files"):
            return error(400, 131053, "(#131053) Media upload error")
        id = f"media{len(self.media) + 1}"
        self.media[id] = (file.filename, file.file.read())
        return web.json_response({"id": id})

    async def _found(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        if "url" in self.instead:
            return web.json_response({"url": self.instead["url"]})
        if id not in self.media:
            return error(400, 100, "Unsupported get request. Object with ID does not exist")
        return web.json_response({"id": id, "url": f"{self.url}/download/{id}", "file_size": len(self.media[id][1])})

    async def _download(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        return web.Response(body=self.media[request.match_info["id"]][1])

    async def _post(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if body.get("status") == "read":
            self.marks.append(body)
            return web.json_response({"success": True})
        chat = body.get("to") or body.get("recipient")
        kind = body.get("type")
        if refused := self._refused(body, chat, kind):
            return refused
        id = f"wamid.{len(self.bodies) + 1}"
        self.bodies.append(body)
        if kind == "reaction":
            return self._took(chat, id)
        content = body[kind]
        file = self.media[content["id"]][0] if "id" in content else ""
        buttons: dict[str, str] = {}
        if kind == "interactive":
            action = content["action"]
            found = [each["reply"] for each in action.get("buttons", ())] or action["sections"][0]["rows"]
            buttons = {each["title"]: each["id"] for each in found}
        if kind == "template":
            text = content["components"][0]["parameters"][0]["text"]
        else:
            text = content["body"]["text"] if kind == "interactive" else content.get("body") or content.get("caption") or ""
        self.offered[id] = buttons
        named = (content.get("filename") or file,) if file else ()
        context = body.get("context", {}).get("message_id")
        self.accepted[id] = Seen(id=id, text=text, chat_id=chat, reply_to=context, files=named, buttons=tuple(buttons))
        return self._took(chat, id)

    def _refused(self, body: Any, chat: str, kind: str) -> web.Response | None:
        content = body.get(kind)
        if not chat or not isinstance(content, dict):
            return error(400, 100, "(#100) Invalid parameter")
        if not (chat.isdigit() if "to" in body else "." in chat):
            return error(400, 131009, "(#131009) Parameter value is not valid")
        if chat in self.shut and kind != "template":
            return error(400, 131047, "(#131047) Re-engagement message")
        return error(400, 131009, "(#131009) Parameter value is not valid") if too_long(kind, content) else None

    def _took(self, chat: str, id: str) -> web.Response:
        contacts = [{"input": chat, "wa_id": chat}]
        return web.json_response({"messaging_product": "whatsapp", "contacts": contacts, "messages": [{"id": id}]})


def too_long(kind: str, content: Any) -> bool:
    """…/messages/text-messages, …/interactive-reply-buttons-messages, …/interactive-list-messages, …/image-messages."""
    if kind == "interactive":
        body, action = content["body"]["text"], content["action"]
        if content["type"] == "button":
            titles = [each["reply"]["title"] for each in action["buttons"]]
            return len(body) > 1024 or not 1 <= len(titles) <= 3 or len(set(titles)) < len(titles) or max(map(len, titles)) > 20
        rows = action["sections"][0]["rows"]
        return len(body) > 4096 or len(rows) > 10 or any(len(each["title"]) > 24 or len(each["id"]) > 200 for each in rows)
    if kind == "template":
        text = content["components"][0]["parameters"][0]["text"]
        return len(text) > 1024 or "\n" in text or "\t" in text or "    " in text
    return len(content.get("body", "")) > 4096 or len(content.get("caption", "")) > 1024


def error(status: int, code: int, words: str) -> web.Response:
    body = {"error": {"message": words, "type": "OAuthException", "code": code, "error_data": {"details": words}, "fbtrace_id": "A"}}
    return web.json_response(body, status=status)


def signed(body: bytes, secret: str = SECRET) -> PlatformCall:
    signature = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    headers = {"content-type": "application/json", "x-hub-signature-256": signature}
    return PlatformCall(method="POST", query={}, headers=headers, body=body, url="https://example.org/channels/whatsapp")


def call_of(
    *messages: Mapping[str, Any], statuses: tuple[Mapping[str, Any], ...] = (), person: str = "491701234567", phone: str = PHONE
) -> PlatformCall:
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": phone},
        "contacts": [{"profile": {"name": "Ada"}, "wa_id": person}],
    }
    value |= {"messages": messages} if messages else {}
    value |= {"statuses": statuses} if statuses else {}
    return signed(
        orjson.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]})
    )

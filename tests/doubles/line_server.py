"""A stand-in for LINE's Messaging API.

https://developers.line.biz/en/reference/messaging-api/, https://developers.line.biz/en/docs/messaging-api/retrying-api-request/,
https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from aiohttp import web

from assistant.contracts.channels import PlatformCall
from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

TOKEN = "line-channel-access-token-0123456789"
SECRET = "line-channel-secret-0123456789ab"
NOW = 1_790_000_000_000


class LineServer(ChannelServer):
    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[str, bytes] = {}
        """Message → the file that a person sent."""
        self.posted: list[tuple[str, dict[str, Any]]] = []
        """("push" or "reply", body), in order."""
        self.typing: list[str] = []
        self.offered: dict[str, dict[str, dict[str, str]]] = {}
        """Message → label → its action."""
        self.tokens: dict[str, str] = {}
        """Reply tokens that were given out and not used → their chats."""
        self._keys: dict[str, dict[str, Any]] = {}

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/v2/bot/info", self._info)
        app.router.add_post("/v2/bot/message/push", self._push)
        app.router.add_post("/v2/bot/message/reply", self._reply)
        app.router.add_post("/v2/bot/chat/loading/start", self._loading)
        app.router.add_get("/v2/bot/message/{id}/content", self._content)
        app.router.add_get("/v2/bot/{place:(profile|group|room)}/{rest:.*}", self._profile)

    def is_send(self, request: web.Request) -> bool:
        return request.path.startswith("/v2/bot/message/") and request.method == "POST"

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        return {
            "refuse": lambda: error(400, "The property, 'to', in the request body is invalid (line: -, column: -)"),
            "limit": lambda: error(429, "The API rate limit has been exceeded. Try again later."),
            "server_error": lambda: error(500, "Internal error"),
            "unauthorized": lambda: error(
                401, "Authentication failed. Confirm that the access token in the authorization header is valid."
            ),
        }

    async def _info(self, request: web.Request) -> web.Response:
        return web.json_response({"userId": "U" + "0" * 32, "basicId": "@assistant", "displayName": "Assistant"})

    async def _profile(self, request: web.Request) -> web.Response:
        return web.json_response({"displayName": "Ada", "userId": request.path.rpartition("/")[2]})

    async def _loading(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert 5 <= body["loadingSeconds"] <= 60
        assert body["loadingSeconds"] % 5 == 0
        self.typing.append(body["chatId"])
        return web.json_response({}, status=202)

    async def _content(self, request: web.Request) -> web.Response:
        content = self.contents.get(request.match_info["id"])
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return error(401, "Authentication failed.")
        return error(404, "Not found") if content is None else web.Response(body=content)

    async def _push(self, request: web.Request) -> web.Response:
        body, key = await request.json(), request.headers["X-Line-Retry-Key"]
        assert str(UUID(key)) == key
        if key in self._keys:
            taken = {"message": "The retry key is already accepted", "sentMessages": self._keys[key]["sentMessages"]}
            return web.json_response(taken, status=409)
        chat = body["to"]
        if not (chat[:1] in "UCR" and len(chat) == 33):
            return error(400, "The property, 'to', in the request body is invalid (line: -, column: -)")
        self.posted.append(("push", body))
        answer = self._accept(chat, body["messages"])
        if isinstance(answer, dict):
            self._keys[key] = answer
            return web.json_response(answer)
        return answer

    async def _reply(self, request: web.Request) -> web.Response:
        body = await request.json()
        chat = self.tokens.pop(body["replyToken"], None)
        if chat is None:
            return error(400, "Invalid reply token")
        self.posted.append(("reply", body))
        answer = self._accept(chat, body["messages"])
        return web.json_response(answer) if isinstance(answer, dict) else answer

    def _accept(self, chat: str, messages: list[dict[str, Any]]) -> dict[str, Any] | web.Response:
        if any(wrong(message) for message in messages):
            return error(400, "The request body has 1 error(s)", details=[{"message": "May not be empty", "property": "messages[0].text"}])
        sent: list[dict[str, str]] = []
        for message in messages:
            id = str(461230966842064897 + len(self.accepted))
            text = message.get("text") or message["template"]["text"]
            items = actions_of(message)
            self.offered[id] = {action["label"]: action for action in items}
            token: str = message.get("quoteToken", "")
            quoted = token.removeprefix("q-") or None
            self.accepted[id] = Seen(id=id, text=text, chat_id=chat, reply_to=quoted, buttons=tuple(self.offered[id]))
            sent.append({"id": id, "quoteToken": f"q-{id}"})
        return {"sentMessages": sent}


def wrong(message: Mapping[str, Any]) -> bool:
    """…/messaging-api/#text-message, …/#buttons, …/#items-object, …/#postback-action"""
    template, actions = message.get("template"), actions_of(message)
    text = template["text"] if template else message.get("text", "")
    most = 160 if template else 5000
    broken = any(len(each["label"]) > 20 or len(each.get("data", "")) > 300 for each in actions)
    return not text or len(text.encode("utf-16-le")) // 2 > most or broken or len(actions) > (4 if template else 13)


def actions_of(message: Mapping[str, Any]) -> list[dict[str, str]]:
    template = message.get("template")
    if template is not None:
        return template["actions"]
    items: list[dict[str, Any]] = message["quickReply"]["items"] if "quickReply" in message else []
    return [item["action"] for item in items]


def error(status: int, words: str, **more: Any) -> web.Response:
    return web.json_response({"message": words, **more}, status=status)


def signed(body: bytes, secret: str = SECRET) -> PlatformCall:
    signature = base64.b64encode(hmac.new(secret.encode(), body, sha256).digest()).decode()
    headers = {"content-type": "application/json", "x-line-signature": signature}
    return PlatformCall(method="POST", query={}, headers=headers, body=body, url="https://example.org/channels/line")


def call_of(*events: Any, secret: str = SECRET) -> PlatformCall:
    return signed(orjson.dumps({"destination": "U" + "0" * 32, "events": events}), secret)

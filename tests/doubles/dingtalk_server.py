"""A stand-in for DingTalk's robot API.

https://help.dingtalk.io/open/development/receive-message, …/chatbots-send-one-on-one-chat-messages-in-batches, …/the-robot-sends-a-group-message,
https://open.dingtalk.com/document/orgapp/robot-reply-and-send-messages (the session's address), …/upload-media-files
"""

import base64
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

CLIENT, SECRET = "dingabc0123456789", "dingtalk-client-secret-0123456789"
ROBOT = "$:LWCP_v1:$robot0123456789=="


class DingTalkServer(ChannelServer):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = 0
        """How many were given out."""
        self.ways: list[str] = []
        """"session", "group" or "person" of each message."""
        self.sessions: dict[str, str] = {}
        """Sessions that are taken → their chats."""
        self.session_code = 0
        """What a session's address answers."""
        self.contents: dict[str, bytes] = {}
        """Download code → a person's file."""
        self.files_at = ""
        """Where files are, if not here."""
        self.flow_controlled: set[str] = set()
        self.unknown: set[str] = set()
        """User ids."""
        self._media: dict[str, str] = {}

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1.0/oauth2/accessToken", self._token)
        app.router.add_post("/v1.0/robot/oToMessages/batchSend", self._to_person)
        app.router.add_post("/v1.0/robot/groupMessages/send", self._to_group)
        app.router.add_post("/robot/sendBySession", self._to_session)
        app.router.add_post("/media/upload", self._upload)
        app.router.add_post("/v1.0/robot/messageFiles/download", self._download)
        app.router.add_get("/down/{code}", self._content)

    def is_send(self, request: web.Request) -> bool:
        return request.path.endswith(("/batchSend", "/groupMessages/send", "/sendBySession"))

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        return {
            "refuse": lambda: error(400, "staffId.notExisted"),
            "limit": lambda: error(403, "Forbidden.AccessDenied.QpsLimitForApi", headers={"Retry-After": "30"}),
            "server_error": lambda: error(500, "ServiceError"),
            "unauthorized": lambda: error(401, "InvalidAuthentication"),
            "blocked": lambda: error(400, "bot.stopped"),
        }

    async def _token(self, request: web.Request) -> web.Response:
        if await request.json() != {"appKey": CLIENT, "appSecret": SECRET}:
            return error(400, "invalidClientIdOrSecret")
        self.tokens += 1
        return web.json_response({"accessToken": f"t{self.tokens}", "expireIn": 7200})

    def _known(self, request: web.Request) -> bool:
        return request.headers.get("x-acs-dingtalk-access-token") == f"t{self.tokens}"

    async def _to_person(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not self._known(request):
            return error(401, "InvalidAuthentication")
        [person] = body["userIds"]
        lists = {
            "invalidStaffIdList": [person] if person in self.unknown else [],
            "flowControlledStaffIdList": [person] if person in self.flow_controlled else [],
        }
        key = "" if any(lists.values()) else self._accept("person", person, body)
        return web.json_response({"processQueryKey": key, **lists})

    async def _to_group(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not self._known(request):
            return error(401, "InvalidAuthentication")
        return web.json_response({"processQueryKey": self._accept("group", body["openConversationId"], body)})

    def _accept(self, way: str, chat: str, body: Mapping[str, Any]) -> str:
        assert body["robotCode"] == CLIENT
        assert len(body["msgParam"].encode()) <= 15_000
        about = orjson.loads(body["msgParam"])
        media = {"sampleImageMsg": "photoURL", "sampleFile": "mediaId"}.get(body["msgKey"])
        files = (self._media[about[media]],) if media else ()
        return self._show(way, chat, about.get("text", ""), files)

    def _show(self, way: str, chat: str, text: str, files: tuple[str, ...] = ()) -> str:
        id = f"key{len(self.accepted):020}"
        self.ways.append(way)
        self.accepted[id] = Seen(id=id, text=text, chat_id=chat, files=files)
        return id

    async def _to_session(self, request: web.Request) -> web.Response:
        body, chat = await request.json(), self.sessions.get(request.query["session"])
        if self.session_code or chat is None:
            return web.json_response({"errcode": self.session_code or 300001, "errmsg": "token is not exist"})
        assert body["msgtype"] == "markdown"
        assert body["markdown"]["title"]
        self._show("session", chat, body["markdown"]["text"])
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    async def _upload(self, request: web.Request) -> web.Response:
        if request.query["access_token"] != f"t{self.tokens}":
            return web.json_response({"errcode": 40014, "errmsg": "invalid access_token"})
        field = (await request.post())["media"]
        assert isinstance(field, web.FileField)
        id = f"@media{len(self._media)}"
        self._media[id] = field.filename
        return web.json_response({"errcode": 0, "errmsg": "ok", "media_id": id, "type": request.query["type"]})

    async def _download(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not self._known(request) or body["robotCode"] != CLIENT:
            return error(401, "InvalidAuthentication")
        return web.json_response({"downloadUrl": f"{self.files_at or self.url}/down/{body['downloadCode']}"})

    async def _content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.contents[request.match_info["code"]])


def error(status: int, code: str, **more: Any) -> web.Response:
    return web.json_response({"code": code, "message": "…", "requestid": "1"}, status=status, **more)


def call_of(body: object, *, secret: str = SECRET, ago: float = 0.0) -> PlatformCall:
    at = str(int((time.time() - ago) * 1000))
    sign = base64.b64encode(hmac.new(secret.encode(), f"{at}\n{secret}".encode(), sha256).digest()).decode()
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = {"timestamp": at, "sign": sign, "content-type": "application/json"}
    return PlatformCall(method="POST", query={}, headers=headers, body=content, url="https://example.org/channels/dingtalk")

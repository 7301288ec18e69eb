"""A stand-in for Google's side of a Chat app: OAuth, signing keys, messages, media.

https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create
https://developers.google.com/workspace/chat/api/guides/handle-errors
https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import RSAAlgorithm

from assistant.contracts.channels import PlatformCall
from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

PROJECT = "123456789012"
ENDPOINT = "https://nano.example/channels/googlechat"
ACCOUNT = "nano@project.iam.gserviceaccount.com"
CHAT = "chat@system.gserviceaccount.com"


@cache
def signing_key(whose: str) -> rsa.RSAPrivateKey:
    """whose: "chat", "accounts", "app" …"""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class GoogleChatServer(ChannelServer):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = 0
        self.values: dict[str, str] = {}
        """What the last buttons carry, by their words."""
        self.files: dict[str, bytes] = {}
        self.options: list[str] = []
        """The messageReplyOption of each new message."""
        self._by_request: dict[tuple[str, str], str] = {}

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/token", self._login)
        app.router.add_get("/service_accounts/v1/jwk/{account}", self._chat_keys)
        app.router.add_get("/oauth2/v3/certs", self._account_keys)
        app.router.add_get("/v1/media/{name:.+}", self._media)
        app.router.add_post("/v1/spaces/{space}/messages", self._create)
        app.router.add_patch("/v1/spaces/{space}/messages/{id}", self._patch)

    def is_send(self, request: web.Request) -> bool:
        return request.method in ("POST", "PATCH") and request.path.startswith("/v1/spaces/")

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        return {
            "refuse": lambda: error(404, "NOT_FOUND"),
            "limit": lambda: error(429, "RESOURCE_EXHAUSTED", {"Retry-After": "30"}),
            "server_error": lambda: error(500, "INTERNAL"),
            "unauthorized": lambda: error(401, "UNAUTHENTICATED"),
        }

    def account_key(self) -> str:
        """The JSON key of the app's service account."""
        pem = signing_key("app").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        about = {"type": "service_account", "private_key_id": "k1", "private_key": pem, "client_email": ACCOUNT}
        return json.dumps({**about, "token_uri": f"{self.url}/token"})

    def call(self, body: bytes, *, key: str | None = None, age: int = 0, **claims: Any) -> PlatformCall:
        """A call of Chat. `key`: who signs it; `age`: seconds since it was made; `claims`: others than for the project."""
        now = int(time.time()) - age
        of_accounts = claims.get("iss", CHAT) != CHAT
        kid = "accounts-1" if of_accounts else "chat-1"
        signer = signing_key(key or kid.partition("-")[0])
        said = {"iss": CHAT, "aud": PROJECT, "iat": now, "exp": now + 3600, **claims}
        headers = {"authorization": f"Bearer {jwt.encode(said, signer, algorithm='RS256', headers={'kid': kid})}"}
        return PlatformCall(method="POST", query={}, headers=headers, body=body, url=ENDPOINT)

    async def _login(self, request: web.Request) -> web.Response:
        form = await request.post()
        try:
            claims = jwt.decode(
                str(form.get("assertion")),
                signing_key("app").public_key(),
                algorithms=["RS256"],
                audience=f"{self.url}/token",
                issuer=ACCOUNT,
            )
        except jwt.PyJWTError:
            return web.json_response({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, status=400)
        if claims["scope"] != "https://www.googleapis.com/auth/chat.bot" or not str(form.get("grant_type")).endswith("jwt-bearer"):
            return web.json_response({"error": "invalid_scope"}, status=400)
        self.tokens += 1
        return web.json_response({"token_type": "Bearer", "expires_in": 3599, "access_token": f"token-{self.tokens}"})

    async def _chat_keys(self, request: web.Request) -> web.Response:
        assert request.match_info["account"] == CHAT
        return _keys("chat")

    async def _account_keys(self, request: web.Request) -> web.Response:
        return _keys("accounts")

    async def _media(self, request: web.Request) -> web.Response:
        if not self._known(request) or request.query.get("alt") != "media":
            return error(401, "UNAUTHENTICATED")
        content = self.files.get(request.match_info["name"])
        return error(404, "NOT_FOUND") if content is None else web.Response(body=content)

    def _known(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer token-{self.tokens}"

    async def _create(self, request: web.Request) -> web.Response:
        if not self._known(request):
            return error(401, "UNAUTHENTICATED")
        body, space = await request.json(), request.match_info["space"]
        if len(json.dumps(body, ensure_ascii=False).encode()) > 32_000 or not body["text"]:
            return error(400, "INVALID_ARGUMENT")
        if ("*" in body["text"] and self.fault("form")) or (body.get("cardsV2") and self.fault("files")):
            return error(400, "INVALID_ARGUMENT")
        known = self._by_request.get((space, request.query.get("requestId", "")))
        if known is None:
            known = f"M{len(self.accepted)}.M{len(self.accepted)}"
            if "requestId" in request.query:
                self._by_request[space, request.query["requestId"]] = known
            self.options.append(request.query.get("messageReplyOption", ""))
            thread = body.get("thread", {}).get("name", "").rpartition("/")[2] or None
            self._keep(Seen(id=known, text="", chat_id=space, thread_id=thread), body)
        return web.json_response({"name": f"spaces/{space}/messages/{known}", "text": self.accepted[known].text})

    async def _patch(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        if self.fault("edit_gone") or id not in self.accepted:
            return error(404, "NOT_FOUND")
        self._keep(self.accepted[id], await request.json(), edited=True)
        return web.json_response({"name": f"spaces/{request.match_info['space']}/messages/{id}"})

    def _keep(self, seen: Seen, body: Mapping[str, Any], *, edited: bool = False) -> None:
        widgets = [each for card in body.get("cardsV2", []) for each in card["card"]["sections"][0]["widgets"]]
        buttons = [button for widget in widgets for button in widget["buttonList"]["buttons"]]
        carried = {each["text"]: each["onClick"]["action"]["parameters"][0]["value"] for each in buttons if "action" in each["onClick"]}
        self.values = carried or self.values
        self.accepted[seen.id] = Seen(
            id=seen.id,
            text=body["text"],
            chat_id=seen.chat_id,
            thread_id=seen.thread_id,
            buttons=tuple(each["text"] for each in buttons),
            edited=edited,
        )


def error(status: int, code: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": status, "message": f"It is {code}.", "status": code}}, status=status, headers=headers)


def _keys(whose: str) -> web.Response:
    public = RSAAlgorithm.to_jwk(signing_key(whose).public_key(), as_dict=True)
    return web.json_response({"keys": [{**public, "kid": f"{whose}-1"}, {"kid": "broken"}]})

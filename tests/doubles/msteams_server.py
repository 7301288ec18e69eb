"""A stand-in for Microsoft's side of a Teams bot: login, signing keys, and the Bot Connector.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication
https://learn.microsoft.com/microsoftteams/platform/bots/build-conversational-capability#status-code-responses
"""

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

APP = "11111111-2222-3333-4444-555555555555"
SECRET = "secret-of-the-application"


@cache
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TeamsServer(ChannelServer):
    def __init__(self) -> None:
        super().__init__()
        self.tenant = "botframework.com"
        """Where the bot is at home: of a bot of many tenants."""
        self.typings = 0
        self.tokens = 0
        self.values: dict[str, dict[str, Any]] = {}
        """What the last buttons carry, by their titles."""
        self.files: dict[str, bytes] = {}

    @property
    def service(self) -> str:
        return f"{self.url}/emea/"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._login)
        app.router.add_get("/openid", self._openid)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/file/{name}", self._file)
        for path in ("/emea/v3/conversations/{chat}/activities", "/emea/v3/conversations/{chat}/activities/{reply}"):
            app.router.add_post(path, self._post)
        app.router.add_put("/emea/v3/conversations/{chat}/activities/{id}", self._edit)

    def is_send(self, request: web.Request) -> bool:
        return request.method in ("POST", "PUT") and "/activities" in request.path

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        def error(status: int, code: str, words: str, headers: Mapping[str, str] | None = None) -> Callable[[], web.StreamResponse]:
            return lambda: web.json_response({"error": {"code": code, "message": words}}, status=status, headers=headers)

        return {
            "refuse": error(403, "BotNotInConversationRoster", "The bot is not part of the conversation roster."),
            "blocked": error(403, "ConversationBlockedByUser", "User blocked the conversation with the bot."),
            "limit": error(429, "429", "Too many requests.", {"Retry-After": "30"}),
            "server_error": error(500, "ServiceError", "Internal error."),
            "unauthorized": error(401, "invalid_client", "Invalid client secret is provided."),
        }

    def token(self, *, audience: str = APP, service: str | None = None, age: int = 0, key: rsa.RSAPrivateKey | None = None) -> str:
        """What a call brings. `age`: seconds since it was made."""
        now = int(time.time()) - age
        claims = {
            "iss": "https://api.botframework.com",
            "aud": audience,
            "nbf": now,
            "exp": now + 3600,
            "serviceurl": self.service if service is None else service,
        }
        return jwt.encode(claims, key or signing_key(), algorithm="RS256", headers={"kid": "key-1"})

    async def _login(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("client_id") != APP or form.get("client_secret") != SECRET or request.match_info["tenant"] != self.tenant:
            return web.json_response({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}, status=401)
        self.tokens += 1
        return web.json_response({"token_type": "Bearer", "expires_in": 3600, "access_token": f"token-{self.tokens}"})

    async def _openid(self, request: web.Request) -> web.Response:
        return web.json_response({"issuer": "https://api.botframework.com", "jwks_uri": f"{self.url}/keys"})

    async def _keys(self, request: web.Request) -> web.Response:
        public = RSAAlgorithm.to_jwk(signing_key().public_key(), as_dict=True)
        return web.json_response(
            {"keys": [{**public, "kid": "key-1", "endorsements": ["msteams", "webchat", "directline"]}, {"kid": "broken"}]}
        )

    async def _file(self, request: web.Request) -> web.Response:
        content = self.files.get(request.match_info["name"])
        return web.Response(status=404) if content is None else web.Response(body=content)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer token-{self.tokens}":
            return self.refusals()["unauthorized"]()
        body = await request.json()
        if body["type"] == "typing":
            self.typings += 1
            return web.json_response({})
        if self.fault("form") and body.get("textFormat") == "markdown":
            self._faults.appendleft("form")
            return web.json_response({"error": {"code": "BadSyntax", "message": "Markdown could not be read"}}, status=400)
        if body.get("attachments") and body["attachments"][0]["contentType"].startswith("image/") and self.fault("files"):
            return web.json_response({"error": {"code": "MessageSizeTooBig", "message": "Message size too large."}}, status=413)
        chat, _, thread = request.match_info["chat"].partition(";messageid=")
        reply = request.match_info.get("reply")
        if reply is not None and self.fault("reply_gone"):
            words = {"code": "ActivityNotFoundInConversation", "message": "The activity was not found."}
            return web.json_response({"error": words}, status=404)
        id = str(1_700_000_000_000 + len(self.accepted))
        self._keep(Seen(id=id, text="", chat_id=chat, thread_id=thread or None, reply_to=reply), body)
        return web.json_response({"id": id}, status=201)

    async def _edit(self, request: web.Request) -> web.StreamResponse:
        id = request.match_info["id"]
        if self.fault("edit_gone") or id not in self.accepted:
            return web.json_response({"error": {"code": "ActivityNotFoundInConversation", "message": "not found"}}, status=404)
        self._keep(self.accepted[id], await request.json(), edited=True)
        return web.json_response({"id": id})

    def _keep(self, seen: Seen, body: Mapping[str, Any], *, edited: bool = False) -> None:
        attachments = body.get("attachments", [])
        cards = [each["content"]["actions"] for each in attachments if each["contentType"].endswith("card.adaptive")]
        actions = [action for card in cards for action in card]
        self.values = {action["title"]: action["data"] for action in actions if "data" in action} or self.values
        self.accepted[seen.id] = Seen(
            id=seen.id,
            text=body["text"],
            chat_id=seen.chat_id,
            thread_id=seen.thread_id,
            reply_to=seen.reply_to,
            files=tuple(each["name"] for each in attachments if each["contentType"].startswith("image/")),
            buttons=tuple(action["title"] for action in actions),
            edited=edited,
        )

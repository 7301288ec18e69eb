"""A stand-in for Twilio's messaging API.

https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/messaging/guides/webhook-request,
https://www.twilio.com/docs/usage/security#validating-requests, https://www.twilio.com/docs/api/errors
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha1
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from assistant.contracts.channels import PlatformCall
from assistant.testing.platform import Failure, Seen
from tests.doubles.channel_server import ChannelServer

ACCOUNT = "AC" + "0" * 32
TOKEN = "twilio-auth-token-0123456789"
NUMBER = "+15550783881"
URL = "https://example.org/channels/sms"
_PATH = f"/2010-04-01/Accounts/{ACCOUNT}"


class TwilioServer(ChannelServer):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        """As the API lists them, the oldest first."""
        self.forms: list[dict[str, str]] = []
        """What was posted."""
        self.page = 1000
        """Messages that a list holds. 0: it has no end."""
        self.media: dict[str, tuple[str, bytes]] = {}
        """Media id → (type, content)."""

    def routes(self, app: web.Application) -> None:
        app.router.add_get(f"{_PATH}.json", self._account)
        app.router.add_post(f"{_PATH}/Messages.json", self._post)
        app.router.add_get(f"{_PATH}/Messages.json", self._list)
        app.router.add_get(_PATH + "/Messages/{sid}/Media.json", self._media_of)
        app.router.add_get(_PATH + "/Messages/{sid}/Media/{media}", self._media)
        app.router.add_get("/cdn/{media}", self._cdn)

    def is_send(self, request: web.Request) -> bool:
        return request.method == "POST"

    def refusals(self) -> Mapping[Failure, Callable[[], web.StreamResponse]]:
        return {
            "refuse": lambda: error(400, 21211, "Invalid 'To' Phone Number"),
            "blocked": lambda: error(400, 21610, "Attempt to send to unsubscribed recipient"),
            "limit": lambda: error(429, 20429, "Too Many Requests"),
            "server_error": lambda: error(500, 20500, "Internal Server Error"),
            "unauthorized": lambda: error(401, 20003, "Authenticate"),
        }

    def add(self, sid: str, *, body: str, direction: str, to: str, sender: str, media: int = 0, ago: timedelta = timedelta(0)) -> None:
        at = format_datetime(datetime.now(UTC) - ago)
        about = {"sid": sid, "body": body, "direction": direction, "to": to, "from": sender}
        self.messages.append({**about, "date_created": at, "date_sent": at, "num_media": str(media)})

    async def _account(self, request: web.Request) -> web.Response:
        return web.json_response({"friendly_name": "Mine", "sid": ACCOUNT})

    async def _post(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if len(form["Body"]) > 1600:
            return error(400, 21617, "The concatenated message body exceeds the 1600 character limit")
        if not form["To"].removeprefix("+").isdigit():
            return error(400, 21211, "Invalid 'To' Phone Number")
        sid = f"SM{len(self.forms):032}"
        self.forms.append(form)
        self.add(sid, body=form["Body"], direction="outbound-api", to=form["To"], sender=NUMBER)
        self.accepted[sid] = Seen(id=sid, text=form["Body"], chat_id=form["To"])
        return web.json_response({"sid": sid, "status": "queued"}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        found = [each for each in reversed(self.messages) if each["to"] == request.query.get("To", each["to"])]
        at = int(request.query.get("Page", 0)) * self.page
        more = {**request.query, "Page": str(int(request.query.get("Page", 0)) + 1)}
        uri = f"{_PATH}/Messages.json?{urlencode(more)}" if at + self.page < len(found) or not self.page else None
        return web.json_response({"messages": found[at : at + self.page], "next_page_uri": uri})

    async def _media_of(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        found = [{"sid": id, "content_type": kind} for id, (kind, _) in self.media.items() if id.startswith(f"ME{sid}")]
        return web.json_response({"media_list": found})

    async def _media(self, request: web.Request) -> web.Response:
        if "Authorization" not in request.headers:
            return error(401, 20003, "Authenticate")
        raise web.HTTPTemporaryRedirect(f"/cdn/{request.match_info['media']}")

    async def _cdn(self, request: web.Request) -> web.Response:
        return web.Response(body=self.media[request.match_info["media"]][1])


def error(status: int, code: int, words: str) -> web.Response:
    body = {"code": code, "message": words, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    return web.json_response(body, status=status)


def call_of(secret: str = TOKEN, url: str = URL, called: str | None = None, **fields: str) -> PlatformCall:
    """A call to `url`, which came to us as `called`."""
    values = "".join(name + value for name, value in sorted(fields.items()))
    signature = base64.b64encode(hmac.new(secret.encode(), (url + values).encode(), sha1).digest()).decode()
    headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
    return PlatformCall(method="POST", query={}, headers=headers, body=urlencode(fields).encode(), url=called or url)

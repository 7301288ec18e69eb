"""Webhooks out, and hooks that come in, which are authenticated by a signature or a bearer token."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import aiohttp
import orjson
from pydantic import ValidationError

from assistant.contracts.addresses import Address, address_of
from assistant.contracts.channels import (
    ChannelContext,
    ChannelFailed,
    ChannelLink,
    Limit,
    Sending,
    SendLater,
    SendRefused,
    SendUnclear,
)
from assistant.contracts.errors import Forbidden, InvalidJson, InvalidRequest, NotFound, StoreUnavailable, Unauthenticated
from assistant.contracts.hooks import HookAccepted, HookRequest
from assistant.contracts.inbox import InboundMessage, Sender
from assistant.contracts.outbox import MediaFiles, OutboundEvent, OutboundPart, Receipt
from assistant.contracts.proxies import ProxyRoute, UnusableProxy, route_to
from assistant.contracts.util import new_id
from channels.kit.answers import seconds_until
from channels.kit.calls import MOST_SECONDS, hmac_hex, is_recent, same
from channels.kit.planning import ButtonRules, MessageRules, plan_message
from channels.kit.values import Latest
from channels.text.blocks import clean, is_visible
from channels.text.splitting import FormattedPart
from channels.webhook.settings import HookSettings, WebhookSettings

TIMESTAMP_HEADER: Final = "x-nanobot-timestamp"
SIGNATURE_HEADER: Final = "x-nanobot-signature"


def sign(secret: str, timestamp: str, body: bytes) -> str:
    return f"sha256={hmac_hex(secret, timestamp.encode(errors='surrogateescape') + b'.' + body)}"


def is_signed(secret: str, timestamp: str, signature: str, body: bytes) -> bool:
    """Whether the signature is right; takes the same time for every wrong one."""
    return same(sign(secret, timestamp, body), signature.lower())


def read_hook(name: str, hook: HookSettings | None, headers: Mapping[str, str], body: bytes, now: datetime) -> InboundMessage:
    """The message in a request, after it is authenticated. `headers`: by lower-case name.

    Raises NotFound (no such hook, or one without a secret), Unauthenticated, InvalidJson, InvalidRequest, InvalidAddress.
    """
    if hook is None or not hook.listens:
        raise NotFound("There is no such hook.")
    timestamp = _authenticate(hook, headers, body, now)
    said = _parse(body)
    return InboundMessage(
        external_id=_external_id(name, said, timestamp, body),
        address=address_of("webhook", name, said.thread_id),
        sender=Sender(id=name, name=(said.sender or "").strip() or name),
        private=True,
        text=said.text,
        trusted=False,
        at=now,
    )


def _authenticate(hook: HookSettings, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
    """Returns the signed timestamp; None: the sender was authenticated by its bearer secret. Raises Unauthenticated."""
    if hook.secret is not None and SIGNATURE_HEADER in headers:
        timestamp = headers.get(TIMESTAMP_HEADER, "").strip()
        if not is_signed(hook.secret.get_secret_value(), timestamp, headers[SIGNATURE_HEADER], body):
            raise Unauthenticated("The signature does not fit the timestamp, the body and this hook's secret.")
        if not is_recent(timestamp, now.timestamp()):
            raise Unauthenticated(f"The timestamp is more than {MOST_SECONDS} seconds from the server's clock.")
        return timestamp
    if hook.bearer is not None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and same(hook.bearer.get_secret_value(), given):
            return None
    ways = ["signed (X-Nanobot-Timestamp and X-Nanobot-Signature)"] if hook.secret is not None else []
    ways += ["sent with this hook's secret as 'Authorization: Bearer <secret>'"] if hook.bearer is not None else []
    raise Unauthenticated(f"Messages to this hook must be {' or '.join(ways)}.")


def _parse(body: bytes) -> HookRequest:
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"The body is not valid JSON: {error.msg} (at character {error.pos}).") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    try:
        return HookRequest.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        param = ".".join(map(str, first["loc"]))[:200]
        raise InvalidRequest(f"{param}: {first['msg']}", param=param) from None


def _external_id(name: str, said: HookRequest, timestamp: str | None, body: bytes) -> str:
    """Unique among the hook's own messages. Without an id of the sender's, the same signed bytes are the same message; an unsigned request is
    always new, because nothing tells a repeat from a second message with the same words."""
    if said.external_id is not None:
        return f"{name}/{said.external_id}"
    if timestamp is None:
        return f"{name}#{new_id('msg')}"
    return f"{name}#{sha256(timestamp.encode() + b'.' + body).hexdigest()}"


MOST_MEDIA_BYTES: Final = 25 * 1024 * 1024
"""All files of a message together, before base64."""
_LONGEST, _MOST = 1 << 30, 1000


def _whole(markdown: str, limit: int) -> list[FormattedPart]:
    text = clean(markdown)
    return [FormattedPart(text=text, plain=text)] if is_visible(text) else []


RULES: Final = MessageRules(
    platform="The receiver",
    texts=_whole,
    most_text=_LONGEST,
    most_caption=_LONGEST,
    most_files=_MOST,
    most_file_bytes=MOST_MEDIA_BYTES,
    most_bytes=MOST_MEDIA_BYTES,
    empty_files=True,
    buttons=ButtonRules(rows=_MOST, in_row=_MOST, text=_LONGEST, can_link=lambda url: url.startswith(("https://", "http://"))),
)
_LATER: Final = frozenset({408, 425, 429})


def body_of(sending: Sending, files: MediaFiles) -> bytes:
    """The JSON that is posted, the same for every try. Reads the files: run it in a thread. Raises OSError."""
    address, part = sending.address, sending.part
    body = {"id": sending.key, "channel": address.channel, "chat_id": address.chat_id, "thread_id": address.thread_id, "text": part.text}
    media = [
        {
            "name": each.name,
            "media_type": each.media_type,
            "size": each.size,
            "data": base64.b64encode(files.path(each).read_bytes()).decode(),
        }
        for each in part.media
    ]
    buttons = [[{"text": button.text, "url": button.url} for button in row if not button.command] for row in part.buttons]
    return orjson.dumps(body | {"media": media, "buttons": [row for row in buttons if row]})


def headers_of(hook: HookSettings, key: str, body: bytes, now: datetime, version: str) -> dict[str, str]:
    """With the signature, where there is a secret, and the key by which the receiver recognises a repeat."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key, "User-Agent": f"nanobot/{version}"}
    secret = hook.out_secret or hook.secret
    if secret is not None:
        timestamp = str(int(now.timestamp()))
        headers[TIMESTAMP_HEADER] = timestamp
        headers[SIGNATURE_HEADER] = sign(secret.get_secret_value(), timestamp, body)
    return headers


def _check_answer(status: int, headers: Mapping[str, str], now: datetime) -> None:
    """Raises SendLater or SendRefused where an answer does not say that the message was accepted."""
    if 200 <= status < 300:
        return
    if status == 407:  # by plain HTTP a proxy answers in its place
        raise SendLater("network", "The proxy wants another login.", counts=False)
    words = f"The receiver answered {status}."
    if status in _LATER or status >= 500:
        wait = seconds_until(headers.get("Retry-After"), now)
        raise SendLater(f"http_{status}", words, retry_after=wait, counts=status not in _LATER)
    if 300 <= status < 400:
        raise SendRefused("redirect", f"{words} Redirects are not followed: put the final address in the configuration.")
    raise SendRefused(f"http_{status}", words)


_CONNECT_SECONDS: Final = 10
_SECONDS: Final = 45
_REMEMBERED: Final = 4096


class WebhookChannel:
    """See `contracts.channels.Channel`, `TakesCalls` and `contracts.hooks.Hooks`. A receiver that honours Idempotency-Key gets a message once."""

    name = "webhook"
    keyed = True
    conversation = None

    def __init__(self, settings: WebhookSettings, context: ChannelContext) -> None:
        self._hooks = settings.hooks
        self._context = context
        self._link: ChannelLink | None = None
        self._proxy = settings.proxy
        self._sessions: dict[ProxyRoute, aiohttp.ClientSession] = {}
        self._accepted: Latest[None] = Latest(_REMEMBERED)
        """The latest ids, to answer a repeat as one. After a restart, a repeat gets its id and is answered as new."""

    def limits(self, address: Address) -> Sequence[Limit]:
        """None: a receiver answers 429."""
        return ()

    def plan(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        """One part, in Markdown: the receiver is a program. More only where the files are too large for one request."""
        self._way_out(event.address.chat_id)
        return plan_message(event, RULES)

    def attach(self, link: ChannelLink | None) -> None:
        self._link = link

    async def run(self, link: ChannelLink) -> None:
        self.attach(link)
        link.connected(await self.identity())
        await asyncio.Event().wait()

    async def receive(self, name: str, headers: Mapping[str, str], body: bytes) -> HookAccepted:
        message = read_hook(name, self._hooks.get(name), headers, body, datetime.now(UTC))
        if self._link is None:
            raise StoreUnavailable("The webhook channel is not running now. Nothing was accepted; try again later.", retry_after=5)
        id = await self._link.accept(message)
        if not id:
            raise Forbidden("Messages of this hook are not taken in.")
        new = id not in self._accepted
        self._accepted[id] = None
        return HookAccepted(id=id, new=new)

    async def send(self, sending: Sending) -> Receipt:
        hook, url = self._way_out(sending.address.chat_id)
        try:
            body = await asyncio.to_thread(body_of, sending, self._context.files)
        except OSError:
            raise SendLater("media_unreadable", "A file of the message can't be read now.") from None
        headers = headers_of(hook, sending.key, body, datetime.now(UTC), self._context.version)
        try:
            route = route_to(url, self._proxy)
            async with self._client(route).post(url, data=body, headers=headers, allow_redirects=False, proxy=route.http) as answer:
                _check_answer(answer.status, answer.headers, datetime.now(UTC))
        except UnusableProxy as error:
            raise SendLater("bad_proxy", f"{error} It is for channels.webhook.", counts=False, whole_channel=True) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError):
            raise SendLater("network", "The receiver can't be reached.", counts=False) from None
        except aiohttp.InvalidURL:
            raise SendRefused("bad_url", "The hook's url is not one that can be posted to.") from None
        except (aiohttp.ClientError, TimeoutError):
            raise SendUnclear("no_answer", "The receiver did not answer; it may have taken the message.") from None
        return Receipt(message_id=None, at=datetime.now(UTC))

    async def identity(self) -> str:
        ways = [
            f"{name} ({' and '.join(way for way, used in (('in', hook.listens), ('out', hook.url is not None)) if used) or 'unused'})"
            for name, hook in sorted(self._hooks.items())
        ]
        if not ways:
            raise ChannelFailed("channels.webhook.hooks names no hook.", fatal=True)
        return f"hooks: {', '.join(ways)}"

    async def close(self) -> None:
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    def _way_out(self, name: str) -> tuple[HookSettings, str]:
        hook = self._hooks.get(name)
        if hook is None:
            raise SendRefused("unknown_hook", f"There is no hook {name!r} in channels.webhook.hooks.")
        if hook.url is None:
            raise SendRefused("no_url", f"The hook {name!r} has no url: messages come in from it, and none go out.")
        return hook, hook.url.get_secret_value()

    def _client(self, route: ProxyRoute) -> aiohttp.ClientSession:
        """A new connection for each message: a kept one may be dead, and then it is unknown whether the message arrived."""
        if route not in self._sessions:
            timeout = aiohttp.ClientTimeout(total=_SECONDS, sock_connect=_CONNECT_SECONDS)
            connector = route.connector(force_close=True, limit=100)
            self._sessions[route] = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._sessions[route]

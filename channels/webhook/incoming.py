"""Incoming hooks: authenticated by a signature or a bearer token, read as messages."""

import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final

import orjson
from pydantic import SecretStr, ValidationError

from assistant.contracts.addresses import address_of
from assistant.contracts.channels import HookRequest
from assistant.contracts.errors import InvalidJson, InvalidRequest, NotFound, Unauthenticated
from assistant.contracts.inbox import InboundMessage, Sender
from assistant.contracts.util import new_id
from channels.webhook.settings import HookSettings

TIMESTAMP_HEADER: Final = "x-nanobot-timestamp"
SIGNATURE_HEADER: Final = "x-nanobot-signature"
MOST_SECONDS: Final = 300
"""The largest difference between the sender's clock and ours."""
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of the signature header."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()


def is_signed(secret: str, timestamp: str, signature: str, body: bytes) -> bool:
    """Whether the signature is right; takes the same time for every wrong one."""
    return hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.strip().lower().encode())


def is_recent(timestamp: str, now: float) -> bool:
    """Whether this is a timestamp within five minutes of `now`."""
    return _TIMESTAMP.fullmatch(timestamp) is not None and abs(int(timestamp) - now) <= MOST_SECONDS


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
    if hook.bearer is not None and _has_bearer(hook.bearer, headers.get("authorization", "")):
        return None
    ways = ["signed (X-Nanobot-Timestamp and X-Nanobot-Signature)"] if hook.secret is not None else []
    ways += ["sent with this hook's secret as 'Authorization: Bearer <secret>'"] if hook.bearer is not None else []
    raise Unauthenticated(f"Messages to this hook must be {' or '.join(ways)}.")


def _has_bearer(bearer: SecretStr, authorization: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    given = given.strip().encode(errors="surrogateescape")
    return scheme.lower() == "bearer" and hmac.compare_digest(given, bearer.get_secret_value().encode())


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

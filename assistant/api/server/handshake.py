"""The WebSocket handshake (RFC 6455, 4.2): its request, the ASGI scope made of it, and the heads of answers."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha1
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import httptools
from starlette.types import Scope

from assistant.contracts.errors import InvalidRequest

_VERSION: Final = b"13"
_KEY_BYTES: Final = 16
_PROTOCOL: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Appended to every key before it is hashed, by RFC 6455."""


def accept_key(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The value of `Sec-WebSocket-Accept`. Raises InvalidRequest for a request that is no handshake."""
    if [value for name, value in headers if name == b"sec-websocket-version"] != [_VERSION]:
        raise InvalidRequest("Send 'Sec-WebSocket-Version: 13': no other version is supported.", param="Sec-WebSocket-Version")
    keys = [value for name, value in headers if name == b"sec-websocket-key"]
    if len(keys) != 1 or not _is_key(keys[0]):
        raise InvalidRequest("'Sec-WebSocket-Key' must be sent once, and be the base64 of 16 bytes.", param="Sec-WebSocket-Key")
    return b64encode(sha1(keys[0] + _PROTOCOL, usedforsecurity=False).digest()).decode()


def websocket_scope(http: Scope, url: bytes) -> Scope:
    """The ASGI scope of the WebSocket that the request `http` asks for. Raises InvalidRequest for a malformed address."""
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise InvalidRequest("This is not a valid HTTP request.") from None
    return {
        "type": "websocket",
        "asgi": http["asgi"],
        "http_version": http["http_version"],
        "scheme": "wss" if http["scheme"] == "https" else "ws",
        "path": unquote(parsed.path.decode("latin-1")),
        "raw_path": parsed.path,
        "query_string": parsed.query or b"",
        "root_path": "",
        "headers": http["headers"],
        "client": http["client"],
        "server": http["server"],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }


def response_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """The status line and headers of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return "\r\n".join([f"HTTP/1.1 {status} {phrase}", *[f"{name}: {value}" for name, value in headers], "", ""]).encode("latin-1")


def _is_key(value: bytes) -> bool:
    try:
        return len(b64decode(value, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False

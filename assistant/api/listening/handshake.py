"""The beginning of a WebSocket: a request that asks for one (RFC 6455, 4.2.1), and what the application is told of it."""

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

import httptools
from starlette.types import Scope
from websockets.utils import accept_key

from assistant.contracts.errors import InvalidRequest

_VERSION: Final = b"13"
_KEY_BYTES: Final = 16


def accepted_key(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """What the answer shows to have been read. Raises InvalidRequest for a request that is no handshake."""
    if [value for name, value in headers if name == b"sec-websocket-version"] != [_VERSION]:
        raise InvalidRequest("Send 'Sec-WebSocket-Version: 13': no other version is spoken here.", param="Sec-WebSocket-Version")
    keys = [value for name, value in headers if name == b"sec-websocket-key"]
    if len(keys) != 1 or not _is_key(keys[0]):
        raise InvalidRequest("'Sec-WebSocket-Key' must be sent once, and be the base64 of 16 bytes.", param="Sec-WebSocket-Key")
    return accept_key(keys[0].decode())


def socket_scope(http: Scope, url: bytes) -> Scope:
    """The ASGI scope of the socket that the request `http` asks for. Raises InvalidRequest for an address that is malformed."""
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


def _is_key(value: bytes) -> bool:
    try:
        return len(b64decode(value, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False

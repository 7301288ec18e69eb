"""A JSON body: bounded in size, depth and tokens, lone surrogates replaced."""

import asyncio
import re
from typing import cast

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from assistant.api.middleware.request import header
from assistant.contracts.errors import InvalidJson, InvalidRequest, RequestTooLarge
from assistant.contracts.messages import Json, human_size

MAX_DEPTH = 64
MAX_TOKENS = 200_000
_SMALL = 1024 * 1024
_TOKEN = re.compile(rb'["\[\]{},]')
_SURROGATE = re.compile(rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|([89a-fA-F][0-9a-fA-F]{2}))")
"""A pair of escapes that make one character, or (with the group) half of one."""


def is_plainly_shallow(body: bytes | bytearray) -> bool:
    """True for a small body with so few brackets that it can't be too deep, whatever they are: most are, and need no further look."""
    return len(body) <= _SMALL and body.count(b"[") + body.count(b"{") <= MAX_DEPTH


def check_shape(body: bytes | bytearray) -> None:
    """Raises InvalidJson for arrays and objects nested deeper than 64, RequestTooLarge for more of commas and brackets than any message needs.

    Twenty-five megabytes of `[],[],…` would become hundreds of megabytes of Python objects. Takes time by the number of tokens, not of bytes:
    strings are skipped at the speed of `bytes.find`. Malformed JSON may pass: the parser will refuse it.
    """
    depth = 0
    position = 0
    for _ in range(MAX_TOKENS):
        token = _TOKEN.search(body, position)
        if token is None:
            return
        position = token.end()
        match token.group():
            case b'"':
                position = _end_of_string(body, position)
            case b"[" | b"{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise InvalidJson(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
            case b"]" | b"}":
                depth -= 1
            case _:
                pass
    raise RequestTooLarge(f"The JSON has more than {MAX_TOKENS:,} values.")


def replace_lone_surrogates(body: bytes | bytearray) -> bytearray:
    """Half of a character outside the basic plane, written as an escape without its other half, becomes U+FFFD.

    Clients that cut a text by UTF-16 units send these; no text that holds one can be stored or sent on. One escape is looked at at a time, and
    replaced where it stands: a regular expression's own way over 25 MB of them would hold the interpreter for seconds.
    """
    mended = bytearray(body)
    position = 0
    while (start := mended.find(b"\\u", position)) >= 0:
        position = start + 2
        if _backslashes_before(mended, start) % 2:
            continue  # an escaped backslash, and the letter u
        escape = _SURROGATE.match(mended, start)
        if escape is None:
            continue
        position = escape.end()
        if escape.group(1):
            mended[start:position] = b"\\ufffd"
    return mended


def _end_of_string(body: bytes | bytearray, position: int) -> int:
    """The offset after the closing quote of the string that goes on at `position`; the end of the body where there is none."""
    while (quote := body.find(b'"', position)) >= 0:
        if _backslashes_before(body, quote) % 2 == 0:
            return quote + 1
        position = quote + 1
    return len(body)


def _backslashes_before(body: bytes | bytearray, position: int) -> int:
    """How many stand directly before `position`."""
    first = position
    while first and body[first - 1] == 0x5C:
        first -= 1
    return position - first


_LARGE = 64 * 1024
"""Bytes, from which on looking a body over is done in a thread."""


async def read_json(scope: Scope, receive: Receive, limit: int) -> dict[str, Json]:
    """The object that the body holds. NaN and infinities are refused, of keys that come twice the last counts.

    Raises RequestTooLarge (as soon as more than `limit` bytes are announced or came), InvalidJson, InvalidRequest (valid, but no object),
    RequestTimeout, ClientDisconnect.
    """
    return await parse_object(await receive_body(scope, receive, limit), "body")


async def parse_object(body: bytes | bytearray, what: str) -> dict[str, Json]:
    """`what` the text is, for errors. Raises RequestTooLarge (more values than any message needs), InvalidJson, InvalidRequest."""
    if not is_plainly_shallow(body):
        if len(body) > _LARGE:
            await asyncio.to_thread(check_shape, body)
        else:
            check_shape(body)
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        value = await _parse_repaired(body, error, what)
    if not isinstance(value, dict):
        raise InvalidRequest(f"The {what} must be a JSON object.")
    return cast("dict[str, Json]", value)


def announced_length(scope: Scope) -> int | None:
    """The Content-Length; None where there is none."""
    value = header(scope, b"content-length")
    return int(value) if value is not None and value.isdigit() else None


async def receive_body(scope: Scope, receive: Receive, limit: int) -> bytes | bytearray:
    """The body as sent. Raises RequestTooLarge, RequestTimeout, ClientDisconnect."""
    too_large = RequestTooLarge(f"The JSON body is larger than {human_size(limit)}. Send large files as multipart/form-data.")
    if (announced_length(scope) or 0) > limit:
        raise too_large
    body = b""
    gathered = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body = message.get("body", b"")
        more = message.get("more_body", False)
        if not more and not gathered:
            break
        gathered += body
        if len(gathered) > limit:
            raise too_large
        if not more:
            return gathered
    if len(body) > limit:
        raise too_large
    return body


async def _parse_repaired(body: bytes | bytearray, error: orjson.JSONDecodeError, what: str) -> object:
    if "surrogate" not in error.msg or b"\\u" not in body:
        raise InvalidJson(f"The {what} is not valid JSON: {error.msg} (at character {error.pos}).") from None
    repaired = await asyncio.to_thread(replace_lone_surrogates, body)
    try:
        return orjson.loads(repaired)
    except orjson.JSONDecodeError as second:
        raise InvalidJson(f"The {what} is not valid JSON: {second.msg} (at character {second.pos}).") from None

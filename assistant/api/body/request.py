"""The body of a request by its Content-Type: a JSON object, or a form with files."""

import asyncio
import codecs
import re
from typing import cast

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from assistant.api.body.multipart import MultipartForm, read_form
from assistant.api.body.spool import Spool
from assistant.api.middleware.request import announced_length, header
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidJson, InvalidRequest, RequestTooLarge, UnsupportedMediaType
from assistant.contracts.messages import Json, human_size

MAX_DEPTH = 64
MAX_TOKENS = 200_000
_SMALL = 1024 * 1024
_TOKEN = re.compile(rb'["\[\]{},]')
_SURROGATE = re.compile(rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|([89a-fA-F][0-9a-fA-F]{2}))")
"""A surrogate pair, or (with the group) half of one."""


def check_shape(body: bytes | bytearray) -> None:
    """Raises InvalidJson for nesting deeper than 64 levels, RequestTooLarge for more than 200,000 commas, brackets and strings: 25 MB of
    `[],[],…` would become hundreds of megabytes of Python objects.

    Takes time by the number of tokens, not of bytes. Malformed JSON may pass: the parser refuses it.
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
    """Escapes of half a surrogate pair become U+FFFD: clients that cut text by UTF-16 units send them, and such text can't be encoded.

    One escape at a time, in place: one regular expression over 25 MB of them would hold the interpreter for seconds.
    """
    repaired = bytearray(body)
    position = 0
    while (start := repaired.find(b"\\u", position)) >= 0:
        position = start + 2
        if _backslashes_before(repaired, start) % 2:
            continue  # an escaped backslash, and the letter u
        escape = _SURROGATE.match(repaired, start)
        if escape is None:
            continue
        position = escape.end()
        if escape.group(1):
            repaired[start:position] = b"\\ufffd"
    return repaired


def _end_of_string(body: bytes | bytearray, position: int) -> int:
    """The offset after the closing quote of the string around `position`; without one, the end of the body."""
    while (quote := body.find(b'"', position)) >= 0:
        if _backslashes_before(body, quote) % 2 == 0:
            return quote + 1
        position = quote + 1
    return len(body)


def _backslashes_before(body: bytes | bytearray, position: int) -> int:
    """How many directly precede `position`."""
    first = position
    while first and body[first - 1] == 0x5C:
        first -= 1
    return position - first


_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""By the byte order mark, which PowerShell and .NET write before JSON."""
_LARGE = 64 * 1024
"""A body of more bytes is checked in a thread."""


async def parse_object(body: bytes | bytearray, what: str) -> dict[str, Json]:
    """`what` the text is, for errors. Raises RequestTooLarge (more values than any message needs), InvalidJson, InvalidRequest."""
    if body[:1] > b"\x7f" or body[:1] == b"\0":  # a byte order mark: JSON begins in ASCII
        body = await asyncio.to_thread(_as_utf8, body, what)
    if len(body) > _SMALL or body.count(b"[") + body.count(b"{") > MAX_DEPTH:  # else it can't be too deep, whatever the brackets are
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


async def receive_body(scope: Scope, receive: Receive, limit: int) -> bytes | bytearray:
    """The body as sent. Raises RequestTooLarge, RequestTimeout, ClientDisconnect."""
    body: bytes | bytearray = b""
    gathered = bytearray()
    size, more = announced_length(scope) or 0, True
    while more and size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece, more = message.get("body", b""), message.get("more_body", False)
        if body or more:
            gathered += piece
        body = gathered or piece  # a body in one piece is not copied
        size = len(body)
    if size > limit:
        raise RequestTooLarge(f"The JSON body is larger than {human_size(limit)}. Send large files as multipart/form-data.")
    return body


def _as_utf8(body: bytes | bytearray, what: str) -> bytes:
    """Without its byte order mark, in UTF-8. Blocks. Raises InvalidJson."""
    encoding = next((encoding for mark, encoding in _ENCODINGS if body.startswith(mark)), None)
    if encoding is None:
        raise InvalidJson(f"The {what} is not valid JSON: it does not begin as JSON in UTF-8.")
    try:
        return body.decode(encoding).lstrip("\ufeff").encode()
    except UnicodeDecodeError:
        raise InvalidJson(f"The {what} begins with the mark of {encoding.upper()}, and is not valid in it.") from None


async def _parse_repaired(body: bytes | bytearray, error: orjson.JSONDecodeError, what: str) -> object:
    if "surrogate" not in error.msg or b"\\u" not in body:
        raise InvalidJson(f"The {what} is not valid JSON: {error.msg} (at character {error.pos}).") from None
    repaired = await asyncio.to_thread(replace_lone_surrogates, body)
    try:
        return orjson.loads(repaired)
    except orjson.JSONDecodeError as second:
        raise InvalidJson(f"The {what} is not valid JSON: {second.msg} (at character {second.pos}).") from None


async def read_json(scope: Scope, receive: Receive, limits: ApiLimits) -> dict[str, Json]:
    """The body of an endpoint that takes JSON only. Raises what `read_request` raises."""
    content_type = header(scope, b"content-type") or b""
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise UnsupportedMediaType("Send JSON with 'Content-Type: application/json'.")
    return await parse_object(await receive_body(scope, receive, limits.json_bytes), "body")


async def read_request(
    scope: Scope, receive: Receive, spool: Spool, *, named: frozenset[str] | None = None
) -> dict[str, Json] | MultipartForm:
    """The body; a form's files are put into the spool. `named`: see `read_form`.

    Raises UnsupportedMediaType, InvalidRequest and its kin, RequestTooLarge, FileTooLarge, RequestTimeout; ClientDisconnect if the client
    left before the body was whole.
    """
    content_type = header(scope, b"content-type") or b""
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == b"application/json":
        return await parse_object(await receive_body(scope, receive, spool.limits.json_bytes), "body")
    if media_type == b"multipart/form-data":
        return await read_form(scope, receive, content_type, spool, named=named)
    raise UnsupportedMediaType

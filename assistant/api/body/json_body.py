"""A JSON body: received up to a limit, looked over, parsed."""

import asyncio
from typing import cast

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from assistant.api.body.json_shape import check_shape, is_plainly_shallow, replace_lone_surrogates
from assistant.api.middleware.scope import header
from assistant.contracts.errors import InvalidJson, InvalidRequest, RequestTooLarge
from assistant.contracts.messages import Json, human_size

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

"""The body of a request by its Content-Type: a JSON object, or a form with files."""

from typing import overload

from starlette.types import Receive, Scope

from assistant.api.body.json_body import parse_object, receive_body
from assistant.api.body.multipart import MultipartForm, read_form
from assistant.api.body.spool import Spool
from assistant.api.middleware.request import header
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import UnsupportedMediaType
from assistant.contracts.messages import Json


@overload
async def read_request(scope: Scope, receive: Receive, limits: ApiLimits) -> dict[str, Json]: ...
@overload
async def read_request(
    scope: Scope, receive: Receive, limits: ApiLimits, spool: Spool, *, named: frozenset[str] = ...
) -> dict[str, Json] | MultipartForm: ...
async def read_request(
    scope: Scope, receive: Receive, limits: ApiLimits, spool: Spool | None = None, *, named: frozenset[str] = frozenset()
) -> dict[str, Json] | MultipartForm:
    """The body. `spool`: takes a form's files; None: the endpoint takes JSON only. `named`: see `read_form`.

    Raises UnsupportedMediaType, InvalidRequest and its kin, RequestTooLarge, FileTooLarge, RequestTimeout; ClientDisconnect if the client
    left before the body was whole.
    """
    content_type = header(scope, b"content-type") or b""
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == b"application/json":
        return await parse_object(await receive_body(scope, receive, limits.json_bytes), "body")
    if spool is None:
        raise UnsupportedMediaType("Send JSON with 'Content-Type: application/json'.")
    if media_type == b"multipart/form-data":
        return await read_form(scope, receive, content_type, spool, limits, named=named)
    raise UnsupportedMediaType

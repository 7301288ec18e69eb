"""A request to send, in either form, checked."""

from dataclasses import dataclass

import orjson
from pydantic import ValidationError
from starlette.types import Receive, Scope

from assistant.api.body.json_body import read_json
from assistant.api.body.multipart import read_form
from assistant.api.body.spool import Spool
from assistant.api.complaints import complaint
from assistant.api.deliveries.wire import DeliveryRequest
from assistant.api.middleware.scope import header
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidRequest, UnsupportedMediaType
from assistant.contracts.sending import check_words
from assistant.contracts.turns import Upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be sent. Files lie in the spool that was given."""

    request: DeliveryRequest
    text: str
    files: tuple[Upload, ...]


async def read_delivery(scope: Scope, receive: Receive, spool: Spool, limits: ApiLimits) -> Asked:
    """Raises UnsupportedMediaType, InvalidRequest and its kin, RequestTooLarge, FileTooLarge, RequestTimeout, ClientDisconnect."""
    content_type = header(scope, b"content-type") or b""
    media_type = content_type.partition(b";")[0].strip().lower()
    body: object
    files: tuple[Upload, ...] = ()
    if media_type == b"application/json":
        body = await read_json(scope, receive, limits.json_bytes)
    elif media_type == b"multipart/form-data":
        form = await read_form(scope, receive, content_type, spool, limits)
        body, files = _typed(form.fields), form.files
    else:
        raise UnsupportedMediaType
    try:
        request = DeliveryRequest.model_validate(body)
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None
    if request.text is not None and request.content is not None:
        raise InvalidRequest("'content' is another name for 'text': send one of them.", param="content")
    text = request.text if request.text is not None else request.content or ""
    check_words(text, files=len(files))
    return Asked(request=request, text=text, files=files)


def _typed(fields: dict[str, str]) -> dict[str, object]:
    """A form's fields with the types that they have in JSON; one left empty, as browsers send it, is one not given."""
    typed: dict[str, object] = {name: value for name, value in fields.items() if value or name in ("text", "content")}
    if isinstance(buttons := typed.get("buttons"), str):
        try:
            typed["buttons"] = orjson.loads(buttons)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"'buttons' is not valid JSON: {error.msg}.", param="buttons") from None
    return typed

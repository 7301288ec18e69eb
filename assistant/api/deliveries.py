"""/v1/deliveries: send a message, see what became of it, retry, cancel."""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema
from starlette.types import Receive, Scope

from assistant.api.answers import written
from assistant.api.body.json_body import read_json
from assistant.api.body.multipart import fields_without_null, read_form
from assistant.api.body.spool import Spool
from assistant.api.complaints import complaint
from assistant.api.idempotency.exchange import idempotency_key
from assistant.api.middleware.request import header, principal
from assistant.api.openapi import errors, needs
from assistant.api.settings import ApiLimits
from assistant.contracts.addresses import address_of
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.errors import DeliveryNotFound, IdempotencyMismatch, InvalidRequest, UnsupportedMediaType
from assistant.contracts.outbox import Deliveries, Delivery, DeliveryState, MediaFiles, Origin, OutboundEvent
from assistant.contracts.sending import MAX_CHARS, ButtonsAsked, button_rows, check_ahead, check_words, read_time
from assistant.contracts.turns import Upload
from assistant.contracts.util import derived_id, new_id
from assistant.delivery.describe import describe
from assistant.store.outbox import OutboxStore

_LONGEST_ID: Final = 256
_ID_SCHEMA: Final = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": _LONGEST_ID}, {"type": "number"}]}
DeliveryId = Annotated[
    str, Field(strict=False, coerce_numbers_to_str=True, min_length=1, max_length=_LONGEST_ID), WithJsonSchema(_ID_SCHEMA)
]
_EITHER_TEXT: Final[list[JsonValue]] = [{"required": ["text"]}, {"required": ["content"]}]
Binary = Annotated[str, Field(json_schema_extra={"format": "binary"})]


class DeliveryRequest(BaseModel):
    """A message to a chat. `text` (or `content`, nanobot's word) is Markdown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra={"anyOf": _EITHER_TEXT})

    channel: Annotated[str, Field(min_length=1, max_length=32)] = Field(description="telegram, discord, webhook, apprise …")
    chat_id: DeliveryId = Field(description="The chat, by the platform's own id.")
    thread_id: DeliveryId | None = Field(default=None, description="A forum topic or thread within the chat.")
    text: Annotated[str, Field(max_length=MAX_CHARS)] | None = None
    content: Annotated[str, Field(max_length=MAX_CHARS)] | None = Field(default=None, description="Another name for text.")
    buttons: ButtonsAsked | None = Field(default=None, description="Rows of buttons; a button is its text, or an object with text and url.")
    at: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="When to send it, if not now: ISO 8601 with an offset, within a year."
    )


class DeliveryForm(BaseModel):
    """The same as multipart/form-data, with files."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=fields_without_null)

    channel: str = Field(min_length=1, max_length=32)
    chat_id: str = Field(min_length=1, max_length=_LONGEST_ID)
    thread_id: str | None = Field(default=None, max_length=_LONGEST_ID)
    text: str | None = Field(default=None, max_length=MAX_CHARS)
    content: str | None = Field(default=None, max_length=MAX_CHARS, description="Another name for text.")
    buttons: str | None = Field(default=None, description="As JSON.")
    at: str | None = Field(default=None, max_length=64)
    files: list[Binary] = Field(default=[], description="What goes out with it.")
    file: list[Binary] = Field(default=[], description="Another name for files.")
    more: list[Binary] = Field(default=[], alias="files[]", description="Another name for files.")


class DeliveryMedia(BaseModel):
    name: str
    media_type: str
    size: int


class DeliveryPart(BaseModel):
    """One message on the platform: long texts go out as several."""

    message_id: str | None
    """The platform's own id of it; null while it is not sent, or where the platform gives none."""
    sent_at: str | None


class DeliveryTrouble(BaseModel):
    code: str
    message: str


class DeliveryAnswer(BaseModel):
    """A message and what became of it. Times are UTC, by ISO 8601."""

    id: str
    object: Literal["delivery"]
    state: DeliveryState
    detail: str = Field(description="What is true of it now, in words.")
    channel: str
    chat_id: str
    thread_id: str | None
    text: str
    media: list[DeliveryMedia]
    attempts: int
    due: str | None = Field(description="When it is tried next; null unless it is queued.")
    error: DeliveryTrouble | None = Field(description="Why it is not sent (yet).")
    maybe_duplicate: bool = Field(description="A part was sent again though an earlier try may have arrived.")
    parts: list[DeliveryPart] = Field(description="Empty until it is first tried.")
    created_at: str
    expires_at: str
    ended_at: str | None


class DeliveryList(BaseModel):
    object: Literal["list"]
    data: list[DeliveryAnswer]
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryInput:
    """What is to be sent. Files lie in the spool that was given."""

    request: DeliveryRequest
    text: str
    files: tuple[Upload, ...]


async def read_delivery(scope: Scope, receive: Receive, spool: Spool, limits: ApiLimits) -> DeliveryInput:
    """Raises UnsupportedMediaType, InvalidRequest and its kin, RequestTooLarge, FileTooLarge, RequestTimeout, ClientDisconnect."""
    content_type = header(scope, b"content-type") or b""
    media_type = content_type.partition(b";")[0].strip().lower()
    body: object
    files: tuple[Upload, ...] = ()
    if media_type == b"application/json":
        body = await read_json(scope, receive, limits.json_bytes)
    elif media_type == b"multipart/form-data":
        form = await read_form(scope, receive, content_type, spool, limits)
        body, files = _typed_input(form.fields), form.files
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
    return DeliveryInput(request=request, text=text, files=files)


def _typed_input(fields: dict[str, str]) -> dict[str, object]:
    """A form's fields with the types that they have in JSON; one left empty, as browsers send it, is one not given."""
    typed: dict[str, object] = {name: value for name, value in fields.items() if value or name in ("text", "content")}
    if isinstance(buttons := typed.get("buttons"), str):
        try:
            typed["buttons"] = orjson.loads(buttons)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"'buttons' is not valid JSON: {error.msg}.", param="buttons") from None
    return typed


_ID = re.compile(r"evt_[0-9a-f]{28}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What sending takes."""

    deliveries: Deliveries
    outbox: OutboxStore
    files: MediaFiles
    channels: ChannelDirectory
    expire_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEndpoints:
    """The endpoints."""

    outgoing: Outgoing
    limits: ApiLimits
    spool_folder: Path

    async def create(self, request: Request) -> Response:
        """Accept a message: 202, it is kept and will be tried until it is sent, refused or expired (`detail` says so where its channel is not
        enabled). Under an `Idempotency-Key`, the delivery's id is derived from it: what was sent once is found as long as it is kept, also after
        the first answer has been forgotten or was never given: then 200 and the first delivery, whatever became of it."""
        owner = principal(request.scope).id
        key = idempotency_key(request.scope)
        spool = Spool(self.spool_folder, self.limits)
        try:
            asked = await read_delivery(request.scope, request.receive, spool, self.limits)
            event = await self._event(asked, owner, new_id("evt") if key is None else derived_id("evt", "api", owner, key))
        finally:
            if spool.holds_files:
                await asyncio.to_thread(spool.remove)
        delivery = None if key is None else await self.outgoing.outbox.get(owner, event.id)
        status = 200
        if delivery is None:
            if event.not_before is not None:
                check_ahead(event.not_before, datetime.now(UTC))
            delivery, status = await self.outgoing.deliveries.send(event), 202
        if _said(delivery.event) != _said(event):
            raise IdempotencyMismatch(param="Idempotency-Key")
        return Response(self._shown(delivery).model_dump_json(), status, media_type="application/json")

    async def index(
        self,
        request: Request,
        state: DeliveryState | None = None,
        channel: Annotated[str | None, Query(max_length=32, pattern=r"^[a-z][a-z0-9_-]*$")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[str | None, Query(max_length=64)] = None,
    ) -> DeliveryList:
        """The latest first; `before`: the id of the last one of the page before."""
        owner = principal(request.scope).id
        last = None if before is None else _known_delivery(before)
        found = await self.outgoing.outbox.list(owner, state=state, channel=channel, limit=limit + 1, before=last)
        return DeliveryList(object="list", data=[self._shown(delivery) for delivery in found[:limit]], has_more=len(found) > limit)

    async def show(self, request: Request, delivery_id: str) -> DeliveryAnswer:
        delivery = await self.outgoing.outbox.get(principal(request.scope).id, _known_delivery(delivery_id))
        if delivery is None:
            raise DeliveryNotFound(param="delivery_id")
        return self._shown(delivery)

    async def retry(self, request: Request, delivery_id: str) -> DeliveryAnswer:
        """Try again what failed, expired, was cancelled or is unknown; what waits is tried now. Parts that arrived are not sent again."""
        expires_at = datetime.now(UTC) + self.outgoing.expire_after
        return self._shown(await self.outgoing.outbox.retry(principal(request.scope).id, _known_delivery(delivery_id), expires_at))

    async def cancel(self, request: Request, delivery_id: str) -> DeliveryAnswer:
        """Cancel what waits. What is being sent, or was sent, can't be."""
        return self._shown(await self.outgoing.outbox.cancel(principal(request.scope).id, _known_delivery(delivery_id)))

    async def _event(self, asked: DeliveryInput, owner: str, event_id: str) -> OutboundEvent:
        """Raises InvalidAddress, InvalidRequest, StoreUnavailable."""
        request, files = asked.request, self.outgoing.files
        at = read_time(request.at) if request.at else None
        return OutboundEvent(
            id=event_id,
            address=self.outgoing.channels.check(address_of(request.channel, request.chat_id, request.thread_id)),
            text=asked.text,
            media=tuple([await files.keep(upload.path, upload.name) for upload in asked.files]),
            buttons=button_rows(request.buttons or []),
            not_before=at,
            expires_at=(at or datetime.now(UTC)) + self.outgoing.expire_after,
            origin=Origin(kind="api", owner=owner),
        )

    def _shown(self, delivery: Delivery) -> DeliveryAnswer:
        event, address, trouble = delivery.event, delivery.event.address, delivery.trouble
        return DeliveryAnswer(
            id=event.id,
            object="delivery",
            state=delivery.state,
            detail=describe(delivery, self.outgoing.deliveries.enabled(address.channel)),
            channel=address.channel,
            chat_id=address.chat_id,
            thread_id=address.thread_id,
            text=event.text,
            media=[DeliveryMedia(name=each.name, media_type=each.media_type, size=each.size) for each in event.media],
            attempts=delivery.attempts,
            due=written(delivery.due) if delivery.state == "queued" else None,
            error=None if trouble is None else DeliveryTrouble(code=trouble.code, message=trouble.words),
            maybe_duplicate=delivery.maybe_duplicate,
            parts=[
                DeliveryPart(
                    message_id=part.receipt.message_id if part.receipt else None, sent_at=written(part.receipt.at) if part.receipt else None
                )
                for part in delivery.parts
            ],
            created_at=written(delivery.created),
            expires_at=written(event.expires_at),
            ended_at=None if delivery.ended is None else written(delivery.ended),
        )


def _known_delivery(delivery_id: str) -> str:
    """Raises DeliveryNotFound for what can't be the id of one."""
    if not _ID.fullmatch(delivery_id):
        raise DeliveryNotFound(param="delivery_id")
    return delivery_id


def _said(event: OutboundEvent) -> tuple[object, ...]:
    """What makes two requests the same."""
    return event.address, event.text, event.media, event.buttons, event.not_before


_PATH: Final = "/v1/deliveries"
_ONE: Final = _PATH + "/{delivery_id}"
_SCHEMAS: Final = "#/components/schemas/"
_SEND: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": _SCHEMAS + "DeliveryRequest"}},
            "multipart/form-data": {"schema": {"$ref": _SCHEMAS + "DeliveryForm"}},
        },
    },
}
_REPEATED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": DeliveryAnswer,
        "description": "A repeat of a day or more later, by its Idempotency-Key: the first delivery, as it is now.",
    }
}


def add_delivery_routes(app: FastAPI, deliveries: DeliveryEndpoints) -> None:
    app.add_api_route(
        _PATH,
        deliveries.create,
        methods=["POST"],
        summary="Send a message",
        status_code=202,
        response_model=DeliveryAnswer,
        response_description="Accepted: it is kept.",
        responses={**_REPEATED, **errors(400, 401, 408, 413, 415, 422, 503)},
        openapi_extra=needs("deliveries", _SEND),
    )
    get, post, seen = ["GET"], ["POST"], needs("deliveries")
    for path, summary, endpoint, methods, answer, refusals in (
        (_PATH, "List deliveries", deliveries.index, get, DeliveryList, errors(400, 401, 404, 503)),
        (_ONE, "Show a delivery", deliveries.show, get, DeliveryAnswer, errors(401, 404, 503)),
        (_ONE + "/retry", "Try a delivery again", deliveries.retry, post, DeliveryAnswer, errors(401, 404, 409, 503)),
        (_ONE + "/cancel", "Cancel a delivery", deliveries.cancel, post, DeliveryAnswer, errors(401, 404, 409, 503)),
    ):
        app.add_api_route(path, endpoint, summary=summary, methods=methods, response_model=answer, responses=refusals, openapi_extra=seen)

"""/v1/deliveries: send a message, see its state, retry, cancel."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.types import Receive, Scope

from assistant.access.addressees import Addressees
from assistant.api.answers import Answer, Before, ListAnswer, PageLimit, Time, known_id
from assistant.api.body.multipart import MultipartForm
from assistant.api.body.request import read_request
from assistant.api.body.spool import Spool, spooled
from assistant.api.complaints import validated
from assistant.api.idempotency.exchange import idempotency_key
from assistant.api.middleware.request import principal
from assistant.api.openapi import FILE, Form, Schema, described, endpoint, errors, takes
from assistant.api.settings import ApiLimits
from assistant.contracts.addresses import Address, address_of, parse_address
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.errors import DeliveryNotFound, Forbidden, IdempotencyMismatch, InvalidRequest
from assistant.contracts.inbox import KnownChats
from assistant.contracts.outbox import Deliveries, Delivery, DeliveryError, DeliveryState, MediaFiles, Origin, OutboundEvent, PartState
from assistant.contracts.people import ME, Addressee, PeopleDirectory, names_person
from assistant.contracts.records import record
from assistant.contracts.sending import MAX_CHARS, ButtonsAsked, button_rows, check_ahead, check_words, read_time
from assistant.contracts.turns import Upload
from assistant.contracts.util import derived_id, new_id
from assistant.delivery.service import describe
from assistant.store.outbox import OutboxStore

_LONGEST_ID: Final = 256
_ID_SCHEMA: Final = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": _LONGEST_ID}, {"type": "number"}]}
DeliveryId = Annotated[
    str, Field(strict=False, coerce_numbers_to_str=True, min_length=1, max_length=_LONGEST_ID), WithJsonSchema(_ID_SCHEMA)
]
_EITHER_TEXT: Final[dict[str, Any]] = {"anyOf": [{"required": ["text"]}, {"required": ["content"]}]}
_NOT_GIVEN: Final[dict[str, Any]] = {"type": "null"}
_EITHER_RECEIVER: Final[dict[str, Any]] = {
    "oneOf": [
        {"required": ["to"], "properties": {"to": {"type": "string"}, "channel": _NOT_GIVEN, "chat_id": _NOT_GIVEN}},
        {"required": ["channel", "chat_id"], "properties": {"to": _NOT_GIVEN, "channel": {"type": "string"}, "chat_id": _ID_SCHEMA}},
    ]
}


class DeliveryRequest(BaseModel):
    """A message to a chat or a person. `text` (or `content`, nanobot's word) is Markdown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra={"allOf": [_EITHER_TEXT, _EITHER_RECEIVER]})

    to: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        default=None, description='Instead of channel and chat_id: a person ("me", a name, an id), or a chat as channel:chat_id.'
    )
    channel: Annotated[str, Field(min_length=1, max_length=32)] | None = Field(
        default=None, description="telegram, discord, webhook, apprise …"
    )
    chat_id: DeliveryId | None = Field(default=None, description="The chat, by the platform's own id.")
    thread_id: DeliveryId | None = Field(default=None, description="A forum topic or thread within the chat.")
    text: Annotated[str, Field(max_length=MAX_CHARS)] | None = None
    content: Annotated[str, Field(max_length=MAX_CHARS)] | None = Field(default=None, description="Another name for text.")
    buttons: ButtonsAsked | None = Field(default=None, description="Rows of buttons; a button is its text, or an object with text and url.")
    at: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="When to send it, if not now: ISO 8601 with an offset, within a year."
    )

    @property
    def words(self) -> str:
        return self.text if self.text is not None else self.content or ""


_FILES: Final[Schema] = {"type": "array", "items": FILE, "default": []}
_ID_TEXT: Final = {"type": "string", "maxLength": _LONGEST_ID}
DELIVERY_FORM: Final = Form(
    name="DeliveryForm",
    description="The same as multipart/form-data, with files.",
    of=DeliveryRequest,
    fields={
        "chat_id": {**_ID_TEXT, "minLength": 1},
        "thread_id": _ID_TEXT,
        "buttons": {"type": "string", "description": "As JSON."},
        "files": {**_FILES, "description": "What goes out with it."},
        "file": {**_FILES, "description": "Another name for files."},
        "files[]": {**_FILES, "description": "Another name for files."},
    },
)


class DeliveryMedia(Answer):
    name: str
    media_type: str
    size: int


class DeliveryPart(Answer):
    """One message on the platform: long texts go out as several."""

    message_id: str | None = None
    """The platform's own id of it; null while it is not sent, or where the platform gives none."""
    sent_at: Time | None = Field(default=None, validation_alias="at")
    notice: str = ""
    """What was left out or sent in another form because the platform refused it; empty: nothing."""
    reached_at: Time | None = None
    """When the platform reported that it had reached its receiver; null: it has not, or reports nothing."""
    read_at: Time | None = None


class DeliveryTrouble(Answer):
    code: str
    message: str = Field(validation_alias="words")


class DeliveryAnswer(Answer):
    """A message and its state. Times are UTC, by ISO 8601."""

    id: str
    object: Literal["delivery"] = "delivery"
    state: DeliveryState
    detail: str = Field(description="What is true of it now, in words.")
    to: str | None = Field(description='The person whom it is for ("you": the caller); null: the chat alone.')
    channel: str | None = Field(description="null where the caller may not know it: another's chats are theirs.")
    chat_id: str | None
    thread_id: str | None
    follows: str | None = Field(description="The delivery to this person that failed, and that this one follows on their next channel.")
    text: str
    media: list[DeliveryMedia]
    attempts: int
    due: Time | None = Field(description="When it is tried next; null unless it is queued.")
    error: DeliveryTrouble | None = Field(description="Why it is not sent (yet).")
    notice: str = Field(description="What of a sent message the platform did not take, in words; empty: nothing.")
    maybe_duplicate: bool = Field(description="A part was sent again though an earlier try may have arrived.")
    parts: list[DeliveryPart] = Field(description="Empty until it is first tried.")
    created_at: Time
    expires_at: Time
    ended_at: Time | None


class DeliveryList(ListAnswer[DeliveryAnswer]):
    pass


async def read_delivery(scope: Scope, receive: Receive, spool: Spool) -> tuple[DeliveryRequest, tuple[Upload, ...]]:
    """The request and its files, which lie in the spool. Raises what `read_request` raises."""
    body = await read_request(scope, receive, spool)
    files = body.files if isinstance(body, MultipartForm) else ()
    request = validated(DeliveryRequest, _typed_input(body.fields) if isinstance(body, MultipartForm) else body)
    if (request.to is not None) == (request.channel is not None or request.chat_id is not None):
        raise InvalidRequest("Say whom the message is for once: 'to', or 'channel' and 'chat_id'.", param="to")
    if (request.channel is None) != (request.chat_id is None):
        raise InvalidRequest("'channel' and 'chat_id' are needed together.", param="chat_id" if request.chat_id is None else "channel")
    if request.text is not None and request.content is not None:
        raise InvalidRequest("'content' is another name for 'text': send one of them.", param="content")
    check_words(request.words, files=len(files))
    return request, files


def _typed_input(fields: dict[str, str]) -> dict[str, object]:
    """A form's fields with their types in JSON; an empty one, as browsers send it, was not given."""
    typed: dict[str, object] = {name: value for name, value in fields.items() if value or name in ("text", "content")}
    if isinstance(buttons := typed.get("buttons"), str):
        try:
            typed["buttons"] = orjson.loads(buttons)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"'buttons' is not valid JSON: {error.msg}.", param="buttons") from None
    return typed


_PATH: Final = "/v1/deliveries"
_ONE: Final = _PATH + "/{delivery_id}"
_known = partial(known_id, prefix="evt", missing=DeliveryNotFound, param="delivery_id")


@record
class Reach:
    """To which chats a caller may have something written."""

    channels: ChannelDirectory
    people: PeopleDirectory
    chats: KnownChats

    async def person(self, owner: str, wanted: str) -> Addressee:
        """A person to whom the caller writes. Raises InvalidAddress; Forbidden for a guest who means another; StoreUnavailable."""
        person = await self.people.person(owner)
        if person is not None and person.role == "guest" and wanted.strip().casefold() != ME:
            raise Forbidden("Guests have nothing written to other chats than their own.")
        return await Addressees(self.people, self.channels).find(wanted, owner)

    async def check(self, owner: str, address: Address) -> Address:
        """Raises InvalidAddress; Forbidden for a guest and a chat that is not theirs; StoreUnavailable."""
        address, person = self.channels.check(address), await self.people.person(owner)
        if person is not None and person.role == "guest" and not await self.chats.wrote(address, owner=owner):
            raise Forbidden("Guests have nothing written to other chats than their own.")
        return address


@record
class Outgoing:
    """The services that deliveries need."""

    deliveries: Deliveries
    outbox: OutboxStore
    files: MediaFiles
    reach: Reach
    expire_after: timedelta


@record
class DeliveryEndpoints:
    outgoing: Outgoing
    limits: ApiLimits
    spool_folder: Path

    @endpoint(
        "POST",
        _PATH,
        "Send a message",
        scope="deliveries",
        responses={
            200: described(DeliveryAnswer, "A repeat of a day or more later, by its Idempotency-Key: the first delivery, as it is now."),
            202: described(DeliveryAnswer, "Accepted: it is kept."),
            **errors(400, 401, 408, 413, 415, 422, 503),
        },
        status_code=202,
        extra=takes(DeliveryRequest, form=DELIVERY_FORM),
    )
    async def create(self, request: Request) -> Response:
        """Accept a message: 202. It is kept, and tried until it is sent, refused or expired; `detail` reports a channel that is not enabled.
        With an `Idempotency-Key`, the delivery's id is derived from the key: a repeat finds the first delivery as long as that is kept, also
        after its answer was forgotten or lost, and is answered with 200 and the delivery in its present state."""
        owner = principal(request.scope).person
        key = idempotency_key(request.scope)
        async with spooled(self.spool_folder, self.limits) as spool:
            asked, files = await read_delivery(request.scope, request.receive, spool)
            event = await self._event(asked, files, owner, new_id("evt") if key is None else derived_id("evt", "api", owner, key))
        delivery = None if key is None else await self.outgoing.outbox.get(owner, event.id)
        status = 200
        if delivery is None:
            if event.not_before is not None:
                check_ahead(event.not_before, datetime.now(UTC))
            delivery, status = await self.outgoing.deliveries.send(event), 202
        if _said(delivery.event) != _said(event):
            raise IdempotencyMismatch(param="Idempotency-Key")
        return Response(self._shown(delivery).model_dump_json(), status, media_type="application/json")

    @endpoint("GET", _PATH, "List deliveries", scope="deliveries", responses=errors(400, 401, 404, 503))
    async def index(
        self,
        request: Request,
        state: DeliveryState | None = None,
        channel: Annotated[str | None, Query(max_length=32, pattern=r"^[a-z][a-z0-9_-]*$")] = None,
        limit: PageLimit = 50,
        before: Before = None,
    ) -> DeliveryList:
        """The latest first; `before`: the id of the last one of the page before."""
        owner = principal(request.scope).person
        last = None if before is None else _known(before)
        found = await self.outgoing.outbox.list(owner, state=state, channel=channel, limit=limit + 1, before=last)
        return DeliveryList.page(found, limit, self._shown)

    @endpoint("GET", _ONE, "Show a delivery", scope="deliveries", responses=errors(401, 404, 503))
    async def show(self, request: Request, delivery_id: str) -> DeliveryAnswer:
        delivery = await self.outgoing.outbox.get(principal(request.scope).person, _known(delivery_id))
        if delivery is None:
            raise DeliveryNotFound(param="delivery_id")
        return self._shown(delivery)

    @endpoint("POST", _ONE + "/retry", "Try a delivery again", scope="deliveries", responses=errors(401, 404, 409, 503))
    async def retry(self, request: Request, delivery_id: str) -> DeliveryAnswer:
        """Retry a delivery that failed, expired, was cancelled or is unknown, or a queued one now. Parts that arrived are not sent again."""
        expires_at = datetime.now(UTC) + self.outgoing.expire_after
        return self._shown(await self.outgoing.outbox.retry(principal(request.scope).person, _known(delivery_id), expires_at))

    @endpoint("POST", _ONE + "/cancel", "Cancel a delivery", scope="deliveries", responses=errors(401, 404, 409, 503))
    async def cancel(self, request: Request, delivery_id: str) -> DeliveryAnswer:
        """Cancel a queued delivery; one that is being sent, or was sent, can't be cancelled."""
        return self._shown(await self.outgoing.outbox.cancel(principal(request.scope).person, _known(delivery_id)))

    async def _event(self, request: DeliveryRequest, files: Sequence[Upload], owner: str, event_id: str) -> OutboundEvent:
        """Raises InvalidAddress, InvalidRequest, Forbidden, StoreUnavailable."""
        at = read_time(request.at) if request.at else None
        reach = self.outgoing.reach
        to = await reach.person(owner, request.to) if request.to and names_person(request.to, reach.channels.names) else None
        return OutboundEvent(
            id=event_id,
            person=to and to.person,
            address=to.address if to else await reach.check(owner, _chat_of(request)),
            text=request.words,
            media=tuple([await self.outgoing.files.keep(upload.path, upload.name) for upload in files]),
            buttons=button_rows(request.buttons or []),
            not_before=at,
            expires_at=(at or datetime.now(UTC)) + self.outgoing.expire_after,
            origin=Origin(kind="api", owner=owner),
        )

    def _shown(self, delivery: Delivery) -> DeliveryAnswer:
        event, address, to = delivery.event, delivery.event.address, delivery.event.person
        hidden = to is not None and to.hidden
        trouble = DeliveryError(code="undelivered", words="It could not be delivered yet.") if hidden else delivery.trouble
        return DeliveryAnswer.model_validate(
            {
                "id": event.id,
                "state": delivery.state,
                "detail": describe(delivery, self.outgoing.deliveries.enabled(address.channel)),
                "to": to and to.name,
                "channel": None if hidden else address.channel,
                "chat_id": None if hidden else address.chat_id,
                "thread_id": address.thread_id,
                "follows": to and to.after,
                "text": event.text,
                "media": event.media,
                "attempts": delivery.attempts,
                "due": delivery.due if delivery.state == "queued" else None,
                "error": trouble if delivery.trouble else None,
                "notice": "" if hidden else delivery.notice,
                "maybe_duplicate": delivery.maybe_duplicate,
                "parts": [] if hidden else [_part(part) for part in delivery.parts],
                "created_at": delivery.created,
                "expires_at": event.expires_at,
                "ended_at": delivery.ended,
            }
        )


def _said(event: OutboundEvent) -> tuple[object, ...]:
    """What two requests have in common if they are the same."""
    return event.aim, event.text, event.media, event.buttons, event.not_before


def _chat_of(request: DeliveryRequest) -> Address:
    """Raises InvalidAddress."""
    if request.to:
        return parse_address(request.to, request.thread_id)
    return address_of(request.channel or "", request.chat_id or "", request.thread_id)


def _part(part: PartState) -> dict[str, object]:
    receipt = part.receipt
    given = {"message_id": receipt.message_id, "at": receipt.at, "notice": receipt.notice} if receipt else {}
    return {**given, "reached_at": part.reached_at, "read_at": part.read_at}

"""/v1/deliveries: send, see, try again, cancel. Another owner's deliveries are not there."""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from fastapi import Query, Request, Response

from assistant.api.body.spool import Spool
from assistant.api.deliveries.input import Asked, read_delivery
from assistant.api.deliveries.wire import DeliveryAnswer, DeliveryList, DeliveryMedia, DeliveryPart, DeliveryTrouble
from assistant.api.middleware.scope import principal
from assistant.api.repeats.asked import idempotency_key
from assistant.api.settings import ApiLimits
from assistant.api.wire_answers import written
from assistant.contracts.addresses import address_of
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.errors import DeliveryNotFound, IdempotencyMismatch
from assistant.contracts.ids import derived_id, new_id
from assistant.contracts.outbox import Deliveries, Delivery, DeliveryState, MediaFiles, Origin, OutboundEvent, OutboxStore
from assistant.contracts.sending import button_rows, check_ahead, read_time
from assistant.delivery.words import describe

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
        last = None if before is None else _known(before)
        found = await self.outgoing.outbox.list(owner, state=state, channel=channel, limit=limit + 1, before=last)
        return DeliveryList(object="list", data=[self._shown(delivery) for delivery in found[:limit]], has_more=len(found) > limit)

    async def show(self, request: Request, delivery_id: str) -> DeliveryAnswer:
        delivery = await self.outgoing.outbox.get(principal(request.scope).id, _known(delivery_id))
        if delivery is None:
            raise DeliveryNotFound(param="delivery_id")
        return self._shown(delivery)

    async def retry(self, request: Request, delivery_id: str) -> DeliveryAnswer:
        """Try again what failed, expired, was cancelled or is unknown; what waits is tried now. Parts that arrived are not sent again."""
        expires_at = datetime.now(UTC) + self.outgoing.expire_after
        return self._shown(await self.outgoing.outbox.retry(principal(request.scope).id, _known(delivery_id), expires_at))

    async def cancel(self, request: Request, delivery_id: str) -> DeliveryAnswer:
        """Cancel what waits. What is being sent, or was sent, can't be."""
        return self._shown(await self.outgoing.outbox.cancel(principal(request.scope).id, _known(delivery_id)))

    async def _event(self, asked: Asked, owner: str, event_id: str) -> OutboundEvent:
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


def _known(delivery_id: str) -> str:
    """Raises DeliveryNotFound for what can't be the id of one."""
    if not _ID.fullmatch(delivery_id):
        raise DeliveryNotFound(param="delivery_id")
    return delivery_id


def _said(event: OutboundEvent) -> tuple[object, ...]:
    """What makes two requests the same."""
    return event.address, event.text, event.media, event.buttons, event.not_before

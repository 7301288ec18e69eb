"""/v1/schedules: what is planned, and how its occurrences ended."""

from functools import partial
from typing import Annotated, Final, Literal

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from assistant.api.answers import Answer, Before, ListAnswer, PageLimit, Time, known_id
from assistant.api.body.request import read_json
from assistant.api.complaints import validated
from assistant.api.deliveries import Reach
from assistant.api.idempotency.exchange import idempotency_key
from assistant.api.middleware.request import principal
from assistant.api.openapi import described, endpoint, error, errors, takes
from assistant.api.settings import ApiLimits
from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.outbox import ToPerson
from assistant.contracts.people import names_person
from assistant.contracts.records import record
from assistant.contracts.schedules import (
    At,
    Cron,
    Every,
    NewSchedule,
    OccurrenceState,
    OnMiss,
    Schedule,
    ScheduleBook,
    ScheduleChange,
    ScheduleKind,
    ScheduleNotFound,
    ScheduleState,
    ScheduleWords,
    Watched,
)
from assistant.contracts.util import derived_id

_Words = Annotated[str, Field(min_length=1, max_length=4_000)]
_When = Annotated[str, Field(min_length=1, max_length=200)]
_Zone = Annotated[str, Field(min_length=1, max_length=64)]
_Grace = Annotated[int, Field(ge=0, le=366 * 86_400)]
_UntilDone = Annotated[int, Field(ge=0, le=1_440)]
_WHEN: Final = 'When: in words ("in 10 minutes", "every weekday at 8:30"), by ISO 8601, or as cron ("30 8 * * 1-5").'
_ZONE: Final = "IANA, for times without an offset. Default: the one in the words, else the person's."
_GRACE: Final = "Seconds: how late it may still run."
_UNTIL_DONE: Final = "Of a reminder: minutes after which it comes again until it is done; 0: it comes once."


class WatchRequest(BaseModel):
    """What a watch looks at."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: Literal["url", "feed", "file"]
    target: Annotated[str, Field(min_length=1, max_length=2_000)] = Field(description="The URL, or the path of a file in the workspace.")


class ScheduleRequest(BaseModel):
    """What is to happen, and when."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: ScheduleKind = "reminder"
    when: _When = Field(description=_WHEN)
    text: _Words = Field(description="A reminder's words; the prompt of an ask or watch; a workflow's id.")
    zone: _Zone | None = Field(default=None, description=_ZONE)
    to: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        default=None,
        description='A person ("me", a name, an id), in the chat that they prefer then; or a chat as channel:chat_id. '
        "Default: of a reminder, the chat that the caller prefers, or wrote from last.",
    )
    watch: WatchRequest | None = Field(default=None, description="Of a watch.")
    inputs: Annotated[dict[str, JsonValue], Field(max_length=64)] | None = Field(default=None, description="Of a workflow.")
    on_miss: OnMiss = Field(default="run", description="If no server runs when it is due: run late, skip, or tell only.")
    grace: _Grace | None = Field(default=None, description=_GRACE)
    urgent: bool = Field(default=False, description="Deliver in quiet hours, too.")
    until_done: _UntilDone = Field(default=0, description=_UNTIL_DONE)


class ScheduleChangeRequest(BaseModel):
    """What is to be different; null and absent fields stay as they are."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    state: Literal["active", "paused"] | None = Field(default=None, description="Pause it, or go on from now.")
    when: _When | None = Field(default=None, description=_WHEN)
    text: _Words | None = None
    zone: _Zone | None = Field(default=None, description=_ZONE)
    on_miss: OnMiss | None = None
    grace: _Grace | None = Field(default=None, description=_GRACE)
    urgent: bool | None = None
    until_done: _UntilDone | None = Field(default=None, description=_UNTIL_DONE)


class OccurrenceAnswer(Answer):
    """One due time of a schedule, and its end."""

    id: str
    object: Literal["occurrence"] = "occurrence"
    schedule_id: str = Field(validation_alias="schedule")
    instant: Time
    state: OccurrenceState
    started_at: Time | None = Field(validation_alias="started")
    ended_at: Time | None = Field(validation_alias="ended")
    ref: str | None = Field(description="The id of its delivery, turn or job.")
    repeats: Time | None = Field(validation_alias="root", description="Of one that was put off: the instant of the one that it repeats.")
    error: str | None


class ScheduleAnswer(Answer):
    """A schedule. Times are UTC, by ISO 8601."""

    id: str
    object: Literal["schedule"] = "schedule"
    kind: ScheduleKind
    state: ScheduleState
    rule: Literal["at", "every", "cron"]
    at: str | None = Field(description="Of a single time: ISO 8601; without an offset where it holds by the clock of the zone.")
    every: int | None = Field(description="Seconds.")
    cron: str | None
    zone: str
    detail: str = Field(description="When it is next, in words.")
    text: str
    to: str | None
    on_miss: OnMiss
    grace: int | None
    urgent: bool
    until_done: int
    failures: int = Field(description="In a row.")
    created_at: Time
    next_at: Time | None = Field(description="null: there is none, or it is not active.")


class ScheduleWithHistory(ScheduleAnswer):
    occurrences: list[OccurrenceAnswer] = Field(description="The latest 50.")


class ScheduleList(ListAnswer[ScheduleAnswer]):
    pass


_PATH: Final = "/v1/schedules"
_ONE: Final = _PATH + "/{schedule_id}"
_BODY: Final = (400, 401, 408, 413, 415, 503)
_OVER: Final = {409: error("It is done or cancelled, so that this can't be changed.")}
_NO_CHAT: Final = (
    "There is no chat to which the reminder could be delivered: name one as 'to', such as \"telegram:123456789\", or write to the assistant from a "
    "chat that is linked to this person."
)
_known = partial(known_id, prefix="sch", missing=ScheduleNotFound, param="schedule_id")


@record
class ScheduleEndpoints:
    book: ScheduleBook
    words: ScheduleWords
    reach: Reach
    limits: ApiLimits

    @endpoint(
        "POST",
        _PATH,
        "Plan something",
        scope="schedules",
        responses={201: described(ScheduleAnswer, "It is kept."), **errors(*_BODY, 409, 422)},
        status_code=201,
        extra=takes(ScheduleRequest),
    )
    async def create(self, request: Request) -> Response:
        """Make a schedule: 201. `detail` says when it is next, with the zone. With an `Idempotency-Key`, a repeat makes no second one."""
        owner, key = principal(request.scope).person, idempotency_key(request.scope)
        asked = validated(ScheduleRequest, await read_json(request.scope, request.receive, self.limits))
        rule, zone = await self.words.read(owner, asked.when, asked.zone or "")
        address, person = await self._receiver(owner, asked)
        new = NewSchedule(
            owner=owner,
            kind=asked.kind,
            rule=rule,
            zone=zone,
            text=asked.text,
            address=address,
            person=person,
            watched=asked.watch and Watched(kind=asked.watch.kind, target=asked.watch.target, named=True),
            inputs=dict(asked.inputs or {}),
            on_miss=asked.on_miss,
            grace=asked.grace,
            urgent=asked.urgent,
            until_done=asked.until_done,
            turn_id=None if key is None else derived_id("turn", "schedules", owner, key),
        )
        made = self._shown(await self.book.add(new))
        return Response(made.model_dump_json(), 201, media_type="application/json")

    @endpoint("GET", _PATH, "List schedules", scope="schedules", responses=errors(400, 401, 404, 503))
    async def index(
        self, request: Request, state: ScheduleState | None = None, limit: PageLimit = 50, before: Before = None
    ) -> ScheduleList:
        """The newest first; `before`: the id of the last one of the page before."""
        last = None if before is None else _known(before)
        found = await self.book.list(principal(request.scope).person, state=state, limit=limit + 1, before=last)
        return ScheduleList.page(found, limit, self._shown)

    @endpoint("GET", _ONE, "Show a schedule", scope="schedules", responses=errors(401, 404, 503))
    async def show(self, request: Request, schedule_id: str) -> ScheduleWithHistory:
        """With its latest occurrences, and how they ended."""
        owner = principal(request.scope).person
        schedule = await self.book.get(owner, _known(schedule_id))
        found = await self.book.occurrences(owner, schedule.id)
        return ScheduleWithHistory(
            **self._shown(schedule).model_dump(), occurrences=[OccurrenceAnswer.model_validate(each) for each in found]
        )

    @endpoint(
        "PATCH",
        _ONE,
        "Change a schedule",
        scope="schedules",
        responses={**errors(*_BODY, 404), **_OVER},
        extra=takes(ScheduleChangeRequest),
    )
    async def change(self, request: Request, schedule_id: str) -> ScheduleAnswer:
        """Change when it happens, what is said, how it is missed; pause it or go on."""
        owner, wanted = principal(request.scope).person, _known(schedule_id)
        asked = validated(ScheduleChangeRequest, await read_json(request.scope, request.receive, self.limits))
        known = await self.book.get(owner, wanted)
        rule, zone = (None, asked.zone) if asked.when is None else await self.words.read(owner, asked.when, asked.zone or known.new.zone)
        change = ScheduleChange(
            rule=rule,
            zone=zone,
            text=asked.text,
            on_miss=asked.on_miss,
            grace=asked.grace,
            urgent=asked.urgent,
            until_done=asked.until_done,
        )
        changed = known if change == ScheduleChange() else await self.book.change(owner, wanted, change)
        if asked.state is not None:
            changed = await (self.book.pause if asked.state == "paused" else self.book.resume)(owner, wanted)
        return self._shown(changed)

    @endpoint("DELETE", _ONE, "Cancel a schedule", scope="schedules", responses=errors(401, 404, 503))
    async def cancel(self, request: Request, schedule_id: str) -> ScheduleAnswer:
        """End it. It stays readable, with its history; what runs already goes on."""
        return self._shown(await self.book.cancel(principal(request.scope).person, _known(schedule_id)))

    @endpoint("POST", _ONE + "/run", "Run a schedule now", scope="schedules", responses={**errors(401, 404, 503), **_OVER})
    async def run(self, request: Request, schedule_id: str) -> OccurrenceAnswer:
        """Once, besides its rule."""
        return OccurrenceAnswer.model_validate(await self.book.run(principal(request.scope).person, _known(schedule_id)))

    async def _receiver(self, owner: str, asked: ScheduleRequest) -> tuple[Address | None, ToPerson | None]:
        """Raises InvalidAddress, Forbidden; InvalidRequest for a reminder without a chat."""
        if asked.to is not None and names_person(asked.to, self.reach.channels.names):
            return None, (await self.reach.person(owner, asked.to)).person
        if asked.to is not None:
            return await self.reach.check(owner, parse_address(asked.to)), None
        if asked.kind != "reminder":
            return None, None
        address = await self.words.chat(owner)
        if address is None:
            raise InvalidRequest(_NO_CHAT, param="to")
        return address, None

    def _shown(self, schedule: Schedule) -> ScheduleAnswer:
        new = schedule.new
        return ScheduleAnswer(
            id=schedule.id,
            kind=new.kind,
            state=schedule.state,
            rule=new.rule.kind,
            at=new.rule.at.isoformat() if isinstance(new.rule, At) else None,
            every=new.rule.seconds if isinstance(new.rule, Every) else None,
            cron=new.rule.cron if isinstance(new.rule, Cron) else None,
            zone=new.zone,
            detail=self.words.tell(schedule),
            text=new.text,
            to=new.receiver or None,
            on_miss=new.on_miss,
            grace=new.grace,
            urgent=new.urgent,
            until_done=new.until_done,
            failures=schedule.failures,
            created_at=schedule.created,  # pyright: ignore[reportArgumentType] - written by `Time`
            next_at=schedule.next_at,  # pyright: ignore[reportArgumentType] - likewise
        )

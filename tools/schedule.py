"""`schedule`: what is to happen later: reminders, questions to the assistant, watches, workflows."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.effects import Effect
from assistant.contracts.errors import InvalidRequest, NotFound, StoreUnavailable, ToolFailed
from assistant.contracts.gate import Action
from assistant.contracts.outbox import ToPerson
from assistant.contracts.people import names_person
from assistant.contracts.provenance import Provenance
from assistant.contracts.schedules import (
    At,
    NewSchedule,
    OnMiss,
    Rule,
    Schedule,
    ScheduleChange,
    ScheduleConflict,
    ScheduleKind,
    ScheduleState,
    Watched,
)
from assistant.contracts.sessions import ONCE
from assistant.contracts.tools import ToolContext, ToolKind, ToolResult, ToolServices

_MOST_TEXT: Final = 4_000
_SHOWN: Final = 50
_NO_CHAT: Final = (
    "Not made: there is no chat to which a reminder could be delivered. Write to the assistant from Telegram, Discord or another configured channel "
    "once (/link makes that chat the same person's), or name the chat (to)."
)


class ScheduleParams(BaseModel):
    """The arguments of `schedule`."""

    action: Literal["add", "list", "change", "pause", "resume", "cancel"] = Field(description="What to do.")
    id: str | None = Field(None, max_length=64, description="For change, pause, resume, cancel: the schedule's id, as listed (sch_…).")
    kind: ScheduleKind = Field(
        "reminder",
        description="reminder: the text is delivered as it is. ask: you are asked the text then, and your answer is delivered. "
        "watch: as ask, but only when `watch` has changed. workflow: the workflow named by text runs.",
    )
    at: str | None = Field(
        None,
        max_length=200,
        description='Once: the user\'s own words, or ISO 8601: "in 10 minutes", "tomorrow at 9:00", "2026-12-24T18:00".',
    )
    every: str | None = Field(
        None,
        max_length=200,
        description='Again and again: "2 hours", "weekday at 8:30", "Monday and Friday at 9:00", "first of each month at 9:00".',
    )
    cron: str | None = Field(None, max_length=100, description="Instead: five fields, such as 30 8 * * 1-5.")
    zone: str | None = Field(None, max_length=64, description="An IANA time zone, only if the user names another place than their own.")
    text: str | None = Field(None, max_length=_MOST_TEXT, description="The reminder's words, the prompt, or the workflow's id.")
    watch: str | None = Field(
        None, max_length=2_000, description="For watch: a URL, or the path of a workspace file. feed:<URL> for RSS and Atom."
    )
    to: str | None = Field(
        None,
        max_length=300,
        description="Another receiver: a person (me, or their name), in the chat that they prefer then; or a chat as channel:chat_id. "
        "Omit for this conversation's chat.",
    )
    on_miss: OnMiss | None = Field(None, description="If the server was off then: run late, skip it, or tell the user only.")
    urgent: bool | None = Field(None, description="Deliver in the user's quiet hours, too.")
    until_done: Annotated[int, Field(ge=0, le=1440)] | None = Field(
        None, description="For a reminder: repeat every so many minutes until the user says that it is done."
    )


class ScheduleTool:
    """Makes, lists and changes the schedules of the space that the turn belongs to; each call once, by (turn, place)."""

    name: ClassVar[str] = "schedule"
    description: ClassVar[str] = (
        "Make, list, change or cancel what happens later: reminders, and prompts that you are asked then. Give times in the user's own words; they "
        "count by the user's time zone. Say that something is planned only if the result does, and repeat the time that it names."
    )
    params: ClassVar[type[BaseModel]] = ScheduleParams
    reads_only: ClassVar[bool] = False
    actions: ClassVar[frozenset[Action]] = frozenset({"schedules"})
    brings: ClassVar[Provenance] = "system"
    happens_once: ClassVar[Literal[True]] = True
    reports_effects: ClassVar[Literal[True]] = True
    timeout: ClassVar[float] = 30.0

    def __init__(self, services: ToolServices) -> None:
        self._services = services

    def subject(self, params: ScheduleParams, ctx: ToolContext) -> str:
        """What is done to what: "add reminder", "cancel sch_…", "list"."""
        what = params.kind if params.action == "add" else "" if params.action == "list" else params.id or ""
        return f"{params.action} {what}".strip()

    async def run(self, params: ScheduleParams, ctx: ToolContext) -> ToolResult:
        """Raises ToolFailed: nothing was done, and why."""
        try:
            match params.action:
                case "add":
                    return await self._add(params, ctx)
                case "list":
                    return ToolResult(text=await self._list(ctx))
                case "change":
                    return await self._change(params, ctx)
                case "pause" | "resume" | "cancel":
                    return await self._end(params, ctx)
        except (InvalidRequest, NotFound, ScheduleConflict, StoreUnavailable) as error:
            raise ToolFailed(error.message) from None

    async def _add(self, params: ScheduleParams, ctx: ToolContext) -> ToolResult:
        rule_zone = await self._rule(params, ctx)
        if rule_zone is None:
            raise ToolFailed('Say when: at ("tomorrow at 9:00"), every ("weekday at 8:30") or cron.')
        text = (params.text or "").strip()
        if not text:
            raise ToolFailed("Say what: text is missing.")
        if params.kind != "reminder" and ctx.cause.kind in ("schedule", "job"):
            raise ToolFailed("Not made: what runs by a schedule or a workflow may set reminders, and no further tasks.")
        step, _, number = ctx.call_place.partition(".")
        address, person = await self._receiver(params, ctx)
        new = NewSchedule(
            owner=ctx.owner,
            kind=params.kind,
            rule=rule_zone[0],
            zone=rule_zone[1],
            text=text,
            address=address,
            person=person,
            home=ctx.address,
            session=None if ctx.session.startswith(ONCE) else ctx.session,  # that one is removed after a day
            agent=self._services.agent,
            watched=await self._watched(params, ctx),
            on_miss=params.on_miss or "run",
            urgent=bool(params.urgent),
            until_done=params.until_done or 0,
            provenance="assistant",
            turn_id=ctx.turn_id,
            place=int(step or 0) * 1_000 + int(number or 0),
        )
        made = await self._services.schedules.add(new)
        return self._told("scheduled", "Planned", made)

    async def _rule(self, params: ScheduleParams, ctx: ToolContext) -> tuple[Rule, str] | None:
        given = [words for words in (params.at, params.every, params.cron) if words and words.strip()]
        if not given:
            return None
        if len(given) > 1:
            raise ToolFailed("Give one of at, every and cron.")
        words, zone = given[0].strip(), params.zone or ""
        if words != (params.every or "").strip():
            return await self._services.times.read(ctx.owner, words, zone)
        try:
            return await self._services.times.read(ctx.owner, f"every {words}", zone)
        except InvalidRequest as error:
            try:
                found = await self._services.times.read(ctx.owner, words, zone)  # "jeden Montag um 9"
            except InvalidRequest:
                raise error from None
            if isinstance(found[0], At):
                raise
            return found

    async def _receiver(self, params: ScheduleParams, ctx: ToolContext) -> tuple[Address | None, ToPerson | None]:
        """The chat, or the person. Raises InvalidAddress; ToolFailed where there is no chat, or one that must not be written to."""
        recipients = self._services.recipients
        if not params.to:
            address = ctx.address or (await self._services.times.chat(ctx.owner) if params.kind == "reminder" else None)
            if address is None and params.kind == "reminder":
                raise ToolFailed(_NO_CHAT)
            return address, None
        channels = self._services.channels
        to = await recipients.person(params.to, ctx) if names_person(params.to, channels.names) else None
        address = to.address if to else channels.check(parse_address(params.to))
        if refusal := await recipients.refusal(address, ctx, to=to):
            raise ToolFailed(refusal.replace("Not sent:", "Not planned:"))
        return (None, to.person) if to else (address, None)

    async def _watched(self, params: ScheduleParams, ctx: ToolContext) -> Watched | None:
        if params.kind != "watch":
            return None
        target = (params.watch or "").strip()
        if not target:
            raise ToolFailed("Say what to look at: watch is missing.")
        kind: Literal["url", "feed", "file"] = "feed" if target.startswith("feed:") else "url" if "://" in target else "file"
        target = target.removeprefix("feed:")
        return Watched(kind=kind, target=target, named=await self._services.recipients.was_said(target, ctx))

    async def _list(self, ctx: ToolContext) -> str:
        states: Sequence[ScheduleState] = ("active", "paused")
        found = [each for state in states for each in await self._services.schedules.list(ctx.owner, state=state, limit=_SHOWN)]
        return "\n".join([f"{each.id}: {self._line(each)}" for each in found]) or "Nothing is planned."

    async def _change(self, params: ScheduleParams, ctx: ToolContext) -> ToolResult:
        wanted, text = self._id(params), params.text and params.text.strip()
        rule_zone = await self._rule(params, ctx)
        change = ScheduleChange(
            rule=rule_zone[0] if rule_zone else None,
            zone=rule_zone[1] if rule_zone else params.zone,
            text=text or None,
            provenance="assistant" if text else None,
            on_miss=params.on_miss,
            urgent=params.urgent,
            until_done=params.until_done,
        )
        if change == ScheduleChange():
            raise ToolFailed("Say what to change: at, every, cron, zone, text, on_miss, urgent or until_done.")
        return self._told("scheduled", "Changed", await self._services.schedules.change(ctx.owner, wanted, change))

    async def _end(self, params: ScheduleParams, ctx: ToolContext) -> ToolResult:
        book, wanted = self._services.schedules, self._id(params)
        if params.action == "cancel":
            return self._told("cancelled", "Cancelled", await book.cancel(ctx.owner, wanted))
        if params.action == "pause":
            return self._told("cancelled", "Paused", await book.pause(ctx.owner, wanted))
        return self._told("scheduled", "Goes on", await book.resume(ctx.owner, wanted))

    def _told(self, kind: Literal["scheduled", "cancelled"], word: str, schedule: Schedule) -> ToolResult:
        effect = Effect(kind=kind, text=f"{schedule.new.kind} · {self._services.times.tell(schedule)}", ref=schedule.id)
        return ToolResult(text=f"{word}: {self._line(schedule)} ({schedule.id})", effects=(effect,))

    def _line(self, schedule: Schedule) -> str:
        to = f" → {schedule.new.receiver}" if schedule.new.receiver else ""
        return f"{schedule.new.kind} · {self._services.times.tell(schedule)}{to} · {schedule.new.text[:200]}"

    @staticmethod
    def _id(params: ScheduleParams) -> str:
        if not params.id:
            raise ToolFailed("Which one? Give its id; action list shows them.")
        return params.id.strip()


KINDS: Final = (ToolKind(name=ScheduleTool.name, open=lambda settings, services: ScheduleTool(services)),)

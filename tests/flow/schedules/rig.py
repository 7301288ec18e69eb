"""What tests of schedules share: a store, turns on a scripted model, a clock that the test turns, and a platform's side of the outbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from assistant.contracts.addresses import Address
from assistant.contracts.models import ModelProvider
from assistant.contracts.outbox import Claim, DeliveryError, OutboundEvent, Settlement
from assistant.contracts.people import OWNER_ID, PeopleDirectory, UnknownPeople
from assistant.contracts.schedules import Every, NewSchedule, Occurrence, Rule, Schedule, ScheduleKind
from assistant.contracts.secrets import NoSecrets
from assistant.fetching.fetcher import SafeFetcher
from assistant.fetching.settings import WebSettings
from assistant.schedule.book import StoredSchedules
from assistant.schedule.runs import OccurrenceRunner
from assistant.schedule.service import NextWake, ScheduleService
from assistant.schedule.texts import EventWriter
from assistant.schedule.watches import WatchChecks
from assistant.store.store import Store
from assistant.testing.scripted import ScriptedModel
from assistant.turns.service import Turns
from tests.clocks import TurnedClock
from tests.flow.turns.house import House
from tools.workspace import Workspace

CHAT = Address(channel="chat", chat_id="1")
START = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Rig:
    store: Store
    folder: Path
    clock: TurnedClock
    model: ModelProvider = field(default_factory=ScriptedModel)
    people: PeopleDirectory = field(default_factory=UnknownPeople)
    jobs: list[tuple[str, str, str, Mapping[str, Any]]] = field(default_factory=list[tuple[str, str, str, Mapping[str, Any]]])
    turns: Turns | None = None

    @property
    def book(self) -> StoredSchedules:
        return StoredSchedules(self.store.schedules, clock=self.clock)

    def service(self, store: Store | None = None) -> ScheduleService:
        """As a process of its own has it."""
        store = store or self.store
        turns = self.turns = House(store, self.folder).turns(self.model)
        writer = EventWriter(expire_after=timedelta(days=1))

        async def start_job(job_id: str, owner: str, workflow: str, inputs: Mapping[str, Any]) -> None:
            self.jobs.append((job_id, owner, workflow, inputs))

        async def read(path: str, owner: str) -> bytes:
            with Workspace(self.folder).copy(path, 1_000_000, owner=owner) as copy:
                return copy.read_bytes()

        runner = OccurrenceRunner(
            store=store.occurrences,
            turns=turns,
            start_job=start_job,
            checks=WatchChecks(lambda: SafeFetcher(WebSettings(), NoSecrets(), "test"), read),
            writer=writer,
            people=self.people,
            clock=self.clock,
        )
        return ScheduleService(store=store, notifier=store.notifier, people=self.people, writer=writer, runner=runner, clock=self.clock)

    async def run(self, by: timedelta | None = None) -> NextWake:
        """Turn the clock, and do all that is due then, to its end."""
        self.clock.turn(by or timedelta())
        service = self.service()
        wake = await service.look()
        await service.close(20)
        return wake

    async def add(
        self,
        rule: Rule | None = None,
        *,
        kind: ScheduleKind = "reminder",
        text: str = "stretch",
        address: Address | None = CHAT,
        **more: Any,
    ) -> Schedule:
        rule = rule or Every(seconds=3600)
        values: dict[str, Any] = {"owner": OWNER_ID, "zone": "UTC", "session": "chat:1"} | more
        return await self.book.add(NewSchedule(kind=kind, rule=rule, text=text, address=address, **values))

    async def ends(self, schedule: Schedule) -> list[str]:
        """The states of its occurrences, the earliest first."""
        return [each.state for each in await self.history(schedule)]

    async def history(self, schedule: Schedule) -> list[Occurrence]:
        return list(reversed(await self.book.occurrences(None, schedule.id, limit=1000)))

    async def send(self, state: str = "sent") -> list[OutboundEvent]:
        """What the platform gets now, in order; each ends in this state."""
        sent: list[OutboundEvent] = []
        while lanes := (await self.store.outbox.lanes({"chat", "far"})).ready:
            for lane in lanes:
                claim = await self.store.outbox.claim(lane, timedelta(seconds=15))
                assert isinstance(claim, Claim)
                trouble = None if state == "sent" else DeliveryError(code="chat_not_found", words="no such chat")
                assert await self.store.outbox.note(claim, settle=Settlement(state=state, trouble=trouble))  # pyright: ignore[reportArgumentType]
                sent.append(claim.event)
        return sent

    async def texts(self, state: str = "sent") -> Sequence[str]:
        return [event.text for event in await self.send(state)]

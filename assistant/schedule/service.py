"""Does what is due: wakes for the earliest instant of the store, claims, and sees what it began to its end."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.errors import NanobotError, ShuttingDown, StoreUnavailable, traceback_location
from assistant.contracts.people import PeopleDirectory, Person
from assistant.contracts.records import record
from assistant.contracts.schedules import Schedule, ScheduleNotFound
from assistant.contracts.util import Clock, backoff, derived_id, new_id, utc_now
from assistant.schedule.plans import plan_due
from assistant.schedule.rules import next_instant, zone_of, zones_version
from assistant.schedule.runs import OccurrenceRunner
from assistant.schedule.texts import EventWriter, failure_notice, placed_at, receiver_of
from assistant.store.codec import from_micros, optional
from assistant.store.occurrence_rows import EARLIEST
from assistant.store.occurrences import Begun, Due, HeldOccurrence, Plan
from assistant.store.processes import Notifier
from assistant.store.store import Store

log = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 20
"""Schedules that one transaction claims: other writes wait for a few milliseconds only."""
_LONGEST_SLEEP: Final = 60.0
"""Seconds until the clock is read again while something is scheduled: it may have been set, or the machine have slept. The store is not read."""
_SHORTEST_SLEEP: Final = 0.05
"""Seconds between two rounds: what falls due meanwhile is claimed together."""
_GATHER: Final = 0.2
"""Seconds from a notification to the look that follows: each message that is enqueued is one, and most have nothing to do with schedules."""
_LOOK_AFTER: Final = 10.0
"""Seconds until the work of other processes is looked after, while they have any: they may die."""


@record
class NextWake:
    at: datetime | None
    """When something falls due; None: nothing is scheduled."""
    untold: bool
    """There are failures to be told."""
    others: bool
    """Other processes work on occurrences, and may die."""


class ScheduleService:
    """Runs the schedules of a store, beside other processes that do so too. While nothing is scheduled it sleeps until it is notified."""

    def __init__(
        self,
        *,
        store: Store,
        notifier: Notifier,
        people: PeopleDirectory,
        writer: EventWriter,
        runner: OccurrenceRunner,
        clock: Clock = utc_now,
    ) -> None:
        self._schedules = store.schedules
        self._store = store.occurrences
        self._database, self._own = store.database, store.runner.id
        self._notifier = notifier
        self._people = people
        self._writer = writer
        self._runner = runner
        self._clock = clock
        self._heard = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._works: dict[asyncio.Task[None], HeldOccurrence] = {}
        self._telling: dict[str, asyncio.Task[None]] = {}
        """By schedule."""

    async def start(self) -> None:
        """Resume what dead processes left, and do what became due meanwhile. Raises StoreUnavailable."""
        moved = await self._store.rezone(zones_version(), self._again)
        if moved:
            log.info("schedules.zones_changed moved=%d", moved)
        await self._take_over()
        self._notifier.listen(self._heard.set)
        self._running = asyncio.create_task(self._run())

    async def stop_beginning(self) -> None:
        """Claim nothing more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def close(self, grace: float) -> None:
        """Wait `grace` seconds for work under way, and hand back the rest. Call it after `Turns.close`. Safe to call twice."""
        await self.stop_beginning()
        works = dict(self._works)
        tasks = [*works, *self._telling.values()]
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for held in works.values():
            try:
                await self._store.hand_back(held)
            except StoreUnavailable:  # taken over as one whose process died
                log.warning("schedules.not_handed_back occurrence=%s", held.id)

    async def look(self) -> NextWake:
        """Do all that is due now. Returns what comes next."""
        wake = await self._next_wake()
        if wake.others:
            await self._take_over()
        if wake.untold:
            for schedule in await self._store.untold():
                self._begin_telling(schedule)
        while wake.at is not None and wake.at <= self._clock():
            known = {id: await self._known(id) for id in await self._store.due_people(_MOST_AT_ONCE)}
            decided, held = await self._store.claim(lambda due, now: self._plan(due, now, known), _MOST_AT_ONCE, zones_version())  # noqa: B023
            for each in held:
                self._begin(each)
            if not decided:
                break
            wake = await self._next_wake()
        return wake

    async def _next_wake(self) -> NextWake:
        # Asked after each notification, so also beside each message that goes out: one statement, without a way through more files.
        ((rule, waiting, untold, others),) = await self._database.select(EARLIEST, {"runner": self._own})
        at = min((at for at in (rule, waiting) if at is not None), default=None)
        return NextWake(at=optional(from_micros, at), untold=untold is not None, others=others is not None)

    async def _run(self) -> None:
        failures = 0
        while True:
            self._heard.clear()
            try:
                wake = await self.look()
                failures = 0
            except Exception as error:  # noqa: BLE001 - one schedule must not keep the others from running
                failures += 1
                known = isinstance(error, NanobotError)
                log.warning("schedules.not_looked error=%s", error.code if known else traceback_location(error))
                await asyncio.sleep(backoff(failures, longest=30))
                continue
            await asyncio.sleep(_SHORTEST_SLEEP)
            await self._until(wake)
            if self._heard.is_set():
                due = _GATHER if wake.at is None else (wake.at - self._clock()).total_seconds()
                await asyncio.sleep(max(0.0, min(_GATHER, due)))

    async def _until(self, wake: NextWake) -> None:
        """Sleep until something is due, a notification comes, or others are to be looked after."""
        looks = asyncio.get_running_loop().time() + _LOOK_AFTER
        while not self._heard.is_set():
            left = None if wake.at is None else min((wake.at - self._clock()).total_seconds(), _LONGEST_SLEEP)
            if wake.others:
                left = min(left if left is not None else _LOOK_AFTER, looks - asyncio.get_running_loop().time())
            if left is not None and left <= 0:
                return
            try:
                async with asyncio.timeout(left):
                    await self._heard.wait()
            except TimeoutError:
                continue

    async def _known(self, id: str) -> tuple[Person | None, Sequence[Address]]:
        """A person, and where they are reached now."""
        return await self._people.person(id), await self._people.chats(id)

    def _plan(self, due: Due, now: datetime, known: Mapping[str, tuple[Person | None, Sequence[Address]]]) -> Plan | None:
        schedule = due.schedule
        receiver = receiver_of(schedule.new)
        if receiver not in known:
            return None  # it became due since its people were looked up
        person, chats = known[receiver]
        to = placed_at(schedule.new, chats)
        try:
            return plan_due(replace(due, schedule=to.placed(schedule)), now, person, replace(self._writer, to=to.person))
        except NanobotError as error:  # such as a zone that this machine does not have: it must not keep the others from running
            instant = due.extra or schedule.next_at or now
            return Plan(begun=Begun(instant=instant, ended="failed", error=error.message), next_at=None)

    def _again(self, schedule: Schedule) -> datetime | None:
        """The next instant by today's time zones; one that is due is left to its claim."""
        try:
            found = next_instant(schedule.new.rule, zone_of(schedule.new.zone), self._clock(), schedule.created)
        except NanobotError:
            return schedule.next_at
        return schedule.next_at if found is None or (schedule.next_at and schedule.next_at <= self._clock()) else found

    def _begin(self, held: HeldOccurrence) -> None:
        task = asyncio.create_task(self._runner.run(held), name=held.id)
        self._works[task] = held
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():  # one that is, `close` hands back
            del self._works[task]

    async def _take_over(self) -> None:
        taken = await self._store.take_over()
        if taken:
            log.warning("schedules.recovered again=%d", len(taken))
        for held in taken:
            self._begin(held)

    def _begin_telling(self, schedule: Schedule) -> None:
        """Beside what is due: a session's note waits for the turns that run there."""
        if schedule.id not in self._telling:
            task = self._telling[schedule.id] = asyncio.create_task(self._until_told(schedule))
            task.add_done_callback(lambda _: self._telling.pop(schedule.id))

    async def _until_told(self, schedule: Schedule) -> None:
        for tries in count(1):
            try:
                await self._tell(schedule)
            except (ScheduleNotFound, ShuttingDown):  # it is gone, or told by the next start
                return
            except Exception as error:  # noqa: BLE001 - told another time
                known = isinstance(error, NanobotError)
                log.warning("schedules.not_told schedule=%s error=%s", schedule.id, error.code if known else traceback_location(error))
            else:
                return
            await asyncio.sleep(backoff(tries, longest=_LONGEST_SLEEP))

    async def _tell(self, schedule: Schedule) -> None:
        """Say that a schedule fails: in the chat where it was made, or else where it goes; without one, or where that can't be reached, in its
        session."""
        latest = await self._schedules.occurrences(None, schedule.id, limit=20)
        failed = next((each for each in latest if each.state == "failed"), None)
        text = failure_notice(schedule, (failed and failed.error) or "")
        new, now = schedule.new, self._clock()
        unreachable = new.address if failed and failed.ref and failed.ref.startswith("evt_") else None
        address = next((each for each in (new.home, new.address) if each is not None and each != unreachable), None)
        session = new.session if address is None else None
        if session is not None:
            await self._runner.note(new.owner, session, new_id("turn"), text)
        address = address or (new.address if session is None else None)
        person, chats = await self._known(new.owner)
        writer = replace(self._writer, to=placed_at(replace(new, person=None), chats, address).person)
        cause = derived_id("told", schedule.id, str(schedule.failures), failed.id if failed else "")
        events = [writer.event(schedule, cause, address, text, now, person=person)] if address else []
        await self._store.told(schedule, events)
        log.info("schedules.told schedule=%s failures=%d", schedule.id, schedule.failures)

"""The book of schedules: checks what is asked for, and stores it. The port is `assistant.contracts.schedules.ScheduleBook`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.schedules import NewSchedule, Occurrence, Rule, Schedule, ScheduleChange, ScheduleConflict, ScheduleState
from assistant.contracts.util import Clock, utc_now
from assistant.schedule.rules import check_rule, next_instant, zone_of, zones_version
from assistant.store.schedules import ScheduleStore

MOST_ACTIVE: Final = 1_000
"""Active schedules of an owner."""
_MOST_TEXT: Final = 8_000
_PAGE: Final = 500
_MOST_GRACE: Final = 366 * 86_400
_MOST_UNTIL_DONE: Final = 24 * 60


class StoredSchedules:
    """Implements ScheduleBook on a store, with or without a server that runs."""

    def __init__(self, store: ScheduleStore, *, clock: Clock = utc_now, most: int = MOST_ACTIVE) -> None:
        self._store = store
        self._clock = clock
        self._most = most

    async def add(self, new: NewSchedule) -> Schedule:
        check(new)
        return await self._store.add(new, self._next(new.rule, new.zone, self._clock()), zones_version(), most=self._most)

    async def list(
        self, owner: str | None, *, state: ScheduleState | None = None, limit: int = 50, before: str | None = None
    ) -> Sequence[Schedule]:
        return await self._store.list(owner, state=state, limit=limit, before=before)

    async def get(self, owner: str | None, schedule_id: str) -> Schedule:
        return await self._store.get(owner, schedule_id)

    async def change(self, owner: str | None, schedule_id: str, change: ScheduleChange) -> Schedule:
        def work(schedule: Schedule) -> Schedule:
            _not_over(schedule)
            wanted = {name: getattr(change, name) for name in change.__dataclass_fields__ if getattr(change, name) is not None}
            new = replace(schedule.new, **wanted)
            check(new)
            if schedule.state == "paused" or not {"rule", "zone"} & wanted.keys():
                return replace(schedule, new=new)
            return replace(schedule, new=new, next_at=self._next(new.rule, new.zone, schedule.created))

        return await self._store.update(owner, schedule_id, zones_version(), work)

    async def pause(self, owner: str | None, schedule_id: str) -> Schedule:
        return await self._store.update(
            owner, schedule_id, zones_version(), lambda schedule: replace(_not_over(schedule), state="paused", next_at=None)
        )

    async def resume(self, owner: str | None, schedule_id: str) -> Schedule:
        def work(schedule: Schedule) -> Schedule:
            if _not_over(schedule).state == "active":
                return schedule
            next_at = self._next(schedule.new.rule, schedule.new.zone, schedule.created)
            return replace(schedule, state="active", next_at=next_at, failures=0)

        return await self._store.update(owner, schedule_id, zones_version(), work)

    async def cancel(self, owner: str | None, schedule_id: str) -> Schedule:
        return await self._store.update(
            owner, schedule_id, zones_version(), lambda schedule: replace(schedule, state="cancelled", next_at=None)
        )

    async def skip_due(self) -> int:
        """Leave out what is due by the rules of active schedules: their next instant follows, and those without one are cancelled. Returns
        how many there were."""
        now, skipped = self._clock(), 0

        def work(schedule: Schedule) -> Schedule:
            if schedule.state != "active" or schedule.next_at is None or schedule.next_at > now:
                return schedule
            next_at = next_instant(schedule.new.rule, zone_of(schedule.new.zone), now, schedule.created)
            return replace(schedule, next_at=next_at, state="active" if next_at else "cancelled")

        last: str | None = None
        while page := await self._store.list(None, state="active", limit=_PAGE, before=last):
            last = page[-1].id
            for schedule in page:
                if schedule.next_at is not None and schedule.next_at <= now:
                    await self._store.update(None, schedule.id, zones_version(), work)
                    skipped += 1
        return skipped

    async def run(self, owner: str | None, schedule_id: str) -> Occurrence:
        return await self._store.run(owner, schedule_id)

    async def occurrences(
        self, owner: str | None, schedule_id: str, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[Occurrence]:
        return await self._store.occurrences(owner, schedule_id, limit=limit, before=before)

    async def occurrence(self, owner: str | None, occurrence_id: str) -> Occurrence:
        return await self._store.occurrence(owner, occurrence_id)

    async def latest(self, owner: str) -> Occurrence | None:
        return await self._store.latest(owner)

    async def done(self, owner: str | None, occurrence_id: str) -> Occurrence:
        return await self._store.done(owner, occurrence_id)

    async def snooze(self, owner: str | None, occurrence_id: str, until: datetime) -> Occurrence:
        return await self._store.snooze(owner, occurrence_id, until)

    def _next(self, rule: Rule, zone: str, created: datetime) -> datetime:
        found = next_instant(rule, zone_of(zone), self._clock(), created)
        if found is None:
            raise InvalidRequest("The time has passed, or never comes: name one that is to come.")
        return found


def check(new: NewSchedule) -> None:
    """Raises InvalidRequest: it can't be a schedule."""
    zone_of(new.zone)
    check_rule(new.rule)
    if not new.text.strip() or len(new.text) > _MOST_TEXT:
        raise InvalidRequest(f"The text must be 1 to {_MOST_TEXT} characters.", param="text")
    if new.kind == "reminder" and not new.receiver:
        raise InvalidRequest("A reminder needs a chat to go to: name one, such as telegram:123456789.", param="to")
    if (new.kind == "watch") != (new.watched is not None):
        raise InvalidRequest("A watch, and nothing else, names what it looks at: a url, a feed or a file.", param="watch")
    if new.until_done and not (new.kind == "reminder" and 1 <= new.until_done <= _MOST_UNTIL_DONE):
        raise InvalidRequest("Only a reminder can repeat until it is done, every 1 to 1440 minutes.", param="until_done")
    if new.grace is not None and not 0 <= new.grace <= _MOST_GRACE:
        raise InvalidRequest("The grace must be 0 seconds to 366 days.", param="grace")


def _not_over(schedule: Schedule) -> Schedule:
    if schedule.state in ("done", "cancelled"):
        raise ScheduleConflict(f"The schedule is {schedule.state}: make a new one.")
    return schedule

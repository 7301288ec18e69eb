"""What is to be done about something that is due: run, skipped by rule, or missed and told. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Final

from assistant.contracts.people import Person
from assistant.contracts.schedules import UNTIL_DONE_TIMES, Schedule
from assistant.contracts.util import derived_id
from assistant.schedule.rules import instants, next_instant, zone_of
from assistant.schedule.texts import MOST_COUNTED, ON_TIME, EventWriter, grace_of, late, missed_notice
from assistant.store.codec import to_micros
from assistant.store.occurrences import Begun, Due, Ending, Plan
from assistant.store.schedules import occurrence_id

_MOST_ROWS: Final = 200
"""Of instants that passed while no server ran: older ones are counted, and get no row."""
_REF: Final = {"ask": "turn", "workflow": "job"}


def plan_due(due: Due, now: datetime, person: Person | None, writer: EventWriter) -> Plan:
    """The plan for a schedule whose `next_at` is due, or for an extra occurrence."""
    schedule = due.schedule
    if due.extra is not None:
        return _of_instant(schedule, due.extra, (), 0, now, person, writer, round=due.round, next_at=schedule.next_at)
    zone, rule, created = zone_of(schedule.new.zone), schedule.new.rule, schedule.created
    expected = next_instant(rule, zone, schedule.last or created, created)
    if expected is not None and expected > now:  # its zone changed since `next_at` was computed
        return Plan(begun=None, next_at=expected)
    first = schedule.next_at or now
    passed, count = _passed(schedule, first - timedelta(microseconds=1), now)
    latest = passed[-1] if passed else first
    following = next_instant(rule, zone, max(now, latest), created)
    return _of_instant(schedule, latest, passed[:-1], count - 1, now, person, writer, round=0, next_at=following)


def _passed(schedule: Schedule, since: datetime, now: datetime) -> tuple[Sequence[datetime], int]:
    """The newest instants up to now, the last `_MOST_ROWS` or more, and how many there are; `MOST_COUNTED`: or more."""
    zone, count = zone_of(schedule.new.zone), 0
    found: list[datetime] = []
    while True:
        due = takewhile(lambda instant: instant <= now, instants(schedule.new.rule, zone, since, schedule.created))
        passed = list(islice(due, MOST_COUNTED))
        count = min(count + len(passed), MOST_COUNTED)
        found = [*found, *passed][-_MOST_ROWS:]
        if len(passed) < MOST_COUNTED:
            return found, max(count, 1)
        since = passed[-1] + (now - passed[-1]) / 2  # half of the rest, so that a year of minutes takes a few rounds


def _of_instant(
    schedule: Schedule,
    instant: datetime,
    before: Sequence[datetime],
    missed: int,
    now: datetime,
    person: Person | None,
    writer: EventWriter,
    *,
    round: int,
    next_at: datetime | None,
) -> Plan:
    new, lateness = schedule.new, now - instant
    moved = replace(schedule, next_at=next_at)
    runs = lateness <= ON_TIME or (new.on_miss == "run" and lateness <= grace_of(schedule))
    skipped = not runs and new.on_miss == "skip"
    told = 0 if new.on_miss == "skip" else missed
    ending: Ending = "missed" if told and (not runs or new.on_miss == "tell") else "skipped"
    why = "no server ran when it was due" if ending == "missed" or new.on_miss == "skip" else "no server ran; the latest one stands for it"
    earlier: list[tuple[datetime, Ending, str]] = [(each, ending, why) for each in before[-_MOST_ROWS:]]
    if skipped:
        return Plan(begun=Begun(instant=instant, ended="skipped", error="no server ran when it was due"), earlier=earlier, next_at=next_at)
    occurrence = occurrence_id(schedule.id, to_micros(instant))
    if not runs:
        return _missed(moved, instant, occurrence, missed_notice(moved, instant, now, told), earlier, now, person, writer)
    if new.kind == "reminder" and new.address is not None:
        text = new.text + late(schedule, instant, now, told)
        event = writer.event(schedule, occurrence, new.address, text, now, person=person, buttons=writer.buttons(occurrence))
        repeats = new.until_done and round + 1 < UNTIL_DONE_TIMES
        again = (event.not_before or now) + timedelta(minutes=new.until_done) if repeats else None
        return Plan(begun=Begun(instant=instant, ref=event.id), earlier=earlier, events=(event,), again=again, next_at=next_at)
    if new.kind == "reminder":
        who = new.person.name if new.person else "its chat"
        begun = Begun(instant=instant, ended="failed", error=f"there is no chat in which {who} can be reached")
        return Plan(begun=begun, earlier=earlier, next_at=next_at)
    prefix = _REF.get(new.kind)
    ref = derived_id(prefix, occurrence) if prefix else None
    return Plan(begun=Begun(instant=instant, ref=ref, held=True), earlier=earlier, next_at=next_at)


def _missed(
    schedule: Schedule,
    instant: datetime,
    occurrence: str,
    notice: str,
    earlier: Sequence[tuple[datetime, Ending, str]],
    now: datetime,
    person: Person | None,
    writer: EventWriter,
) -> Plan:
    """It ends as missed when the notice is delivered, or stands in the session."""
    address = schedule.new.address or schedule.new.home
    if address is None:
        ref = derived_id("turn", occurrence)
        return Plan(begun=Begun(instant=instant, ref=ref, held=True, error=notice), earlier=earlier, next_at=schedule.next_at)
    event = writer.event(schedule, occurrence, address, notice, now, person=person)
    begun = Begun(instant=instant, ref=event.id, error="no server ran when it was due")
    return Plan(begun=begun, earlier=earlier, events=(event,), next_at=schedule.next_at)

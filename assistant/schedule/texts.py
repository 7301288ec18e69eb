"""What schedules say, and to whom: their messages, late and missed ones, failures, by the clock of the schedule's zone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.outbox import ButtonRows, Origin, OutboundEvent, ToPerson
from assistant.contracts.people import Person
from assistant.contracts.records import record
from assistant.contracts.schedules import FAILURES_PAUSED, GRACE, NewSchedule, Schedule, ScheduleKind
from assistant.contracts.util import derived_id
from assistant.schedule.rules import instant_of, zone_of

Buttons = Callable[[str], ButtonRows]
"""Those under a reminder, for the id of its occurrence."""
ON_TIME: Final = timedelta(seconds=60)
"""By how much an occurrence may be late without a word."""
MOST_COUNTED: Final = 5_000
"""Instants that passed while no server ran are counted up to here."""
_CALLED: Final[dict[ScheduleKind, str]] = {"reminder": "reminder", "ask": "question", "watch": "watch", "workflow": "workflow"}
_MOST_NAMED: Final = 80


def receiver_of(new: NewSchedule) -> str:
    """The id of the person who gets the messages: the one that it names, else its owner."""
    return new.person.id if new.person else new.owner


@record
class Receiver:
    """The chat of a schedule, and the person in it, whose next channel follows where it can't be reached."""

    address: Address | None
    """None: it has none; or there is no chat in which the person is reached."""
    person: ToPerson | None

    def placed(self, schedule: Schedule) -> Schedule:
        return replace(schedule, new=replace(schedule.new, address=self.address))


def placed_at(new: NewSchedule, chats: Sequence[Address], address: Address | None = None) -> Receiver:
    """`chats`: of `receiver_of`. `address`: another than the schedule's own. A chat that the schedule names stays first; where it is a private one
    of its owner, their others follow."""
    if new.person is not None and address is None:
        return Receiver(address=chats[0] if chats else None, person=new.person if chats else None)
    where = address or new.address
    own = new.person is None and where is not None and any(where.lane == chat.lane for chat in chats)
    return Receiver(address=where, person=ToPerson(id=new.owner) if own else None)


@record
class EventWriter:
    """Makes the messages of schedules."""

    expire_after: timedelta
    """How long a message is tried, at least."""
    buttons: Buttons = lambda _: ()
    to: ToPerson | None = None
    """Whom they are for."""

    def event(
        self, schedule: Schedule, cause: str, address: Address, text: str, now: datetime, *, person: Person | None, buttons: ButtonRows = ()
    ) -> OutboundEvent:
        """`cause`: what the event's id is derived from. In the person's quiet hours it waits for their end, unless it is urgent."""
        begin = now if schedule.new.urgent else after_quiet(person, now)
        lasts = max(self.expire_after, grace_of(schedule))
        return OutboundEvent(
            id=derived_id("evt", cause),
            address=address,
            text=text,
            buttons=buttons,
            not_before=begin if begin > now else None,
            expires_at=begin + lasts,
            origin=Origin(kind="schedule", owner=schedule.new.owner, session=schedule.new.session),
            person=self.to,
        )


def grace_of(schedule: Schedule) -> timedelta:
    given = schedule.new.grace
    return timedelta(seconds=GRACE[schedule.new.kind] if given is None else given)


def after_quiet(person: Person | None, now: datetime) -> datetime:
    """`now`, or the end of the quiet hours that it is in."""
    if person is None or person.quiet is None:
        return now
    start, end = person.quiet.start, person.quiet.end
    here = now.astimezone(person.zone).replace(tzinfo=None)
    time = here.time()
    within = start <= time < end if start <= end else time >= start or time < end
    if not within:
        return now
    day = here.date() if time < end else here.date() + timedelta(days=1)
    return max(now, instant_of(datetime.combine(day, end), person.zone))


def named(schedule: Schedule) -> str:
    """`the reminder "stretch"`"""
    first = " ".join(schedule.new.text.split())
    return f'the {_CALLED[schedule.new.kind]} "{first if len(first) <= _MOST_NAMED else first[:_MOST_NAMED] + "…"}"'


def clock_of(schedule: Schedule, at: datetime) -> str:
    """`Mon 30 Nov 2026 09:00 Europe/Berlin`"""
    return f"{at.astimezone(zone_of(schedule.new.zone)):%a %d %b %Y %H:%M} {schedule.new.zone}"


def lasting(time: timedelta) -> str:
    """`3 h 5 min`, `2 days`"""
    minutes = max(1, round(time.total_seconds() / 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} day{'s' * (days > 1)}{f' {hours} h' * bool(hours)}"
    return f"{f'{hours} h ' * bool(hours)}{f'{minutes % 60} min' * bool(minutes % 60 or not hours)}".strip()


def late(schedule: Schedule, instant: datetime, now: datetime, missed: int) -> str:
    """What is added to the words of one that is late, or that replaces others; empty for one on time."""
    parts: list[str] = []
    if now - instant > ON_TIME:
        parts.append(f"It was due {clock_of(schedule, instant)}: {lasting(now - instant)} late, because no server ran.")
    if missed:
        parts.append(f"{_counted(missed)} earlier one{'s were' if missed > 1 else ' was'} missed.")
    return f"\n\n({' '.join(parts)})" if parts else ""


def missed_notice(schedule: Schedule, instant: datetime, now: datetime, missed: int) -> str:
    others = f", and {_counted(missed)} before it" if missed else ""
    what = named(schedule)
    return (
        f"Missed: {what} was due {clock_of(schedule, instant)}{others}. No server ran then, and now it is {lasting(now - instant)} too late."
        f"{_next(schedule)}"
    )


def failure_notice(schedule: Schedule, why: str) -> str:
    """For a schedule that has failed as often as `FAILURES_TOLD` says."""
    what, times = named(schedule), schedule.failures
    said = f"{what[0].upper()}{what[1:]} failed{f' {times} times in a row' if times > 1 else ''}{f': {why}' if why else ''}."
    if times >= FAILURES_PAUSED:
        return f"{said} It is paused now; resume it when the cause is gone."
    return f"{said}{_next(schedule)}"


def _counted(missed: int) -> str:
    return str(missed) if missed < MOST_COUNTED - 1 else f"{MOST_COUNTED:,} or more"


def _next(schedule: Schedule) -> str:
    return "" if schedule.next_at is None else f" Next: {clock_of(schedule, schedule.next_at)}."

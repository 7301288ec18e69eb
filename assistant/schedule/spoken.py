"""Schedules in words: read from them, told in them, and delivered to the chat where a person is."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.inbox import KnownChats
from assistant.contracts.outbox import Button, ButtonRows
from assistant.contracts.people import PeopleDirectory
from assistant.contracts.schedules import At, Cron, Every, Rule, Schedule
from assistant.contracts.sessions import SessionStore
from assistant.contracts.util import Clock, utc_now
from assistant.schedule.rules import instant_of

_UNITS: Final = ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"))
_SESSIONS: Final = 50
"""How many of the latest sessions are searched for a private chat."""


def told(instant: datetime, zone: ZoneInfo, now: datetime) -> str:
    """An instant for people: "tomorrow, Mon 30 Nov 2026 09:00 Europe/Berlin (UTC+1)". With seconds where it is not on a whole minute and near."""
    local, today = instant.astimezone(zone), now.astimezone(zone).date()
    day = {0: "today, ", 1: "tomorrow, "}.get((local.date() - today).days, "")
    clock = "%H:%M:%S" if local.second and abs((instant - now).total_seconds()) < 120 else "%H:%M"
    return f"{day}{local:%a %d %b %Y {clock}} {zone.key}{offset_words(local)}"


def offset_words(local: datetime) -> str:
    """ " (UTC+1)", " (UTC-3:30)"; empty for UTC itself."""
    minutes = int((local.utcoffset() or UTC.utcoffset(None)).total_seconds() // 60)
    if not minutes and local.tzname() == "UTC":
        return ""
    hours, rest = divmod(abs(minutes), 60)
    return f" (UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''})"


def rule_words(rule: Rule) -> str:
    """A rule in short: "every 2 hours", "cron 30 8 * * 1-5", "once"."""
    match rule:
        case At():
            return "once"
        case Cron(cron=cron):
            return f"cron {cron}"
        case Every(seconds=seconds):
            size, unit = next((each for each in _UNITS if seconds % each[0] == 0), (1, "second"))
            count = seconds // size
            return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def reminder_buttons(occurrence: str) -> ButtonRows:
    """Done, and the times to which a reminder can be put off. `occurrence`: its id, which a press gives back."""
    named = (("Done", "/done"), ("10 min", "/snooze 10m"), ("1 h", "/snooze 1h"), ("tomorrow", "/snooze tomorrow"))
    return (tuple(Button(text=text, command=command, subject=occurrence) for text, command in named),)


def _read(words: str, zone: str, now: datetime, own: ZoneInfo) -> tuple[Rule, str]:
    """Blocks."""
    from assistant.schedule.words import parse_when, zone_named  # noqa: PLC0415 - patterns that take 60 ms to compile

    meant = zone_named(zone) if zone else own
    when = parse_when(words, now, meant)
    return when.rule, (when.zone or meant).key


class SpokenSchedules:
    """Implements `contracts.schedules.ScheduleWords`."""

    def __init__(
        self, *, people: PeopleDirectory, sessions: SessionStore, inbox: KnownChats, channels: ChannelDirectory, clock: Clock = utc_now
    ) -> None:
        self._people = people
        self._sessions = sessions
        self._inbox = inbox
        self._channels = channels
        self._clock = clock

    async def read(self, owner: str, words: str, zone: str = "") -> tuple[Rule, str]:
        own = await self._people.zone(owner)
        return await asyncio.to_thread(_read, words, zone, self._clock(), own)

    def tell(self, schedule: Schedule) -> str:
        rule, zone = schedule.new.rule, ZoneInfo(schedule.new.zone)
        instant = schedule.next_at
        if isinstance(rule, At):
            return told(instant or instant_of(rule.at, zone), zone, self._clock())
        return f"{rule_words(rule)}, {f'next {told(instant, zone, self._clock())}' if instant else zone.key}"

    async def chat(self, owner: str) -> Address | None:
        person = await self._people.person(owner)
        for address in person.prefers if person else ():
            if address.channel in self._channels.enabled:
                return address
        for address in await self._candidates(owner):
            if address.channel in self._channels.enabled and await self._inbox.wrote(address, owner=owner):
                return address
        return None

    async def _candidates(self, owner: str) -> Sequence[Address]:
        """Of the owner's sessions, the latest first, then of their identities."""
        sessions = await self._sessions.list(owner, limit=_SESSIONS)
        person = await self._people.person(owner)
        found: list[Address] = []
        for text in (*[session.key for session in sessions], *(person.identities if person else ())):
            try:
                found.append(parse_address(text))
            except InvalidAddress:
                continue
        return found

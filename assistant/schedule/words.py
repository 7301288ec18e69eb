"""From words to a rule: "in 10 minutes", "tomorrow at 9", "jeden Montag um 9", "on the first of each month", ISO 8601, cron.

Each thing that is understood is taken out of the words; what is left must be fillers. So a word that is not understood is an error, and never
passed over. English and German have a grammar of their own (`vocabulary.py`); for single times in other languages, dateparser is asked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.records import record
from assistant.contracts.schedules import At, Cron, Every, Rule
from assistant.schedule import vocabulary as say
from assistant.schedule.foreign import foreign_time
from assistant.schedule.rules import check_rule, instant_of

EXAMPLES: Final = (
    "Write it like one of these: in 10 minutes · tomorrow at 9:00 · Friday at 17:30 · 24 December at 18:00 · 2026-12-24T18:00 · every weekday at "
    "8:30 · every 2 hours · on the first of each month at 9:00 · cron 30 8 * * 1-5."
)
_MOST_CHARS: Final = 200
_FARTHEST: Final = timedelta(days=3660)
_LEAST: Final = 60
"""Seconds of the shortest interval."""
MORNING: Final = time(9)
"""Which time is meant where only a day is named."""
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?", re.IGNORECASE)
_CRON: Final = re.compile(r"(?:cron:?\s+)?([\d*/,\-]+\s+[\d*/,\-]+\s+[\dL*/,\-]+\s+[\w*/,\-]+\s+[\w*/,\-#]+)", re.IGNORECASE | re.ASCII)
_NAMED: Final = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *"}
_ZONE: Final = re.compile(r"(?:\s|^)\(?((?:[A-Za-z]+/[A-Za-z_/+\-]+)|UTC|GMT)\)?(?:\s+time)?$")
_SECONDS: Final = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800}


class _NotUnderstood(InvalidRequest):
    """Words that are neither English nor German, perhaps."""


@record
class When:
    """What was understood. `zone`: named in the words; None: the person's."""

    rule: Rule
    zone: ZoneInfo | None = None


def parse_when(words: str, now: datetime, zone: ZoneInfo) -> When:
    """`now`: aware. `zone`: the person's. Blocks: some milliseconds, where dateparser is asked first a second.

    Raises InvalidRequest: not understood, ambiguous, or past.
    """
    text = " ".join(words.split())
    if not text or len(text) > _MOST_CHARS:
        raise InvalidRequest(f"Say when, in at most {_MOST_CHARS} characters. {EXAMPLES}", param="when")
    named: ZoneInfo | None = None
    if found := _ZONE.search(text):
        named, text = zone_named(found[1]), text[: found.start()].strip()
    zone = named or zone
    try:
        rule = _exact(text) or _Reading(text, now.astimezone(zone)).rule()
    except _NotUnderstood:
        rule = foreign_time(text, now.astimezone(zone))
        if rule is None:
            raise
    except OverflowError:
        raise InvalidRequest("That is too far away: at most ten years.", param="when") from None
    check_rule(rule)
    if isinstance(rule, At):
        check_time(rule.at, now, zone)
    return When(rule=rule, zone=named)


def zone_named(name: str) -> ZoneInfo:
    """Raises InvalidRequest."""
    try:
        known = {each.casefold(): each for each in available_timezones()} if "/" in name else {}
        return ZoneInfo(known.get(name.casefold(), name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequest(f'"{name[:60]}" is no time zone: write its IANA name, such as Europe/Berlin.', param="zone") from None


def check_time(at: datetime, now: datetime, zone: ZoneInfo) -> None:
    """Raises InvalidRequest for a time that is past or too far away."""
    moment = instant_of(at, zone)
    if moment <= now:
        raise InvalidRequest(
            f"{moment.astimezone(zone):%a %d %b %Y %H:%M} is past: it is {now.astimezone(zone):%a %d %b %Y %H:%M} now.", param="when"
        )
    if moment - now > _FARTHEST:
        raise InvalidRequest("That is too far away: at most ten years.", param="when")


def _exact(text: str) -> Rule | None:
    """ISO 8601 and cron."""
    if cron := _NAMED.get(text.casefold()):
        return Cron(cron=cron)
    if _ISO.fullmatch(text):
        try:
            at = datetime.fromisoformat(text.replace("z", "Z"))
        except ValueError:
            raise InvalidRequest(f'"{text}" is no time: check the day and the hour. {EXAMPLES}', param="when") from None
        return At(at=at.astimezone(UTC) if at.tzinfo else at)
    found = _CRON.fullmatch(text)
    return Cron(cron=found[1].upper()) if found else None


@dataclass(slots=True)
class _Reading:
    """The words of a time, while things are taken out of them."""

    said: str
    now: datetime
    """In the zone that counts."""
    rest: str = ""
    clocks: list[time] = field(default_factory=list[time])
    weekdays: set[int] = field(default_factory=set[int])

    def rule(self) -> Rule:
        self.rest = _plain(self.said)
        repeats = self._repeats()
        if isinstance(repeats, Cron | Every):
            return repeats
        ahead = self._take(say.UNITS_AHEAD)
        day = self._day()
        self._clock()
        if self._left() or not (ahead or day is not None or self.weekdays or self.clocks):
            return self._refuse()
        if ahead:
            return self._ahead(ahead["spans"], alone=day is None and not self.weekdays)
        if len(self.clocks) > 1 or len(self.weekdays) + (day is not None) > 1:
            raise InvalidRequest("That names several times: make a schedule for each, or say every … for one that repeats.", param="when")
        at = self.clocks[0] if self.clocks else MORNING
        if day is None and self.weekdays:
            day = self.now.date() + timedelta(days=(next(iter(self.weekdays)) - self.now.weekday()) % 7)
            if datetime.combine(day, at) <= self.now.replace(tzinfo=None):
                day += timedelta(days=7)
        if day is None:
            today = self.now.date()
            day = today if datetime.combine(today, at) > self.now.replace(tzinfo=None) else today + timedelta(days=1)
        return At(at=datetime.combine(day, at))

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.search(self.rest)
        if found:
            self.rest = f"{self.rest[: found.start()]} , {self.rest[found.end() :]}"
        return found

    def _left(self) -> str:
        left = self.rest
        while (less := say.FILLERS.sub(" ", left)) != left:
            left = less
        return left.strip(" .,!?")

    def _refuse(self) -> Rule:
        raise _NotUnderstood(f"“{self.said}” is no time that is understood here. {EXAMPLES}", param="when")

    def _ahead(self, spans: str, *, alone: bool) -> At:
        """In so many minutes, hours, days."""
        if not alone:
            self._refuse()
        elapsed, days, months = timedelta(), 0, 0
        for found in say.SPAN.finditer(spans):
            count, unit = float(found["count"].replace(",", ".")), say.UNITS[found["unit"]]
            if unit in ("months", "years"):
                months += int(count) * (12 if unit == "years" else 1)
            elif unit in ("days", "weeks") and count == int(count):
                days += int(count) * (7 if unit == "weeks" else 1)
            else:
                elapsed += timedelta(seconds=count * _SECONDS[unit])
        if self.clocks and (elapsed or len(self.clocks) > 1):
            self._refuse()
        if not (days or months):
            return At(at=(self.now + timedelta()).astimezone(UTC) + elapsed)
        local = datetime.combine(_months_later(self.now.date(), months) + timedelta(days=days), self.now.time())
        at = datetime.combine(local, self.clocks[0]) if self.clocks else local + elapsed
        return At(at=at.replace(microsecond=0))

    def _day(self) -> date | None:
        """The day that is named, besides weekdays, which are collected."""
        if self._take(say.EITHER_WAY):
            raise InvalidRequest("3/4 may be the third of April or the fourth of March: write 3 April or 2027-04-03.", param="when")
        next_week = self._take(say.NEXT_WEEK)
        for pattern in say.DATES:
            if found := self._take(pattern):
                return self._date(found.groupdict())
        if found := self._take(say.DAY_WORD):
            ahead = 2 if found["after"] else say.DAYS[found["word"]]
            if found["word"] == "tonight":
                self.rest += " tonight"
            return self.now.date() + timedelta(days=ahead)
        while found := self._take(say.WEEKDAY):
            self.weekdays.add(say.WEEKDAYS[found["name"]])
        if not next_week:
            return None
        if len(self.weekdays) != 1:
            raise InvalidRequest("Say which day of next week: next week on Monday at 9:00.", param="when")
        return self.now.date() + timedelta(days=7 - self.now.weekday() + self.weekdays.pop())

    def _date(self, found: Mapping[str, str | None]) -> date:
        named = found.get("month")
        month = say.MONTHS[named] if named else int(found["number"] or 0)
        day, year = int(found["day"] or 0), found.get("year")
        try:
            on = date(int(year) if year else self.now.year, month, day)
            if year is None and on < self.now.date():
                on = on.replace(year=on.year + 1)
        except ValueError:
            raise InvalidRequest(f"There is no such day: {self.said}.", param="when") from None
        return on

    def _clock(self) -> None:
        """The times of the day, into `clocks`."""
        part = self._take(say.DAY_PART)
        later = bool(part) and part["part"] in say.LATER_HALF
        while found := self._take(say.CLOCK):
            self.clocks.append(_time(found, half="pm" if later else "am" if part else "", said=self.said))
            self.rest = re.sub(r"(?:,\s*)(?:and|und|&|,)\s+(?=\d{1,2}(?![\d:.]))", " at ", self.rest) if found["at"] else self.rest
        if part and not self.clocks:
            self.clocks.append(say.DAY_PARTS[part["part"]])

    def _repeats(self) -> Rule | None:
        """A rule that repeats; None: the words name a single time."""
        if not say.OF_MONTH.search(self.rest) and self._take(say.OTHER):
            return self._every_other()
        always = self._take(say.ALWAYS_WORD)
        spans = [found for found in (self._take(say.WEEKDAY_SPAN),) if found]
        plural = (found := say.WEEKDAY.search(self.rest)) is not None and bool(found["plural"])
        work, weekend = self._take(say.WORKDAYS), self._take(say.WEEKEND)
        of_month = self._take(say.OF_MONTH)
        span = None if of_month else self._take(say.EVERY_SPAN)
        every = self._take(say.EVERY)
        if not (always or spans or plural or work or weekend or of_month or span or every):
            return None
        unit = say.ALWAYS[always["word"]] if always else say.UNITS[span["unit"]] if span else "months" if of_month else ""
        count = int(span["count"] or 1) if span else 1
        if (span and (count > 1 or unit in ("seconds", "minutes", "hours"))) or unit in ("minutes", "hours"):
            return self._interval(count, unit)
        for found in spans:
            first, last = say.WEEKDAYS[found["first"]], say.WEEKDAYS[found["last"]]
            self.weekdays |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
        self.weekdays |= set(range(5)) if work else set()
        self.weekdays |= {5, 6} if weekend else set()
        return self._calendar(unit)

    def _every_other(self) -> Rule:
        """Each second day, week, or weekday: by elapsed time from the first one."""
        unit = self._take(re.compile(rf"\b(?P<unit>{'|'.join(sorted(say.UNITS, key=len, reverse=True))})\b"))
        if unit is None and (found := self._take(say.WEEKDAY)):
            return self._interval(2, "weeks", say.WEEKDAYS[found["name"]])
        return self._interval(2, say.UNITS[unit["unit"]]) if unit else self._refuse()

    def _interval(self, count: int, unit: str, weekday: int | None = None) -> Rule:
        if weekday is None and unit == "weeks" and (found := self._take(say.WEEKDAY)):
            weekday = say.WEEKDAYS[found["name"]]
        self._clock()
        if self._left() or len(self.clocks) > 1 or (self.clocks and unit not in ("days", "weeks")):
            return self._refuse()
        if unit in ("months", "years"):
            raise InvalidRequest(f"Every {count} {unit} needs the day: write it as cron, such as 0 9 1 */{min(count, 12)} *.", param="when")
        seconds = count * _SECONDS[unit]
        if seconds < _LEAST:
            raise InvalidRequest("The shortest interval is a minute.", param="when")
        if seconds > _FARTHEST.total_seconds():
            raise OverflowError
        if not self.clocks and weekday is None:
            return Every(seconds=seconds)
        day = self.now.date() + timedelta(days=0 if weekday is None else (weekday - self.now.weekday()) % 7)
        anchor = datetime.combine(day, self.clocks[0] if self.clocks else MORNING, tzinfo=self.now.tzinfo)
        return Every(seconds=seconds, anchor=anchor.astimezone(UTC))

    def _calendar(self, unit: str) -> Rule:
        """By the clock, as cron: days, weekdays, days of a month or of a year."""
        day, month, weekday = "*", "*", ""
        if found := self._take(say.NTH_WEEKDAY):
            if unit != "months":
                return self._refuse()
            weekday = f"{_cron_day(say.WEEKDAYS[found['name']])}{'L' if found['nth'] == '-1' else '#' + found['nth']}"
        elif self._take(say.LAST_DAY):
            day = "L"
        elif unit != "months" and (found := next(filter(None, map(self._take, say.DATES[:3])), None)):
            on = self._date({**found.groupdict(), "year": "2028"})
            day, month = str(on.day), str(on.month)
        elif unit == "months" or say.MONTH_DAY.search(self.rest):
            if not (found := self._take(say.MONTH_DAY)):
                return self._month_day_missing()
            day = str(int(found["day"]))
        elif unit == "years":
            return self._month_day_missing()
        while not weekday and (found := self._take(say.WEEKDAY)):
            self.weekdays.add(say.WEEKDAYS[found["name"]])
        self._clock()
        if self._left() or (unit == "weeks" and not self.weekdays) or (day != "*" and self.weekdays):
            return self._refuse()
        if not (unit or day != "*" or weekday or self.weekdays or self.clocks):
            return self._refuse()
        clock = _cron_clock(self.clocks or [MORNING])
        return Cron(cron=f"{clock} {day} {month} {weekday or _cron_days(self.weekdays)}")

    def _month_day_missing(self) -> Rule:
        raise InvalidRequest("Say which day: on the 15th of each month at 9:00, or every year on 3 March.", param="when")


_FRACTIONS: Final = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\bmidnight\b|\bmitternacht\b", "0:00"),
        (r"\ban hour and a half\b|\bone and a half hours?\b", "1.5 hours"),
        (r"\b(?:anderthalb|eineinhalb)\b", "1.5"),
        (r"\b(?:half an?|einer halben|eine halbe|½)\s+", "0.5 "),
        (r"\b(?:a quarter of an|an? quarter|einer viertel|eine viertel)\s*(?=hour|stunde)", "0.25 "),
    )
)
_ONE: Final = re.compile(rf"\b(?:an?|eine?[mnrs]?|one)\s+(?=(?:{'|'.join(sorted(say.UNITS, key=len, reverse=True))})\b)")
_NUMBER: Final = re.compile(rf"\b(?:{'|'.join(say.NUMBERS)})\b")
_ORDINAL: Final = re.compile(rf"(?<!\d )\b(?:{'|'.join(sorted(say.ORDINALS, key=len, reverse=True))})\b")


def _plain(said: str) -> str:
    """Lower-case, with figures for the words of numbers."""
    text = said.casefold()
    for pattern, plain in _FRACTIONS:
        text = pattern.sub(plain, text)
    text = _ONE.sub("1 ", text)
    text = _NUMBER.sub(lambda found: str(say.NUMBERS[found[0]]), text)
    text = _ORDINAL.sub(lambda found: f"{say.ORDINALS[found[0]]}.", text)
    return say.MORNING.sub(r"\g<day> früh", text)


def _time(found: re.Match[str], *, half: str, said: str) -> time:
    """`half`: of the day, by words such as "in the afternoon"; empty: not said. Raises InvalidRequest."""
    minute = int(found["minute"] or found["after"] or 0)
    given = (found["half"] or "").replace(".", "")
    hour = int(found["hour"] or found["of"])
    exact = bool(found["minute"]) or given in ("uhr", "h") or hour == 0 or hour > 12
    half = given if given in ("am", "pm") else half
    if (
        not (found["at"] or found["minute"] or given or found["piece"])
        or hour > 24
        or (half and given in ("am", "pm") and not 1 <= hour <= 12)
    ):
        raise _NotUnderstood(f"“{said}”: is {hour} a time of the day? Write 9:00, 9am or 21:00.", param="when")
    if half == "pm" and hour < 12:
        hour += 12
    elif half == "am" and given == "am" and hour == 12:
        hour = 0
    elif not half and not exact and hour < 7:
        raise InvalidRequest(f"“{said}”: {hour} in the morning or in the afternoon? Write {hour:02}:00 or {hour + 12}:00.", param="when")
    shift = say.PIECES[" ".join(found["piece"].split())] if found["piece"] else 0
    try:
        return (datetime.combine(date(2000, 1, 1), time(hour % 24 if hour < 25 else hour, minute)) + timedelta(minutes=shift)).time()
    except ValueError:
        raise InvalidRequest(
            f"“{said}” has no time of the day: the hours go from 0 to 23, the minutes from 0 to 59.", param="when"
        ) from None


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.month - 1 + months, 12)
    for last in range(day.day, 27, -1):
        try:
            return date(day.year + year, month + 1, last)
        except ValueError:
            continue
    return date(day.year + year, month + 1, min(day.day, 28))


def _cron_day(weekday: int) -> str:
    return str((weekday + 1) % 7)


def _cron_days(weekdays: set[int]) -> str:
    days = ",".join(sorted(map(_cron_day, weekdays)))
    return {"": "*", "1,2,3,4,5": "1-5", "0,1,2,3,4,5,6": "*"}.get(days, days)


def _cron_clock(clocks: list[time]) -> str:
    """The first two fields. Raises InvalidRequest where one rule can't say it."""
    hours, minutes = sorted({clock.hour for clock in clocks}), sorted({clock.minute for clock in clocks})
    if len({(clock.hour, clock.minute) for clock in clocks}) != len(hours) * len(minutes):
        raise InvalidRequest("One rule can't have times with different minutes: make a schedule for each.", param="when")
    return f"{','.join(map(str, minutes))} {','.join(map(str, hours))}"

"""When a schedule is due: the instants of a rule, by the clock of a zone. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.schedules import At, Cron, Every, Rule

if TYPE_CHECKING:
    from cronsim import CronSim

_SHORTEST: Final = 60
_CRON_FIELDS: Final = 5
_PAST_ANY_GAP: Final = 3
"""Hours: no zone's clock was set back by more at once."""


def zone_of(name: str) -> ZoneInfo:
    """Raises InvalidRequest: there is no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequest(f"There is no time zone {name!r}: name one like Europe/Berlin.", param="zone") from None


def check_rule(rule: Rule) -> None:
    """Raises InvalidRequest: it is malformed."""
    if isinstance(rule, Every) and not _SHORTEST <= rule.seconds <= 10 * 366 * 86_400:
        raise InvalidRequest("The interval must be 60 seconds or more, and 10 years at most.", param="every")
    if isinstance(rule, Every) and rule.anchor is not None and rule.anchor.tzinfo is None:
        raise InvalidRequest("The anchor of an interval needs an offset: 2027-01-31T09:00:00+01:00.", param="anchor")
    if isinstance(rule, Cron):
        _sim(rule.cron, datetime(2026, 1, 1, tzinfo=UTC))


def instants(rule: Rule, zone: ZoneInfo, after: datetime, created: datetime) -> Iterator[datetime]:
    """The rule's instants later than `after`, in order, in UTC. `created`: where an interval without an anchor begins. Raises InvalidRequest for a
    cron expression that is malformed."""
    if isinstance(rule, At):
        instant = instant_of(rule.at, zone)
        return iter((instant,) if instant > after else ())
    if isinstance(rule, Every):
        return _every(rule, after, created)
    return _cron(rule.cron, zone, after)


def next_instant(rule: Rule, zone: ZoneInfo, after: datetime, created: datetime) -> datetime | None:
    """The first of `instants`; None: there is none."""
    return next(instants(rule, zone, after, created), None)


def instant_of(at: datetime, zone: ZoneInfo) -> datetime:
    """Of a time with an offset, or of a time of day in a zone: the first of two equal ones, the end of a gap for one in it. In UTC."""
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    instant = at.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == at:
        return instant
    return _gap_end(instant, zone)


def _gap_end(behind: datetime, zone: ZoneInfo) -> datetime:
    """When the clock jumps over a time of day. `behind`: that time by the offset before the jump, so shortly after it."""
    low, high = behind - timedelta(hours=_PAST_ANY_GAP), behind
    old = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == old else (low, middle)
    return high


def _every(rule: Every, after: datetime, created: datetime) -> Iterator[datetime]:
    start, step = (rule.anchor or created).astimezone(UTC), timedelta(seconds=rule.seconds)
    first = max(0 if rule.anchor else 1, (after - start) // step + 1)
    return (start + number * step for number in count(first))


def _cron(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    # From earlier than `after`: in the second of two equal hours, the library would go on by the clock alone.
    begin = after - timedelta(hours=_PAST_ANY_GAP)
    last = after
    if not _by_time_of_day(expression):
        for found in _sim(expression, after.astimezone(zone)):
            yield found.astimezone(UTC)
        return
    for found in _sim(expression, begin.astimezone(zone).replace(tzinfo=None)):
        instant = instant_of(found, zone)
        if instant > last:
            last = instant
            yield instant


def _by_time_of_day(expression: str) -> bool:
    """As Debian's cron has it: a rule whose minute or hour begins with a star goes by elapsed time, through both of two equal hours."""
    minute, hour, *_ = expression.split()
    return not (minute.startswith("*") or hour.startswith("*"))


def _sim(expression: str, start: datetime) -> "CronSim":
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - only where a schedule has such a rule

    try:
        if len(expression.split()) != _CRON_FIELDS:
            raise CronSimError("five fields")
        return CronSim(expression, start)
    except CronSimError:
        raise InvalidRequest(
            'A cron expression has five fields, minute hour day month weekday: "30 8 * * 1-5" is 8:30 on weekdays.', param="cron"
        ) from None


@cache
def zones_version() -> str:
    """Which edition of the time zones this process has; a schedule's next instant is computed again when it changes."""
    for folder in TZPATH:
        for name in ("tzdata.zi", "+VERSION"):
            path = Path(folder) / name
            if path.is_file():
                with path.open(encoding="ascii", errors="replace") as file:
                    return file.readline(64).removeprefix("# version").strip()
        if (Path(folder) / "UTC").is_file():
            return f"{folder}:{(Path(folder) / 'Europe').stat().st_mtime_ns}"
    import importlib.metadata  # noqa: PLC0415 - only where the machine has no time zones of its own

    return importlib.metadata.version("tzdata")

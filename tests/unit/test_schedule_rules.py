"""When rules are due: by the clock of a zone where the clock jumps, by elapsed time, and what is no rule."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.schedules import At, Cron, Every, Rule
from assistant.schedule.rules import check_rule, instants, next_instant, zone_of, zones_version

# (zone, cron, from, the next local times with their offsets)
DST = [
    # Spring: the time is in the gap, and comes at its end, once.
    ("Europe/Berlin", "30 2 * * *", "2027-03-27 12:00", ["03-28 03:00+02:00", "03-29 02:30+02:00"]),
    ("America/New_York", "30 2 * * *", "2027-03-13 12:00", ["03-14 03:00-04:00", "03-15 02:30-04:00"]),
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00", ["10-04 02:30+11:00", "10-05 02:15+11:00"]),
    ("Africa/Casablanca", "30 2 * * *", "2027-03-13 12:00", ["03-14 03:00+01:00", "03-15 02:30+01:00"]),
    # Autumn: the clock shows the time twice; it comes the first time.
    ("Europe/Berlin", "30 2 * * *", "2026-10-24 12:00", ["10-25 02:30+02:00", "10-26 02:30+01:00"]),
    ("America/New_York", "30 1 * * *", "2026-10-31 12:00", ["11-01 01:30-04:00", "11-02 01:30-05:00"]),
    ("America/New_York", "30 2 * * *", "2026-10-31 12:00", ["11-01 02:30-05:00", "11-02 02:30-05:00"]),
    ("Australia/Lord_Howe", "45 1 * * *", "2027-04-03 12:00", ["04-04 01:45+11:00", "04-05 01:45+10:30"]),
    ("Africa/Casablanca", "30 2 * * *", "2027-02-06 12:00", ["02-07 02:30+01:00", "02-08 02:30+00:00"]),
    # Two times in one gap come once; those behind it are untouched.
    ("Europe/Berlin", "15,45 2 * * *", "2027-03-28 01:30", ["03-28 03:00+02:00", "03-29 02:15+02:00", "03-29 02:45+02:00"]),
    ("Europe/Berlin", "0 2,3 * * *", "2027-03-28 01:30", ["03-28 03:00+02:00", "03-29 02:00+02:00", "03-29 03:00+02:00"]),
    # Wide rules go by elapsed time: through both equal hours, and not into the gap.
    (
        "Europe/Berlin",
        "*/30 * * * *",
        "2026-10-25 01:45",
        ["10-25 02:00+02:00", "10-25 02:30+02:00", "10-25 02:00+01:00", "10-25 02:30+01:00"],
    ),
    ("Europe/Berlin", "*/30 * * * *", "2027-03-28 01:15", ["03-28 01:30+01:00", "03-28 03:00+02:00"]),
    ("Australia/Lord_Howe", "*/15 * * * *", "2026-10-04 01:40", ["10-04 01:45+10:30", "10-04 02:30+11:00"]),
    # Weekdays, the last day of a month, a leap day.
    ("Europe/Berlin", "30 8 * * 1-5", "2026-11-27 08:30", ["11-30 08:30+01:00", "12-01 08:30+01:00"]),
    ("Europe/Berlin", "0 9 L * *", "2027-02-01 00:00", ["02-28 09:00+01:00", "03-31 09:00+02:00"]),
    ("America/New_York", "0 9 29 2 *", "2026-01-01 00:00", ["02-29 09:00-05:00"]),
]


@pytest.mark.parametrize(("zone", "cron", "start", "wanted"), DST)
def test_cron_where_clocks_jump(zone: str, cron: str, start: str, wanted: list[str]) -> None:
    here = ZoneInfo(zone)
    after = datetime.fromisoformat(start).replace(tzinfo=here).astimezone(UTC)
    found = list(islice(instants(Cron(cron=cron), here, after, after), len(wanted)))
    assert [each.astimezone(here).isoformat(" ", "minutes")[5:] for each in found] == wanted
    assert [each.tzinfo for each in found] == [UTC] * len(found)
    # From within, too: each instant follows from the one before it.
    for before, following in zip([after, *found], found, strict=False):
        assert next_instant(Cron(cron=cron), here, before, after) == following


@pytest.mark.parametrize(
    ("zone", "wall", "wanted"),
    [
        ("Europe/Berlin", "2027-03-28T02:30", "2027-03-28T01:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("America/New_York", "2027-03-14T02:00", "2027-03-14T07:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:10", "2026-10-03T15:30"),
        ("Africa/Casablanca", "2027-03-14T02:59", "2027-03-14T02:00"),
        ("Europe/Berlin", "2026-12-01T09:00", "2026-12-01T08:00"),
    ],
)
def test_a_time_of_day(zone: str, wall: str, wanted: str) -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    instant = datetime.fromisoformat(wanted).replace(tzinfo=UTC)
    assert next_instant(At(at=datetime.fromisoformat(wall)), ZoneInfo(zone), after, after) == instant
    assert next_instant(At(at=instant), ZoneInfo(zone), after, after) == instant
    assert next_instant(At(at=instant), ZoneInfo(zone), instant, after) is None


def test_every_is_elapsed_time() -> None:
    here, made = ZoneInfo("Europe/Berlin"), datetime(2027, 3, 27, 9, 0, 7, 5, tzinfo=UTC)
    assert list(islice(instants(Every(seconds=86_400), here, made, made), 2)) == [made + timedelta(days=1), made + timedelta(days=2)]
    anchored = Every(seconds=3600, anchor=datetime(2027, 1, 1, 0, 15, tzinfo=UTC))
    assert next_instant(anchored, here, made, made) == datetime(2027, 3, 27, 9, 15, tzinfo=UTC)
    assert next_instant(anchored, here, datetime(2026, 1, 1, tzinfo=UTC), made) == anchored.anchor


@pytest.mark.parametrize(
    "rule",
    [
        Every(seconds=59),
        Every(seconds=10**10),
        Every(seconds=60, anchor=datetime(2027, 1, 1)),  # noqa: DTZ001 - that it has no offset is what is wrong
        *[Cron(cron=each) for each in ("", "* * * *", "0 0 0 0 0", "61 * * * *", "* * * * * *", "@daily", "0 0 30 2 *", "a b c d e")],
    ],
)
def test_what_is_no_rule(rule: Rule) -> None:
    with pytest.raises(InvalidRequest):
        check_rule(rule)


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", "Europe", "/etc/localtime", "x" * 300, "a\0b"])
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(InvalidRequest, match="no time zone"):
        zone_of(name)


def test_the_edition_of_the_time_zones_is_known() -> None:
    assert zones_version() == zones_version() != ""

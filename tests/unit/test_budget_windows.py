"""The hour, day and month of a budget, by a person's own clock; and which budget holds."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from assistant.contracts.ledger import Period
from assistant.ledger.budgets import calendar


@pytest.mark.parametrize(
    ("period", "now", "zone", "start", "end"),
    [
        ("hour", "2026-11-29T12:34:56", "Asia/Kathmandu", "2026-11-29T12:00", "2026-11-29T13:00"),
        ("day", "2026-11-29T23:30", "UTC", "2026-11-29T00:00", "2026-11-30T00:00"),
        ("day", "2026-11-29T23:30", "Europe/Berlin", "2026-11-29T23:00", "2026-11-30T23:00"),
        ("day", "2026-03-29T12:00", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
        ("day", "2026-10-25T12:00", "Europe/Berlin", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours
        ("day", "2026-10-25T00:30", "Australia/Lord_Howe", "2026-10-24T13:00", "2026-10-25T13:00"),
        ("month", "2026-12-31T23:30", "Europe/Berlin", "2026-12-31T23:00", "2027-01-31T23:00"),
        ("month", "2026-10-31T23:30", "America/New_York", "2026-10-01T04:00", "2026-11-01T04:00"),
        ("month", "2028-02-29T00:00", "UTC", "2028-02-01T00:00", "2028-03-01T00:00"),
    ],
)
def test_windows_are_of_the_calendar(period: Period, now: str, zone: str, start: str, end: str) -> None:
    instants = [datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (now, start, end)]
    assert calendar(period, instants[0], ZoneInfo(zone)) == tuple(instants[1:])

"""How an instant, a rule and a reminder's buttons are written."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from assistant.contracts.schedules import At, Cron, Every, Rule
from assistant.schedule.spoken import reminder_buttons, rule_words, told

NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "zone", "expected"),
    [
        ("2026-11-30T08:00:00+00:00", "Europe/Berlin", "tomorrow, Mon 30 Nov 2026 09:00 Europe/Berlin (UTC+1)"),
        ("2026-11-29T21:00:00+00:00", "America/New_York", "today, Sun 29 Nov 2026 16:00 America/New_York (UTC-5)"),
        ("2026-11-29T21:00:00+00:00", "America/St_Johns", "today, Sun 29 Nov 2026 17:30 America/St_Johns (UTC-3:30)"),
        ("2026-11-29T21:00:00+00:00", "Asia/Kathmandu", "tomorrow, Mon 30 Nov 2026 02:45 Asia/Kathmandu (UTC+5:45)"),
        ("2027-07-01T07:00:00+00:00", "Europe/Berlin", "Thu 01 Jul 2027 09:00 Europe/Berlin (UTC+2)"),
        ("2027-07-01T07:00:00+00:00", "Europe/London", "Thu 01 Jul 2027 08:00 Europe/London (UTC+1)"),
        ("2027-01-01T07:00:00+00:00", "Europe/London", "Fri 01 Jan 2027 07:00 Europe/London (UTC+0)"),
        ("2027-01-01T07:00:00+00:00", "UTC", "Fri 01 Jan 2027 07:00 UTC"),
        ("2026-11-29T09:00:30+00:00", "UTC", "today, Sun 29 Nov 2026 09:00:30 UTC"),
        ("2026-11-29T09:10:30+00:00", "UTC", "today, Sun 29 Nov 2026 09:10 UTC"),
        ("2026-11-28T09:00:00+00:00", "UTC", "Sat 28 Nov 2026 09:00 UTC"),
    ],
)
def test_an_instant_is_told_with_its_zone_and_offset(instant: str, zone: str, expected: str) -> None:
    assert told(datetime.fromisoformat(instant), ZoneInfo(zone), NOW) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (At(at=NOW), "once"),
        (Cron(cron="30 8 * * 1-5"), "cron 30 8 * * 1-5"),
        (Every(seconds=60), "every minute"),
        (Every(seconds=90 * 60), "every 90 minutes"),
        (Every(seconds=7200), "every 2 hours"),
        (Every(seconds=86_400), "every day"),
        (Every(seconds=14 * 86_400), "every 2 weeks"),
        (Every(seconds=61), "every 61 seconds"),
    ],
)
def test_a_rule_is_told_in_its_largest_unit(rule: Rule, expected: str) -> None:
    assert rule_words(rule) == expected


def test_what_the_buttons_give_fits_each_platform() -> None:
    (row,) = reminder_buttons("occ_" + "f" * 28)
    assert [button.text for button in row] == ["Done", "10 min", "1 h", "tomorrow"]
    assert all(len(button.given.encode()) <= 64 and button.given.isascii() for button in row)  # Telegram's callback_data; Discord takes 100

"""Single times in languages without a grammar here, by dateparser: only what it understands beyond doubt.

It drops or misreads what it does not know ("mañana a las 9" loses the hour, "amanhã às 9h" becomes 33 hours): its answer counts only where it
agrees with every figure of the words.
"""

import re
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from assistant.contracts.schedules import At

if TYPE_CHECKING:
    from dateparser.date import DateDataParser

_LANGUAGES: Final = ("fr", "es", "it", "pt", "nl", "pl", "ru", "uk", "tr", "sv", "da", "cs", "fi", "ja", "zh")
_HOUR: Final = re.compile(
    r"\b(à|às|om|alle|las|ore|в|о|o|kl\.?|saat|klo)\s+(\d{1,2})(?:\s*(?:h|uur|heures|horas|часов))?(?=$|\s*,)", re.IGNORECASE
)
_HOUR_BEHIND: Final = re.compile(r"(\d{1,2})(?:時(?!間)|点|點)(?:(\d{1,2})分)?")
_HOUR_FRENCH: Final = re.compile(r"\b(\d{1,2})\s?h\s?(\d\d)\b", re.IGNORECASE)
_CLOCK: Final = re.compile(r"(?<![\d:])(\d{1,2}):(\d\d)(?![\d:])")
_UNITS: Final = (1, 60, 3600, 86_400, 604_800)
_DEFAULT: Final = time(9)


def foreign_time(words: str, now: datetime) -> At | None:
    """None: not understood. `now`: in the zone that counts."""
    text = _HOUR.sub(r"\1 \2:00", words)
    text = _HOUR_BEHIND.sub(lambda found: f" {found[1]}:{found[2] or '00'} ", text)
    text = _HOUR_FRENCH.sub(r"\1:\2", text).strip()
    base = now.replace(tzinfo=None)
    found = _parser(base.replace(second=0, microsecond=0)).get_date_data(text)
    at = found.date_obj
    if at is None or found.period not in ("day", "time"):
        return None
    clock = _CLOCK.search(text)
    figures = [int(figure) for figure in re.findall(r"\d+", _CLOCK.sub(" ", text))]
    if clock is not None:
        if (at.hour, at.minute) != (int(clock[1]), int(clock[2])) or not set(figures) <= {at.day, at.month, at.year}:
            return None
        return At(at=at)
    ahead = (at - base.replace(second=0, microsecond=0)).total_seconds()
    if found.period == "time":
        if len(figures) == 1 and figures[0] and ahead in [figures[0] * unit for unit in _UNITS]:
            return At(at=now.astimezone(UTC) + timedelta(seconds=ahead))
        return None
    return At(at=datetime.combine(at, _DEFAULT)) if set(figures) <= {at.day, at.month, at.year} else None


def _parser(base: datetime) -> "DateDataParser":
    from dateparser.date import DateDataParser  # noqa: PLC0415 - a seventh of a second, for words that are neither English nor German

    return DateDataParser(
        languages=list(_LANGUAGES),
        settings={
            "PREFER_DATES_FROM": "future",
            "RELATIVE_BASE": base,
            "RETURN_TIME_AS_PERIOD": True,
            "RETURN_AS_TIMEZONE_AWARE": False,
            "DATE_ORDER": "DMY",
        },
    )

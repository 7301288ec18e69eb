"""The times that a question names: "last March", "yesterday", "12 May 2023", "vor zwei Wochen", "в марте", "先週", as stretches of days."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from assistant.contracts.util import lazy_pattern
from assistant.store.words import fold

_NAMES = """
january jan januar jänner января январе январь
february feb februar февраля феврале февраль
march mar märz марта марте март
april apr апреля апреле апрель
may mai мая мае май
june jun juni июня июне июнь
july jul juli июля июле июль
august aug августа августе август
september sep sept сентября сентябре сентябрь
october oct oktober октября октябре октябрь
november nov ноября ноябре ноябрь
december dec dezember dez декабря декабре декабрь
"""
_MONTHS: Final = {fold(name): number for number, line in enumerate(_NAMES.strip().splitlines(), 1) for name in line.split()}
_MONTH: Final = "|".join(sorted(_MONTHS, key=len, reverse=True))
_SEASONS: Final = {
    3: "spring frühling весной весна 春",
    6: "summer sommer летом лето 夏",
    9: "autumn herbst осенью осень 秋",
    12: "winter зимой зима 冬",
}
_SEASON: Final = {fold(name): first for first, names in _SEASONS.items() for name in names.split()}
_DAYS_AGO: Final = {
    fold(name): days
    for days, names in {0: "today heute сегодня 今日", 1: "yesterday gestern вчера 昨日", 2: "vorgestern позавчера 一昨日"}.items()
    for name in names.split()
}
_UNITS: Final = {
    fold(name): days
    for days, names in {
        1: "day days tag tage tagen день дня дней 日",
        7: "week weeks woche wochen неделю недели недель неделе 週",
        30: "month months monat monate monaten месяц месяца месяцев месяце 月",
        365: "year years jahr jahre jahren год года лет году 年",
    }.items()
    for name in names.split()
}
_UNIT: Final = "|".join(sorted(_UNITS, key=len, reverse=True))
_LAST: Final = r"(?:last|past|previous|letzte[nrsm]?|vorige[nrsm]?|прошл\w+|先|昨|去)"
_SMALL: Final = {
    fold(name): number
    for number, names in enumerate(("a an one ein einer einem один одну", "two zwei два две", "three drei три", "four vier четыре"), 1)
    for name in names.split()
}
_COUNT: Final = rf"(\d{{1,3}}|{'|'.join(_SMALL)})"


class Days(NamedTuple):
    """From the first day to the last one. `sharp`: the question named this very time; `any_year`: it named no year."""

    first: date
    last: date
    sharp: bool = True
    any_year: bool = False

    def fits(self, at: datetime) -> float:
        """How well a time fits, from 0 to 1."""
        day = at.date()
        if self.first <= day <= self.last:
            return 1.0 if self.sharp else 0.6
        if self.any_year and self.first.timetuple().tm_yday <= day.timetuple().tm_yday <= self.last.timetuple().tm_yday:
            return 0.6
        # What happened is told a day or some later.
        return 0.4 if self.last < day <= self.last + timedelta(14) and self.sharp else 0.0


def days_in(text: str, now: datetime) -> list[Days]:
    """The times that a text names. A month without a year is the last one that has begun before `now`."""
    folded, found = fold(text[:2000]), list[Days]()
    for pattern, reading in _READINGS:
        for match in pattern.finditer(folded):
            try:
                found.extend(reading(match, now.astimezone(now.tzinfo or UTC).date()))
            except (ValueError, OverflowError):
                continue  # 30 February, the year 0
        if found:
            break
    return found


def _iso(found: re.Match[str], _: date) -> Iterator[Days]:
    day = date(int(found[1]), int(found[2]), int(found[3]))
    yield Days(day, day)


def _day_month(found: re.Match[str], today: date) -> Iterator[Days]:
    groups = found.groupdict()
    year = int(groups["year"]) if groups.get("year") else None
    yield from _dated(int(groups["day"]), _MONTHS[groups["month"]], year, today)


def _han(found: re.Match[str], today: date) -> Iterator[Days]:
    year, month, day = (int(found[place]) if found[place] else None for place in (1, 2, 3))
    if month and day:
        yield from _dated(day, month, year, today)
    elif month:
        yield _month(year, month, today)


def _dated(day: int, month: int, year: int | None, today: date) -> Iterator[Days]:
    named = date(year or today.year, month, day)
    if year is None and named > today:
        named = date(today.year - 1, month, day)
    yield Days(named, named, any_year=year is None)


def _month_year(found: re.Match[str], today: date) -> Iterator[Days]:
    yield _month(int(found["year"]) if found["year"] else None, _MONTHS[found["month"]], today)


def _month(year: int | None, month: int, today: date) -> Days:
    any_year = year is None
    if year is None:
        year = today.year if month <= today.month else today.year - 1
    first = date(year, month, 1)
    return Days(first, (first + timedelta(31)).replace(day=1) - timedelta(1), any_year=any_year)


def _season(found: re.Match[str], today: date) -> Iterator[Days]:
    first = _SEASON[found[1]]
    year = int(found["year"]) if found["year"] else today.year if date(today.year, first, 1) <= today else today.year - 1
    begin = date(year, first, 1)
    yield Days(begin, begin + timedelta(91))


def _relative(found: re.Match[str], today: date) -> Iterator[Days]:
    day = today - timedelta(_DAYS_AGO[found[0]])
    yield Days(day, day)


def _ago(found: re.Match[str], today: date) -> Iterator[Days]:
    often = int(found["count"]) if found["count"].isdigit() else _SMALL[found["count"]]
    unit = _UNITS[found["unit"]]
    middle = today - timedelta(often * unit)
    yield Days(middle - timedelta(unit // 2), middle + timedelta(unit // 2), sharp=False)


def _last(found: re.Match[str], today: date) -> Iterator[Days]:
    unit = _UNITS[found["unit"]]
    if unit == 7:
        monday = today - timedelta(today.weekday() + 7)
        yield Days(monday, monday + timedelta(6))
    elif unit == 30:
        last = today.replace(day=1) - timedelta(1)
        yield Days(last.replace(day=1), last)
    elif unit == 365:
        yield Days(date(today.year - 1, 1, 1), date(today.year - 1, 12, 31))
    else:
        yield Days(today - timedelta(1), today - timedelta(1))


def _year(found: re.Match[str], _: date) -> Iterator[Days]:
    yield Days(date(int(found[1]), 1, 1), date(int(found[1]), 12, 31), sharp=False)


def _word(name: str) -> str:
    return rf"\b{name}\b" if name[0] < "\u3000" else name


Reading = Callable[[re.Match[str], date], Iterator[Days]]
_YEAR: Final = r"(?P<year>(?:19|20)\d\d)"
_READINGS: Final[tuple[tuple[re.Pattern[str], Reading], ...]] = (
    (lazy_pattern(r"\b((?:19|20)\d\d)-(\d\d?)-(\d\d?)\b"), _iso),
    (lazy_pattern(rf"\b(?P<day>\d\d?)(?:st|nd|rd|th|\.)?\s+(?:of\s+)?(?P<month>{_MONTH})\b\.?,?(?:\s+{_YEAR})?"), _day_month),
    (lazy_pattern(rf"\b(?P<month>{_MONTH})\.?\s+(?P<day>\d\d?)(?:st|nd|rd|th)?\b,?(?:\s+{_YEAR})?"), _day_month),
    (lazy_pattern(r"(?:((?:19|20)\d\d)年)?(\d\d?)月(?:(\d\d?)日)?"), _han),
    (
        lazy_pattern(
            rf"\b(?:in|im|during|of|since|by|until|last|letzten|seit|в|во|прошлом|early|late|mid|{_LAST})[\s-]+(?P<month>{_MONTH})\b,?(?:\s+{_YEAR})?"
        ),
        _month_year,
    ),
    (lazy_pattern(rf"\b(?P<month>{_MONTH})\.?,?\s+{_YEAR}"), _month_year),
    (lazy_pattern(rf"({'|'.join(_word(name) for name in _SEASON)})(?:\s+(?:of\s+)?{_YEAR})?"), _season),
    (lazy_pattern("|".join(map(_word, _DAYS_AGO))), _relative),
    (lazy_pattern(rf"\b{_COUNT.replace('(', '(?P<count>', 1)}\s+(?P<unit>{_UNIT})\s+(?:ago|earlier|back|назад)\b"), _ago),
    (lazy_pattern(rf"\bvor\s+{_COUNT.replace('(', '(?P<count>', 1)}\s+(?P<unit>{_UNIT})\b"), _ago),
    (lazy_pattern(rf"{_LAST}\s*(?P<unit>{_UNIT})"), _last),
    (lazy_pattern(r"\b((?:19|20)\d\d)\b"), _year),
)

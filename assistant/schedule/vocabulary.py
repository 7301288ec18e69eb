"""The words of time in English and German, as patterns: days, hours, units, and what makes a rule repeat."""

import re
from collections.abc import Mapping
from datetime import time
from typing import Final


def _either(words: Mapping[str, object] | tuple[str, ...]) -> str:
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.:]){pattern}(?![\w:])", re.VERBOSE)


NUMBERS: Final = {
    **dict(zip(["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], range(2, 13), strict=True)),
    **dict(zip(["zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"], range(2, 13), strict=True)),
    "one": 1,
    "eins": 1,
    "fifteen": 15,
    "fünfzehn": 15,
    "twenty": 20,
    "zwanzig": 20,
    "thirty": 30,
    "dreißig": 30,
    "forty": 40,
    "vierzig": 40,
    "fifty": 50,
    "fünfzig": 50,
    "sixty": 60,
    "sechzig": 60,
    "ninety": 90,
    "neunzig": 90,
}
ORDINALS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1} | {
    stem + ending: number
    for stem, number in {"erste": 1, "zweite": 2, "dritte": 3, "vierte": 4, "fünfte": 5, "letzte": -1}.items()
    for ending in ("", "n", "r", "s", "m")
}
"""-1: the last."""
WEEKDAYS: Final = {
    name: day
    for day, names in enumerate(
        (
            ("monday", "mon", "montag", "mo"),
            ("tuesday", "tues", "tue", "dienstag", "di"),
            ("wednesday", "wed", "mittwoch", "mi"),
            ("thursday", "thurs", "thur", "thu", "donnerstag", "do"),
            ("friday", "fri", "freitag", "fr"),
            ("saturday", "sat", "samstag", "sonnabend", "sa"),
            ("sunday", "sun", "sonntag", "so"),
        )
    )
    for name in names
}
"""0: Monday."""
MONTHS: Final = {
    name: month
    for month, names in enumerate(
        (
            ("january", "jan", "januar", "jänner"),
            ("february", "feb", "februar"),
            ("march", "mar", "märz", "mär", "maerz"),
            ("april", "apr"),
            ("may", "mai"),
            ("june", "jun", "juni"),
            ("july", "jul", "juli"),
            ("august", "aug"),
            ("september", "sept", "sep"),
            ("october", "oct", "oktober", "okt"),
            ("november", "nov"),
            ("december", "dec", "dezember", "dez"),
        ),
        start=1,
    )
    for name in names
}
UNITS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "sek", "sekunde", "sekunden"), "seconds"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes", "minuten"), "minutes"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "std", "stunde", "stunden"), "hours"),
    **dict.fromkeys(("d", "day", "days", "tag", "tage", "tagen"), "days"),
    **dict.fromkeys(("w", "week", "weeks", "woche", "wochen"), "weeks"),
    **dict.fromkeys(("month", "months", "monat", "monate", "monaten"), "months"),
    **dict.fromkeys(("year", "years", "jahr", "jahre", "jahren"), "years"),
}
DAYS: Final = {"today": 0, "heute": 0, "tonight": 0, "tomorrow": 1, "tmrw": 1, "morgen": 1, "übermorgen": 2}
"""How many days from today."""
DAY_PARTS: Final = {
    **dict.fromkeys(("morning", "mornings", "früh", "vormittag", "vormittags", "morgens"), time(9)),
    **dict.fromkeys(("noon", "midday", "mittag", "mittags"), time(12)),
    **dict.fromkeys(("afternoon", "afternoons", "nachmittag", "nachmittags"), time(15)),
    **dict.fromkeys(("evening", "evenings", "tonight", "abend", "abends"), time(19)),
    **dict.fromkeys(("night", "nights", "nacht", "nachts"), time(21)),
    **dict.fromkeys(("midnight", "mitternacht"), time(0)),
}
"""Which time is meant where no hour is said."""
LATER_HALF: Final = frozenset(
    (
        "afternoon",
        "afternoons",
        "evening",
        "evenings",
        "night",
        "nights",
        "tonight",
        "nachmittag",
        "nachmittags",
        "abend",
        "abends",
        "nachts",
    )
)
"""Parts of the day in which "at 8" is 20:00."""

_DAY: Final = r"(?P<day>\d{1,2})"
_YEAR: Final = r"(?:,?\s*(?P<year>\d{4}))?"
_MONTH: Final = rf"(?P<month>{_either(MONTHS)})\.?"
DATES: Final = (
    _compiled(rf"{_DAY}(?:st|nd|rd|th|\.)?\s*(?:of\s+)?{_MONTH}{_YEAR}"),
    _compiled(rf"{_MONTH}\s*{_DAY}(?:st|nd|rd|th)?{_YEAR}"),
    _compiled(rf"{_DAY}\.\s?(?P<number>\d{{1,2}})\.(?:\s?(?P<year>\d{{4}}))?"),
    _compiled(r"(?P<year>\d{4})-(?P<number>\d{1,2})-(?P<day>\d{1,2})"),
)
EITHER_WAY: Final = _compiled(r"\d{1,2}/\d{1,2}(?:/\d{2,4})?")
"""3/4/2027: a day and a month, or a month and a day."""

_AT: Final = r"(?:(?P<at>at|um|gegen|ab|by|from|@)\s*)?"
CLOCK: Final = _compiled(
    rf"""{_AT}(?:
        (?P<hour>\d{{1,2}})(?:[:.h](?P<minute>\d\d)|\s+uhr\s+(?P<after>\d\d?))?\s*(?P<half>a\.?m\.?|p\.?m\.?|uhr|h|o'?clock)?
      | (?P<piece>half\s+past|quarter\s+past|quarter\s+to|halb|viertel\s+nach|viertel\s+vor|dreiviertel)\s+(?P<of>\d{{1,2}})
    )"""
)
PIECES: Final = {
    "half past": 30,
    "quarter past": 15,
    "quarter to": -15,
    "halb": -30,
    "viertel nach": 15,
    "viertel vor": -15,
    "dreiviertel": -15,
}
"""Minutes from the hour that is named."""
DAY_PART: Final = _compiled(rf"(?:in\s+the\s+|in\s+der\s+|am\s+|this\s+|at\s+|um\s+)?(?P<part>{_either(DAY_PARTS)})")
MORNING: Final = re.compile(rf"\b(?P<day>heute|jeden|diesen|{_either(WEEKDAYS)})\s+morgen\b")
"""The German word for tomorrow, where it means the morning."""
DAY_WORD: Final = _compiled(rf"(?:the\s+)?(?P<after>day\s+after\s+tomorrow)|(?P<word>{_either(DAYS)})")
WEEKDAY: Final = _compiled(
    rf"(?P<next>next|this|coming|nächste[nrs]?|diese[nrs]?|kommende[nrs]?)?\s*(?P<name>{_either(WEEKDAYS)})\.?(?P<plural>s)?"
)
WEEKDAY_SPAN: Final = _compiled(rf"(?P<first>{_either(WEEKDAYS)})\.?\s*(?:-|–|to|through|bis)\s*(?P<last>{_either(WEEKDAYS)})\.?")
WORKDAYS: Final = _compiled(r"(?:weekdays?|workdays?|working\s+days?|werktags|werktag|wochentags|wochentag|arbeitstags?)")
WEEKEND: Final = _compiled(r"(?:on\s+|at\s+|am\s+)?(?:the\s+)?(?:weekends?|wochenenden?)")
NEXT_WEEK: Final = _compiled(r"(?:next\s+week|nächste(?:r|n)?\s+woche)")
UNITS_AHEAD: Final = _compiled(
    rf"""(?:in\s+|nach\s+|after\s+)?(?P<spans>(?:(?:and\s+|und\s+|,\s*)?\d+(?:[.,]\d+)?\s*{_either(UNITS)}\.?\s*)+)(?P<later>from\s+now|later)?"""
)
SPAN: Final = re.compile(rf"(?P<count>\d+(?:[.,]\d+)?)\s*(?P<unit>{_either(UNITS)})(?![^\W\d])")
EVERY: Final = _compiled(r"(?:every|each|alle|jede[nrsm]?|all)")
OTHER: Final = _compiled(r"(?:(?:every|each)\s+(?:other|2\.|2nd)|jede[nrs]?\s+2\.)")
EVERY_SPAN: Final = _compiled(rf"(?:every|each|alle|jede[nrs]?)\s+(?:(?P<count>\d+)\s*)?(?P<unit>{_either(UNITS)})")
ALWAYS: Final = {
    **dict.fromkeys(("minutely", "minütlich"), "minutes"),
    **dict.fromkeys(("hourly", "stündlich"), "hours"),
    **dict.fromkeys(("daily", "täglich"), "days"),
    **dict.fromkeys(("weekly", "wöchentlich"), "weeks"),
    **dict.fromkeys(("monthly", "monatlich"), "months"),
    **dict.fromkeys(("yearly", "annually", "jährlich"), "years"),
}
ALWAYS_WORD: Final = _compiled(rf"(?P<word>{_either(ALWAYS)})")
OF_MONTH: Final = _compiled(
    r"(?:of\s+(?:each|every|the)\s+month|(?:in\s+)?(?:each|every)\s+month|jede[ns]\s+monate?s?|(?:im|des)\s+monate?s?)"
)
LAST_DAY: Final = _compiled(r"-1\.\s+(?:day|tage?s?)")
MONTH_DAY: Final = _compiled(r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)")
NTH_WEEKDAY: Final = _compiled(rf"(?P<nth>-?\d)(?:st|nd|rd|th|\.)\s+(?P<name>{_either(WEEKDAYS)})")
FILLERS: Final = re.compile(
    r"(?:^|(?<=[\s,]))(?:at|on|the|of|and|und|in|um|am|an|den|dem|der|im|a|to|jeweils|immer|every|each|uhr|for|ab|zum|,|;|&)(?=$|[\s,])"
)

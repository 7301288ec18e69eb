"""Calendar entries in words: invitations, replies and cancellations in mails (RFC 5545, RFC 5546)."""

import re
from datetime import date, timedelta

_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r"([A-Za-z-]+)((?:;[^:;=]+=(?:\"[^\"]*\"|[^:;\"]*))*):(.*)")
_PARAMETER = re.compile(r";([^:;=]+)=(?:\"([^\"]*)\"|([^:;\"]*))")
_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})[0-9]{2}(Z?))?")
_ESCAPED = re.compile(r"\\(.)")
_METHODS = {"REQUEST": "Invitation", "CANCEL": "Cancelled", "REPLY": "Reply to an invitation", "COUNTER": "Other time proposed"}
_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative", "DELEGATED": "delegated"}
_MOST_ENTRIES = 500
_MOST_PEOPLE = 100
_MOST_DATES = 100

_Property = tuple[dict[str, str], str]


def read_calendar(text: str) -> list[str]:
    """A block for each event and task."""
    method, blocks = "", list[str]()
    entry: dict[str, list[_Property]] | None = None
    inner = 0
    for line in _FOLD.sub("", text).splitlines():
        if not (match := _LINE.fullmatch(line.strip())):
            continue
        name, value = match[1].upper(), match[3]
        if name == "METHOD":
            method = value.strip().upper()
        elif name == "BEGIN" and value.strip().upper() in {"VEVENT", "VTODO"}:
            entry = {}
        elif name == "END" and value.strip().upper() in {"VEVENT", "VTODO"} and entry is not None:
            blocks.append(_describe(entry, method))
            entry = None
            if len(blocks) >= _MOST_ENTRIES:
                break
        elif name in {"BEGIN", "END"}:
            inner += 1 if name == "BEGIN" and entry is not None else -1 if inner else 0
        elif entry is not None and not inner:
            parameters = {key.upper(): quoted or plain for key, quoted, plain in _PARAMETER.findall(match[2])}
            entry.setdefault(name, []).append((parameters, value))
    return blocks


def _describe(entry: dict[str, list[_Property]], method: str) -> str:
    people = [_person(item) for item in entry.get("ATTENDEE", [])]
    lines = [f"{_METHODS.get(method, 'Calendar entry')}: {_text(entry, 'SUMMARY') or '(no title)'}", f"When: {_span(entry)}"]
    for label, words in (
        ("Due", _moment(entry["DUE"][0]) if "DUE" in entry else ""),
        ("Where", _text(entry, "LOCATION")),
        ("Organizer", _person(entry["ORGANIZER"][0]) if "ORGANIZER" in entry else ""),
        ("Attendees", ", ".join(people[:_MOST_PEOPLE]) + (" …" if len(people) > _MOST_PEOPLE else "")),
        ("Repeats", _text(entry, "RRULE")),
        ("Also", _moments(entry, "RDATE")),
        ("Not", _moments(entry, "EXDATE")),
        ("In place of", _moments(entry, "RECURRENCE-ID")),
        ("Status", _text(entry, "STATUS").lower()),
        ("Link", _text(entry, "URL")),
    ):
        if words:
            lines.append(f"{label}: {words}")
    described = "\n".join(line for line in lines if line != "When: ")
    details = _text(entry, "DESCRIPTION")
    return f"{described}\n\n{details}" if details else described


def _text(entry: dict[str, list[_Property]], name: str) -> str:
    value = entry[name][0][1] if name in entry else ""
    return _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], value).strip()


def _person(item: _Property) -> str:
    parameters, value = item
    address = re.sub("^mailto:", "", value.strip(), flags=re.IGNORECASE)
    name = parameters.get("CN", "")
    who = f"{name} <{address}>" if name and name != address else address
    answer = _ANSWERS.get(parameters.get("PARTSTAT", "").upper())
    return f"{who} ({answer})" if answer else who


def _span(entry: dict[str, list[_Property]]) -> str:
    if "DTSTART" not in entry:
        return ""
    start = entry["DTSTART"][0]
    begin = _moment(start)
    if "DTEND" in entry:
        whole_days = "T" not in start[1]
        end = _moment(entry["DTEND"][0], days=-1 if whole_days else 0)
        return begin if end == begin or (whole_days and end < begin) else f"{begin} to {end}"
    duration = _text(entry, "DURATION")
    return f"{begin}, for {duration}" if duration else begin


def _moments(entry: dict[str, list[_Property]], name: str) -> str:
    items = [(parameters, value) for parameters, values in entry.get(name, []) for value in values.split(",")]
    return ", ".join(map(_moment, items[:_MOST_DATES])) + (" …" if len(items) > _MOST_DATES else "")


def _moment(item: _Property, days: int = 0) -> str:
    """A date or time as ISO 8601 with its zone; `days` are added to a date: an entry for whole days ends before its DTEND."""
    parameters, value = item
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return value.strip()
    try:
        day = (date(int(match[1]), int(match[2]), int(match[3])) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return value.strip()
    if match[4] is None:
        return day
    zone = " UTC" if match[6] else f" ({parameters['TZID']})" if parameters.get("TZID") else ""
    return f"{day} {match[4]}:{match[5]}{zone}"

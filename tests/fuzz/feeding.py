"""Values that a generator can't guess, real ids and meaningful values, put into requests by field name."""

import base64
import copy
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from random import Random
from typing import Any, Final
from urllib.parse import quote

from schemathesis import Case
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.value import Binary

_KEPT: Final = 40
"""Ids of a kind: the latest."""
_PIXEL: Final = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAX+XDSwAAAABJRU5ErkJggg==")
_TEXT: Final = b"Some words in a file.\n"
_WORDS: Final = ("ECHO hi", "Hello \N{WAVING HAND SIGN}", "CALLTOOL list_attachments {}", "\u0000", "e\u0301" * 40)
_SAMPLES: Final[dict[str, tuple[object, ...]]] = {
    "url": ("data:image/png;base64," + base64.b64encode(_PIXEL).decode(), "data:;base64,", "https://example.com/a.png"),
    "file_data": (base64.b64encode(_TEXT).decode(), "data:text/plain;base64," + base64.b64encode(_TEXT).decode(), "!"),
    "filename": ("a.txt", "a.png", "../../etc/passwd"),
    "channel": ("telegram", "telegram", "webhook", "discord"),
    "at": ("2999-01-01T00:00:00Z", "2020-01-01T00:00:00+01:00"),
    "when": (*["in 10 minutes", "every weekday at 8:30", "0 9 * * *", "2035-01-01T00:00"] * 2, "soon"),
    "to": ("telegram:5", "telegram:6"),
    "content": _WORDS,
    "text": _WORDS,
    "message": _WORDS,
    "input": (*_WORDS, ["one", "two"]),
    "prompt": (*_WORDS, ["one", "two"]),
    "stream": (True, True, False),
    "purpose": ("user_data",),
    "x-nanobot-agent-id": ("main", "beta"),
    "x-nanobot-session-key": ("planted", "another", "agent:beta:mine"),
    "buttons": ('[["Yes", "No"]]',),
    "person_id": ("me", "me", "owner"),
    "zone": ("Europe/Berlin", "UTC", ""),
    "quiet": ("22:00-07:00", ""),
}


class Larder:
    """Ids seen in answers, by kind, for use in requests."""

    def __init__(self, fields: Mapping[str, Collection[str]], **more: object) -> None:
        """`fields`: the names that a body may have, by operation. `more`: samples by the names of further fields."""
        self._fields = fields
        self._ids: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._worked: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        """Ids that were part of a good request: by operation and field."""
        self._samples = {**_SAMPLES, **{name: (value,) for name, value in more.items()}}

    def learn(self, answer: object) -> None:
        """Every object within that says what it is and has an id: `{"object": "file", "id": …}`."""
        for each in _objects(answer):
            kind, identity = each.get("object"), each.get("id")
            if kind == "person.code":  # a new one ends those before it
                self._ids["code"] = {str(each["code"]): None}
            if isinstance(kind, str) and isinstance(identity, str):
                ids = self._ids[kind]
                ids[identity] = None
                if len(ids) > _KEPT:
                    del ids[next(iter(ids))]

    def learn_what_works(self, case: Case) -> None:
        """The request succeeded: remember its ids for the same fields."""
        for name, value in case.body.items() if isinstance(case.body, dict) else ():
            if isinstance(value, str) and value in self._ids.get(_kind(name), ()):
                self._worked[case.operation.label, name][value] = None

    def feed(self, case: Case, random: Random) -> None:
        """Replace some generated values with real ones; values that are wrong on purpose stay."""
        for name in case.path_parameters:
            if (real := self._real(name, random)) is not None and random.random() < 0.8:
                case.path_parameters[name] = quote(str(real), safe="")
        self._feed_headers(case, random)
        for name, value in case.query.items():
            if isinstance(value, str) and (real := self._real(name, random)) is not None and random.random() < 0.5:
                case.query[name] = real
        if isinstance(case.body, dict) and case.meta is not None and case.meta.generation.mode.is_positive:
            case.body = self._fed_body(case.operation.label, case.body, random)

    def _fed_body(self, operation: str, given: dict[str, Any], random: Random) -> dict[str, Any]:
        well = random.random() < 0.7  # mostly valid, and without unknown fields
        body = {name: value for name, value in copy.deepcopy(given).items() if not well or name.isidentifier()}
        for name in sorted(self._fields.get(operation, ())):
            if name not in body and random.random() < 0.3 and (real := self._real(name, random)) is not None:
                body[name] = real
        for each in _objects(body):
            self._feed_object(each, random, 0.95 if well else 0.5)
        for name in body:
            if (worked := self._worked.get((operation, name))) and random.random() < 0.6:
                body[name] = random.choice(list(worked))
        return body

    def _feed_headers(self, case: Case, random: Random) -> None:
        part = None if case.meta is None else case.meta.components.get(ParameterLocation.HEADER)
        if part is not None and part.mode.is_negative:
            return
        for name in list(case.headers):
            if name.lower() == "idempotency-key":  # mostly a new one: the generator repeats values, and a reused key is 422
                real: object = f"key-{random.getrandbits(64)}"
            else:
                real = self._real(name, random)
            if real is not None and random.random() < 0.92:
                case.headers[name] = str(real)

    def _feed_object(self, fields: dict[str, Any], random: Random, share: float) -> None:
        for name, value in fields.items():
            if random.random() > share:
                continue
            if isinstance(value, float) and value.is_integer():  # JSON Schema's integers, which may be written 1.0
                fields[name] = int(value)
            elif isinstance(value, str | bool | None) and (real := self._real(name, random)) is not None:
                fields[name] = real
            elif isinstance(value, Binary):
                fields[name] = Binary(random.choice((_TEXT, _PIXEL)))
        messages = fields.get("messages")
        if isinstance(messages, list) and messages and isinstance(messages[-1], dict) and random.random() < share:
            messages[-1]["role"] = "user"
            messages[-1].setdefault("content", random.choice(_WORDS))
            if random.random() < 0.5:
                fields["messages"] = messages[-1:]

    def _real(self, name: str, random: Random) -> object:
        """None: no known value has this name."""
        kind = _kind(name)
        if name in ("before", "after"):
            kind = random.choice(list(self._ids))
        if name in self._samples:
            return random.choice(self._samples[name])
        return random.choice(list(self._ids[kind])) if self._ids.get(kind) else None


def _kind(name: str) -> str:
    """What a field of this name holds the id of."""
    return name.removesuffix("_id").rpartition("_")[2]


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in list(inner):
        yield from _objects(each)

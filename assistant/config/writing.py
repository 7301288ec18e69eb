"""Changes values in the text of a JSON or JSON5 file, and leaves all else as it is: comments, order, indentation."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from assistant.config.file import NotJson, read_json
from assistant.contracts.messages import Json

_TOKEN: Final = re.compile(
    r"""(?P<skip>[\s\ufeff]+|//[^\n]*|/\*.*?\*/)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<sign>[{}\[\]:,])
      | (?P<word>[^\s{}\[\]:,"']+)""",
    re.VERBOSE | re.DOTALL,
)
_REMARK: Final = re.compile(r"[ \t]*(?://[^\n]*|/\*[^\n]*?\*/)[ \t]*(?=\n)")
"""A comment on the rest of a line: it belongs to the value before it."""
_INDENT: Final = "  "
ConfigPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(slots=True)
class _Object:
    """An object in the text: where its braces are, and its members' values."""

    opens: int
    closes: int = 0
    last: int = 0
    """The end of the last member's value; 0: it has none."""
    comma: bool = False
    """Whether a comma is behind the last member."""
    spans: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    objects: "dict[str, _Object]" = field(default_factory=dict[str, "_Object"])


def with_values(text: str, changes: Mapping[ConfigPath, Json]) -> str:
    """The text with each value at its path (("channels", "slack", "botToken")), in place of the one there, or added. Objects on the way are made.

    An empty text becomes an object. Raises NotJson where the text is none, or a path leads through something that is no object.
    """
    if not text.strip():
        text = "{}\n"
    for path, value in changes.items():
        wanted = _merged(read_json(text), path, value)
        text = _with_value(text, path, value)
        if read_json(text) != wanted:
            raise NotJson(f"can't be changed at {'.'.join(path)}: write the value there by hand")
    return text


def _merged(found: Json, path: ConfigPath, value: Json) -> Json:
    if not path:
        return value
    if not isinstance(found, dict):
        raise NotJson(f"holds something that is no object where {path[0]} should be")
    return {**found, path[0]: _merged(found.get(path[0], {}), path[1:], value)}


def _with_value(text: str, path: ConfigPath, value: Json) -> str:
    place = _Reader(text).read()
    depth = 0
    while depth < len(path) - 1 and path[depth] in place.objects:
        place = place.objects[path[depth]]
        depth += 1
    for name in reversed(path[depth + 1 :]):
        value = {name: value}
    name = path[depth]
    indent = _indent_of(text, place, depth)
    if name in place.spans:
        start, end = place.spans[name]
        return text[:start] + _written(value, indent) + text[end:]
    member = f"{json.dumps(name, ensure_ascii=False)}: {_written(value, indent)}"
    if not place.last:
        outer = indent[: len(indent) - len(_INDENT)]
        inside = text[place.opens + 1 : place.closes].rstrip()
        return f"{text[: place.opens + 1]}{inside}\n{indent}{member}\n{outer}{text[place.closes :]}"
    at = text.index(",", place.last) + 1 if place.comma else place.last
    remark = _REMARK.match(text, at)
    behind = remark.end() if remark else at
    return f"{text[:at]}{'' if place.comma else ','}{text[at:behind]}\n{indent}{member}{',' if place.comma else ''}{text[behind:]}"


def _written(value: Json, indent: str) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", f"\n{indent}")


def _indent_of(text: str, place: _Object, depth: int) -> str:
    """Of the members of an object: as the first has it, else two spaces a level."""
    inside = re.match(r"\s*?\n([ \t]+)\S", text[place.opens + 1 : place.closes]) if place.last else None
    return inside[1] if inside else _INDENT * (depth + 1)


class _Reader:
    """Finds the objects in a text that is known to be JSON or JSON5."""

    def __init__(self, text: str) -> None:
        self._tokens = [
            _Token(found.lastgroup or "", found[0], found.start(), found.end())
            for found in _TOKEN.finditer(text)
            if found.lastgroup != "skip"
        ]
        self._at = 0

    def read(self) -> _Object:
        found, _ = self._value()
        if found is None:
            raise NotJson("must hold a JSON object: {…}")
        return found

    def _next(self) -> _Token:
        self._at += 1
        if self._at > len(self._tokens):
            raise NotJson("ends too early")
        return self._tokens[self._at - 1]

    def _value(self) -> tuple[_Object | None, int]:
        """(the object, where the value ends). None: it is something else."""
        token = self._next()
        if token.text == "{" and token.kind == "sign":
            found = self._object(token)
            return found, found.closes + 1
        if token.text == "[" and token.kind == "sign":
            return None, self._array()
        return None, token.end

    def _array(self) -> int:
        while self._tokens[self._at].text != "]" or self._tokens[self._at].kind != "sign":
            self._value()
            if self._tokens[self._at].text == "," and self._tokens[self._at].kind == "sign":
                self._next()
        return self._next().end

    def _object(self, brace: _Token) -> _Object:
        found = _Object(opens=brace.start)
        while (token := self._next()).text != "}" or token.kind != "sign":
            if token.kind == "sign" and token.text == ",":
                found.comma = True
                continue
            name = _name(token)
            self._next()  # the colon
            start = self._tokens[self._at].start
            inner, end = self._value()
            found.spans[name] = start, end
            if inner is not None:
                found.objects[name] = inner
            found.last, found.comma = end, False
        found.closes = token.start
        return found


def _name(token: _Token) -> str:
    value = read_json(token.text) if token.kind == "text" else token.text
    return value if isinstance(value, str) else token.text

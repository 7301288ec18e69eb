"""IRC's lines: read, written, and a text cut into them. https://modern.ircdocs.horse/#message-format"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from assistant.contracts.records import record
from channels.text.blocks import FormattedPart, clean
from channels.text.splitting import best_cut, plain_parts, safe_cut

_LINE: Final = re.compile(r"(?:@(\S+) +)?(?::(\S+) +)?([A-Za-z]{1,32}|\d{3})(?: +(.*))?", re.DOTALL)
_ESCAPES: Final = {":": ";", "s": " ", "r": "\r", "n": "\n", "\\": "\\"}
_STYLE: Final = re.compile(r"\x03(?:\d{1,2}(?:,\d{1,2})?)?|\x04(?:[0-9A-Fa-f]{6})?|[\x02\x0f\x11\x16\x1d\x1e\x1f]")
"""https://modern.ircdocs.horse/formatting"""
_CASE: Final = str.maketrans("[]\\^", "{}|~")
_PREFIX_BYTES: Final = 1 + 64 + 1 + 11 + 1 + 64 + 1
"""`:nick!user@host `, which the server puts in front."""
_LINE_BYTES: Final = 512 - 2
LINES: Final = 4
"""Of a part, which is acknowledged as a whole."""


@record
class IrcLine:
    command: str
    """Upper-case, or three digits."""
    params: tuple[str, ...] = ()
    prefix: str = ""
    """Who it is from: a server, or nick!user@host."""
    tags: Mapping[str, str]
    """https://ircv3.net/specs/extensions/message-tags"""

    @property
    def nick(self) -> str:
        return self.prefix.partition("!")[0]

    def at(self, place: int) -> str:
        """A parameter; empty: it is not there."""
        return self.params[place] if -len(self.params) <= place < len(self.params) else ""


def parsed(line: bytes) -> IrcLine | None:
    """None: it is no line of IRC."""
    found = _LINE.fullmatch(line.decode("utf-8", "replace").replace("\0", "").strip("\r\n"))
    if found is None:
        return None
    tags, prefix, command, rest = found.groups()
    head, colon, last = f" {rest or ''}".partition(" :")
    params = (*head.split(), *([last] if colon else []))
    return IrcLine(command=command.upper(), params=params, prefix=prefix or "", tags=_tags(tags or ""))


def _tags(text: str) -> dict[str, str]:
    pairs = (each.partition("=") for each in text.split(";") if each)
    return {name: re.sub(r"\\(.?)", lambda found: _ESCAPES.get(found[1], found[1]), value) for name, _, value in pairs}


def written(command: str, *params: str) -> bytes:
    """A line to send. What could end it is left out of the parameters."""
    safe = [re.sub(r"[\r\n\x00]", " ", param) for param in params]
    if safe and (" " in safe[-1] or safe[-1].startswith(":") or not safe[-1] or command in ("PRIVMSG", "NOTICE", "QUIT")):
        safe[-1] = f":{safe[-1]}"
    return " ".join([command, *safe]).encode("utf-8", "replace") + b"\r\n"


def lower(name: str) -> str:
    """A nick or channel in its one spelling (rfc1459, which covers the other case mappings)."""
    return name.translate(_CASE).lower()


def without_style(text: str) -> str:
    return clean(_STYLE.sub("", text))


def room_for(target: str) -> int:
    """Bytes of words in a line to this target, so that the server cuts nothing."""
    return _LINE_BYTES - _PREFIX_BYTES - len(f"PRIVMSG {target} :".encode())


def line_parts(markdown: str, limit: int) -> Sequence[FormattedPart]:
    """The words of a text in lines of at most `limit` bytes, a few to a part. Empty: there is nothing to see in it."""
    whole = "\n".join(part.plain for part in plain_parts(markdown, 1 << 30))
    lines = [piece for line in whole.split("\n") for piece in _pieces(line.rstrip(), limit)]
    parts = ["\n".join(lines[start : start + LINES]) for start in range(0, len(lines), LINES)]
    return [FormattedPart(text=part, plain=part) for part in parts]


def _pieces(line: str, limit: int) -> list[str]:
    """A line in pieces, cut after a sentence or a word, never within a character."""
    pieces: list[str] = []
    while len(line.encode()) > limit:
        most = len(line.encode()[:limit].decode("utf-8", "ignore"))
        at = best_cut(line, most) or safe_cut(line, most) or most
        pieces.append(line[:at].rstrip())
        line = line[at:].lstrip()
    return [piece for piece in (*pieces, line) if piece.strip()]

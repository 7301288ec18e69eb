"""Server-sent events (WHATWG HTML, 9.2): how a stream of them is known, and how its bytes become events."""

import re
from typing import Final

BOM: Final = b"\xef\xbb\xbf"
_BEGINS: Final = re.compile(rb"(?:data|event|id|retry|error)?:")
_LONGEST_FIELD: Final = len(b"event:")


def tells_its_kind(first: bytes) -> bool:
    """Whether these first bytes of a body are enough to know what it is."""
    begins = first.removeprefix(BOM).lstrip()
    return begins[:1] in {b"{", b"[", b"<", b":"} or len(begins) >= _LONGEST_FIELD


def is_event_stream(first: bytes, content_type: str) -> bool:
    """Whether a body is a stream of events, by its first bytes: servers send streams as text/plain, application/json or application/x-ndjson, and
    JSON as text/event-stream. The type decides where the bytes do not."""
    begins = first.removeprefix(BOM).lstrip()
    if begins[:1] in {b"{", b"[", b"<"}:
        return False
    return bool(_BEGINS.match(begins)) or content_type == "text/event-stream"


class EventTooLong(Exception):
    """A line of the stream is longer than the limit."""


class EventParser:
    """Bytes in, cut anywhere; the data of each finished event out. Work is linear in the bytes, however they are cut."""

    __slots__ = ("_after_return", "_at_start", "_data", "_limit", "_size", "_tail")

    def __init__(self, *, limit: int = 4 * 1024 * 1024) -> None:
        """`limit`: bytes of the longest event. More raises EventTooLong."""
        self._limit = limit
        self._tail: list[bytes] = []
        """The unfinished line."""
        self._data: list[bytes] = []
        """The data lines of the unfinished event."""
        self._size = 0
        self._after_return = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the data of the events that they finish, several data lines joined by a newline."""
        if not chunk:
            return []
        if self._after_return:
            self._after_return = False
            return self.feed(chunk.removeprefix(b"\n"))
        self._after_return = chunk.endswith(b"\r")
        if b"\n" not in chunk and b"\r" not in chunk:
            self._keep(chunk)
            return []
        if self._tail:
            chunk = b"".join([*self._tail, chunk])
            self._tail.clear()
        lines = chunk.splitlines()
        rest = b"" if chunk.endswith((b"\n", b"\r")) else lines.pop()
        self._size = sum(map(len, self._data))
        events = self._take(lines)
        if rest:
            self._keep(rest)
        return events

    def close(self) -> list[bytes]:
        """End the stream. An unfinished event is returned too, because some servers leave out the last empty line."""
        lines = [b"".join(self._tail), b""]
        self._tail.clear()
        return self._take(lines)

    def _keep(self, chunk: bytes) -> None:
        self._tail.append(chunk)
        self._size += len(chunk)
        if self._size > self._limit:
            raise EventTooLong

    def _take(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        for line in lines:
            if self._at_start:
                self._at_start = False
                line = line.removeprefix(BOM)
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line.startswith(b"error:"):  # of older servers of llama.cpp: what failed has a field of its own
                self._data.append(line[6:])
            elif line == b"data":
                self._data.append(b"")
            else:
                if not line:
                    self._size = 0
                    if self._data:
                        events.append(b"\n".join(self._data))
                        self._data.clear()
                continue
            self._size += len(line)
            if self._size > self._limit:
                raise EventTooLong
        return events

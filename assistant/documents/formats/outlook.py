"""Outlook messages (.msg, MS-OXMSG): sender, recipients, date, subject, the text, the names of attachments, messages attached."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from assistant.contracts.documents import ReadDocument
from assistant.documents.compound import CompoundFile
from assistant.documents.formats.html import to_markdown
from assistant.documents.formats.markdown import DocumentBuilder, clean, count, shorten
from assistant.documents.formats.rtf import RtfReader
from assistant.documents.formats.rtf_codes import encoding
from assistant.documents.formats.text import decode
from assistant.documents.protocol import MIB, ReadLimits, damaged

_WHAT = "an Outlook message"
_PROPERTIES = "__properties_version1.0"
_SUBJECT, _BODY, _HTML, _RTF = 0x0037, 0x1000, 0x1013, 0x1009
_SENDER_NAME, _SENDER_ADDRESSES = 0x0C1A, (0x5D01, 0x5D02, 0x0C1F)
_RECIPIENT_NAME, _RECIPIENT_ADDRESSES, _RECIPIENT_KIND = 0x3001, (0x39FE, 0x3003), 0x0C15
_SHOWN_RECIPIENTS = {"To": 0x0E04, "Cc": 0x0E03}
_DATES = (0x0039, 0x0E06, 0x3007)
_CODE_PAGES = (0x3FFD, 0x3FDE)
_FILE_NAMES = (0x3707, 0x3704, 0x3001)
_ATTACHED_MESSAGE = "__substg1.0_3701000D"
_KINDS = {1: "To", 2: "Cc", 3: "Bcc"}
_DEEPEST = 4
_MAX_ITEMS = 500
_RTF_START = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArial"
    b"Times New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
"""What the dictionary of compressed RTF begins with (MS-OXRTFCP 2.1.2.1)."""
_MOST_RTF = 32 * MIB
_Path = tuple[str, ...]


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    container = CompoundFile(data)
    if not container.is_readable or container.is_cut_off:
        raise damaged(_WHAT)
    builder = DocumentBuilder(limits.text_chars)
    attached = _Message(container, ()).write(builder, _DEEPEST)
    return builder.finish(name, facts=("1 message", count(attached, "attached file")))


class _Message:
    """One message: the file's own, or one attached to it."""

    def __init__(self, container: CompoundFile, path: _Path) -> None:
        self._container, self._path = container, path
        # the header before the properties: 32 bytes for the file's own message, 24 for one within
        self._numbers = _read_numbers(self._stream(_PROPERTIES), 24 if path else 32)
        self._encoding = next((encoding(page) for key in _CODE_PAGES if (page := self._numbers.get(key))), "cp1252")
        self._folders = sorted(container.storages(*path))

    def write(self, builder: DocumentBuilder, depth: int) -> int:
        """Adds the message; how many files are attached."""
        builder.add("\n".join(self._head()))
        for block in self._body():
            builder.add(block)
        names: list[str] = []
        inner: list[_Path] = []
        for folder in self._items("__attach"):
            if self._container.has(*self._path, folder, _ATTACHED_MESSAGE):
                inner.append((*self._path, folder, _ATTACHED_MESSAGE))
                continue
            known = (self._string(key, folder) for key in _FILE_NAMES)
            names.append(shorten(clean(next(filter(None, known), "unnamed"))))
        if names:
            builder.add(f"Attached files (not read): {', '.join(names)}")
        for path in inner:
            builder.add("Attached message:")
            if depth:
                _Message(self._container, path).write(builder, depth - 1)
        return len(names) + len(inner)

    def _items(self, start: str) -> Iterator[str]:
        yield from [folder for folder in self._folders if folder.startswith(start)][:_MAX_ITEMS]

    def _head(self) -> Iterator[str]:
        name = self._string(_SENDER_NAME)
        address = next((found for key in _SENDER_ADDRESSES if "@" in (found := self._string(key))), "")
        if name or address:
            yield f"From: {_person(name, address)}"
        recipients = self._recipients()
        for kind in _KINDS.values():
            shown = ", ".join(recipients.get(kind, ())) or (self._string(_SHOWN_RECIPIENTS[kind]) if kind in _SHOWN_RECIPIENTS else "")
            if shown:
                yield f"{kind}: {' '.join(shown.split())}"
        if moment := next((when for key in _DATES if (when := self._numbers.get(key))), 0):
            yield f"Date: {_date(moment)}"
        yield f"Subject: {' '.join(self._string(_SUBJECT).split())}"

    def _recipients(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for folder in self._items("__recip"):
            numbers = _read_numbers(self._stream(folder, _PROPERTIES), 8)
            address = next((text for key in _RECIPIENT_ADDRESSES if "@" in (text := self._string(key, folder))), "")
            words = _person(self._string(_RECIPIENT_NAME, folder), address)
            if words:
                found.setdefault(_KINDS.get(numbers.get(_RECIPIENT_KIND, 1), "To"), []).append(words)
        return found

    def _body(self) -> list[str]:
        """The text; from the web page where it has a table, or where there is nothing else."""
        plain = self._string(_BODY)
        page = self._stream(f"__substg1.0_{_HTML:04X}0102")
        words = decode(page) if page else self._string(_HTML)
        if words.strip() and (not plain.strip() or "<table" in words.lower()):
            return to_markdown(words)
        if plain.strip():
            return [plain]
        packed = self._stream(f"__substg1.0_{_RTF:04X}0102")
        reader = RtfReader()
        reader.read(unpack_rtf(packed) if packed else b"")
        return reader.body.finish()

    def _string(self, key: int, *folder: str) -> str:
        """A property that is text; "" where it is missing."""
        wide = self._stream(*folder, f"__substg1.0_{key:04X}001F")
        if wide:
            return wide.decode("utf-16-le", "replace").rstrip("\x00")
        return self._stream(*folder, f"__substg1.0_{key:04X}001E").decode(self._encoding, "replace").rstrip("\x00")

    def _stream(self, *name: str) -> bytes:
        return self._container.read(*self._path, *name)


def _read_numbers(data: bytes, start: int) -> dict[int, int]:
    """Whole numbers and times among the properties of fixed size (MS-OXMSG 2.4.2), by their key."""
    found: dict[int, int] = {}
    for place in range(start, len(data) - 15, 16):
        kind, key = struct.unpack_from("<HH", data, place)
        if kind in {0x0003, 0x0040}:
            found[key] = struct.unpack_from("<I" if kind == 0x0003 else "<Q", data, place + 8)[0]
    return found


def _person(name: str, address: str) -> str:
    name, address = " ".join(name.split()), address.strip()
    return f"{name} <{address}>" if name and address and name != address else name or address


def _date(moment: int) -> str:
    """A time in tenths of microseconds since 1601."""
    try:
        return (datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment // 10)).strftime("%Y-%m-%d %H:%M UTC")
    except OverflowError:
        return "unknown"


def unpack_rtf(data: bytes) -> bytes:
    """Compressed RTF (MS-OXRTFCP), unpacked. Raises FileRefused for what is none."""
    if len(data) < 16:
        raise damaged(_WHAT)
    size, kind = struct.unpack_from("<I4s", data, 4)
    if kind == b"MELA":
        return data[16 : 16 + size]
    if kind != b"LZFu":
        raise damaged(_WHAT)
    window, out = bytearray(_RTF_START.ljust(4096, b"\0")), bytearray()
    place, write = 16, len(_RTF_START)
    while place < len(data) and len(out) < min(size, _MOST_RTF):
        control = data[place]
        place += 1
        for bit in range(8):
            if control >> bit & 1:
                pair = int.from_bytes(data[place : place + 2], "big")
                place += 2
                offset, length = pair >> 4, (pair & 15) + 2
                if offset == write or place > len(data):
                    return bytes(out)
                for index in range(length):
                    window[write] = window[(offset + index) % 4096]
                    out.append(window[write])
                    write = (write + 1) % 4096
            elif place < len(data):
                window[write] = data[place]
                out.append(data[place])
                write = (write + 1) % 4096
                place += 1
    return bytes(out)

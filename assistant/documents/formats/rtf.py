"""RTF: paragraphs, headings, tables, links, notes, headers and footers, text boxes, form fields."""

import re
from dataclasses import dataclass, field, replace

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder
from assistant.documents.formats.rtf_codes import (
    BREAKS,
    CHARSETS,
    DOCUMENT_ENCODINGS,
    ENTERED,
    FOOTERS,
    FORMATTING,
    HEADERS,
    SKIPPED,
    SYMBOLS,
    WORDS,
    encoding,
)
from assistant.documents.formats.rtf_flow import RtfFlow
from assistant.documents.protocol import FileRefused, ReadLimits

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n\x00]+|([^\\{}\r\n\x00]+)|\\", re.DOTALL
)
_HYPERLINK = re.compile(r'\s*HYPERLINK\s+(?:\\l\s+)?"?([^"\s]+)"?(?:\s+\\l\s+"([^"]+)")?')
_DEEPEST = 5_000
_OWN_FLOW = frozenset({"footnote", "annotation", "shptxt", "fldinst", "atnauthor", "ffl"}) | HEADERS | FOOTERS
"""Destinations whose words stand elsewhere than where they are written."""
_BULLETS = re.compile(r"[\u00b7\u2022\u25cf\u25aa\u25a0\u25cb\uf000-\uf0ffo§\-–]")


@dataclass(slots=True)
class _Group:
    """What holds until the group ends."""

    sink: "RtfFlow"
    name: str = ""
    """The destination that began in this group."""
    silent: bool = False
    fallback: int = 1
    """Characters behind a `\\u` that stand for it (`\\uc`)."""
    font: int = -1
    hidden: bool = False
    start: int = 0
    """Index in the line where the group's words begin."""


@dataclass(slots=True)
class _Form:
    """A form's field: its kind, its result and the entries to choose from."""

    kind: int = -1
    result: int = 0
    default: int = 0
    entries: list[str] = field(default_factory=list[str])

    def value(self) -> str:
        chosen = self.default if self.result == 25 else self.result
        if self.kind == 1:
            return "[x]" if chosen else "[ ]"
        return self.entries[chosen] if self.kind == 2 and 0 <= chosen < len(self.entries) else ""


class RtfReader:
    """Reads a document once from its start, group by group."""

    def __init__(self) -> None:
        self.body = RtfFlow()
        self.headers: list[str] = []
        self.footers: list[str] = []
        self.notes: list[str] = []
        self.comments: list[str] = []
        self._groups = [_Group(self.body)]
        self._encoding = "cp1252"
        self._fonts: dict[int, str] = {}
        self._levels: dict[int, int] = {}
        self._default_font = -1
        self._bytes = bytearray()
        self._skip = 0
        self._optional = False
        """Behind `\\*`."""
        self._opened = False
        """Right behind the start of a group."""
        self._instructions: list[str] = []
        self._forms: list[_Form] = []
        self._author = ""
        self._style = -1

    def read(self, data: bytes) -> None:
        position, end, match_at = 0, len(data), _TOKEN.match
        while position < end and (match := match_at(data, position)):
            position = match.end()
            word, number, code, symbol, brace, text = match.groups()
            if text is not None:
                self._text(text)
            elif word is not None:
                if word == b"bin":
                    position += max(0, int(number or 0))
                else:
                    self._word(word.decode(), None if number is None else int(number))
            elif code is not None:
                self._text(bytes((int(code, 16),)))
            elif brace is not None:
                self._flush()
                self._skip = 0
                self._open() if brace == b"{" else self._close()
                continue
            elif symbol is not None:
                self._symbol(symbol.decode("latin-1"))
                continue
            else:
                continue  # ends of lines mean nothing
            self._opened = self._optional = False
        self._flush()

    def _open(self) -> None:
        if len(self._groups) >= _DEEPEST:
            raise FileRefused("is nested too deeply to read.")
        group = self._groups[-1]
        self._groups.append(replace(group, name="", start=len(group.sink.line)))
        self._opened, self._optional = True, False

    def _close(self) -> None:
        if len(self._groups) > 1:
            done = self._groups.pop()
            if done.name:
                self._end(done, self._groups[-1])
        self._opened = self._optional = False

    def _text(self, data: bytes) -> None:
        if self._skip:
            used = min(self._skip, len(data))
            self._skip -= used
            data = data[used:]
        group = self._groups[-1]
        if data and not group.silent and not group.hidden:
            self._bytes += data

    def _flush(self) -> None:
        if self._bytes:
            group = self._groups[-1]
            group.sink.line.append(self._bytes.decode(self._fonts.get(group.font, self._encoding), "replace"))
            self._bytes.clear()

    def _write(self, text: str) -> None:
        group = self._groups[-1]
        if text and not group.silent and not group.hidden:
            self._flush()
            group.sink.line.append(text)

    def _symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._optional = self._opened
            return
        self._opened = self._optional = False
        if self._skip:
            self._skip -= 1
        elif symbol in "\r\n":
            self._word("par", None)
        else:
            self._write(SYMBOLS.get(symbol, ""))

    def _word(self, word: str, number: int | None) -> None:
        if self._skip and word != "u":
            self._skip -= 1
            return
        group = self._groups[-1]
        if word == "u":
            self._skip = group.fallback
            self._write(chr(number if number and 0xFFFF < number <= 0x10FFFF else (number or 0) % 0x10000))
        elif word in WORDS:
            self._write(WORDS[word])
        elif self._destination(group, word):
            self._flush()
        elif group.silent:
            self._definition(group, word, number)
        else:
            self._flush()
            self._property(group, word, number)

    def _destination(self, group: _Group, word: str) -> bool:
        """Whether the word begins a destination, which then is entered or skipped."""
        if not self._opened:
            return False
        if word in _OWN_FLOW:
            return (group.silent and word not in {"shptxt", "ffl"}) or self._begin(group, word, RtfFlow())
        if word in {"fonttbl", "stylesheet", "upr", "formfield", "pict"} or word in SKIPPED:
            if word == "pict" and not group.silent:
                self._write("[Picture]")
            group.name, group.silent = word, True
        elif word == "ud":
            group.name, group.silent = word, False
        elif word in {"field", "fldrslt", "listtext", "pntext"}:
            group.name, group.start = word, len(group.sink.line)
            if word == "field":
                self._instructions.append("")
                self._forms.append(_Form())
        elif self._optional and word not in ENTERED and word not in FORMATTING:
            group.silent = True
        else:
            return False
        return True

    def _begin(self, group: _Group, word: str, sink: RtfFlow) -> bool:
        if word == "footnote":
            self.notes.append("")
            group.sink.line.append(f"[^{len(self.notes)}]")
            group.start = len(self.notes) - 1
        group.name, group.sink, group.silent, group.hidden = word, sink, False, False
        return True

    def _definition(self, group: _Group, word: str, number: int | None) -> None:
        """Fonts, styles and form fields, which are defined in groups without words of the document."""
        names = {one.name for one in self._groups[-4:]}
        if "fonttbl" in names:
            if word == "f":
                group.font = number or 0
            elif word == "fcharset" and number in CHARSETS:
                self._fonts[group.font] = CHARSETS[number]
            elif word == "cpg" and number:
                self._fonts[group.font] = encoding(number)
        elif "stylesheet" in names:
            if word == "s":
                self._style = number or 0
            elif word == "outlinelevel" and number is not None and 0 <= number < 9:
                self._levels[self._style] = number + 1
        elif "formfield" in names and self._forms:
            form = self._forms[-1]
            match word:
                case "fftype":
                    form.kind = number or 0
                case "ffres":
                    form.result = number or 0
                case "ffdefres":
                    form.default = number or 0
                case _:
                    pass

    def _property(self, group: _Group, word: str, number: int | None) -> None:
        sink = group.sink
        match word:
            case "uc":
                group.fallback = max(0, min(number or 0, 20))
            case "f":
                group.font = number or 0
            case "plain":
                group.font, group.hidden = self._default_font, False
            case "deff":
                self._default_font = group.font = number or 0
            case "v":
                group.hidden = number != 0
            case "ansicpg":
                self._encoding = encoding(number or 0)
            case "ansi" | "mac" | "pc" | "pca":
                self._encoding = DOCUMENT_ENCODINGS[word]
            case "trowd":
                sink.in_table = True
            case "pard":
                sink.in_table, sink.level = False, 0
            case "intbl":
                sink.in_table = True
            case "s":
                sink.level = self._levels.get(number or 0, 0)
            case "outlinelevel":
                sink.level = number + 1 if number is not None and 0 <= number < 9 else 0
            case "cell" | "nestcell":
                sink.end_cell(nested=word == "nestcell")
            case "row" | "nestrow":
                sink.end_row(nested=word == "nestrow")
            case _ if word in BREAKS:
                sink.end_paragraph()
            case _:
                pass

    def _end(self, group: _Group, outer: _Group) -> None:
        """A destination has ended: its words go where they belong."""
        words = "\n".join(group.sink.finish()) if group.name in _OWN_FLOW else ""
        match group.name:
            case "footnote":
                self.notes[group.start] = words
            case "shptxt":
                outer_flow = next((one.sink for one in reversed(self._groups) if one.name != "shptxt"), self.body)
                outer_flow.boxes += [words] if words else []
            case "annotation":
                self.comments.append(f"- Comment{f' by {self._author}' if self._author else ''}: {' '.join(words.split())}")
            case "atnauthor":
                self._author = " ".join(words.split())
            case "fldinst" if self._instructions:
                self._instructions[-1] += words
            case "ffl" if self._forms:
                self._forms[-1].entries.append(words)
            case "fldrslt":
                self._link(group)
            case "field":
                self._end_field(group)
            case "listtext" | "pntext":
                label = "".join(group.sink.line[group.start :]).strip()
                group.sink.line[group.start :] = [f"{'-' if _BULLETS.fullmatch(label) else label} " if label else ""]
            case name if name in HEADERS and words not in self.headers:
                self.headers.append(words)
            case name if name in FOOTERS and words not in self.footers:
                self.footers.append(words)
            case _:
                pass

    def _link(self, group: _Group) -> None:
        match = _HYPERLINK.match(self._instructions[-1]) if self._instructions else None
        words = "".join(group.sink.line[group.start :])
        if match and words.strip() and "HYPERLINK \\l" not in self._instructions[-1]:
            group.sink.line[group.start :] = [f"[{words.strip()}]({match[1]}{f'#{match[2]}' if match[2] else ''})"]

    def _end_field(self, group: _Group) -> None:
        instruction = self._instructions.pop() if self._instructions else ""
        form = self._forms.pop() if self._forms else None
        if form is None or "FORM" not in instruction:
            return
        value, shown = form.value(), "".join(group.sink.line[group.start :]).strip()
        if value and (form.kind == 1 or not shown):
            group.sink.line.append(value)


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    """Headers, body with its text boxes, footers, notes, comments."""
    reader = RtfReader()
    reader.read(data)
    builder = DocumentBuilder(limits.text_chars)
    for words in filter(None, reader.headers):
        builder.add(f"Header: {words}")
    for block in reader.body.finish():
        builder.add(block)
    for words in filter(None, reader.footers):
        builder.add(f"Footer: {words}")
    for number, words in enumerate(reader.notes, start=1):
        builder.add(f"[^{number}]: {words}" if words else "")
    builder.add("\n".join(reader.comments))
    builder.split_at_headings()
    return builder.finish(name)

"""Building a document's Markdown: clean characters, tables, sections by offset, at most `limit` characters."""

import re
from collections.abc import Iterable, Sequence

from assistant.contracts.documents import ReadDocument, Section

_DROPPED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_BREAKS = re.compile("[\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = bytes({*range(32), 127} - {*b"\t\n"})
_UNWANTED = tuple(
    map(re.compile, (rb"\xc2[\x80-\x9f]", rb"\xe2\x80[\xa8\xa9]", rb"\xed[\xa0-\xbf]", rb"\xef(?:\xb7[\x90-\xaf]|\xbf[\xbe\xbf])"))
)
"""What `_DROPPED` and `_BREAKS` match beyond ASCII, in UTF-8: each begins with a byte of its own, which is found at once."""
_PIECE = 1 << 18
"""Characters that are looked at together: their copy in UTF-8 stays small."""
_HEADING = re.compile(r"^#{1,2} +(.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)")
NOTHING = "(No text was found in this file.)"
_MOST_SECTIONS = 2_000
_LONGEST_LABEL = 120
_MOST_EVEN = 2_000_000
"""Cells of a table up to which its rows are filled up to one width."""


def clean(text: str) -> str:
    """The text with "\n" for every kind of line break, without other control characters (except tabs), lone surrogates and noncharacters."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if all(map(_is_clean, _pieces(text))):
        return text
    return "".join([piece if _is_clean(piece) else _DROPPED.sub("", _BREAKS.sub("\n", piece)) for piece in _pieces(text)])


def _pieces(text: str) -> Iterable[str]:
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def _is_clean(piece: str) -> bool:
    """Whether text without "\r" has nothing to take out, as nearly all has: its bytes show that in a fifth of the time that the expressions take."""
    data = piece.encode("utf-8", "surrogatepass")
    return len(data.translate(None, _CONTROLS)) == len(data) and (piece.isascii() or not any(found.search(data) for found in _UNWANTED))


def count(number: int, noun: str) -> str:
    """A number in words: "1 page", "1,204 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shorten(label: str) -> str:
    """A label on one line, cut where it is long."""
    line = " ".join(label.split())
    return line if len(line) <= _LONGEST_LABEL else f"{line[: _LONGEST_LABEL - 1]}…"


def cell(text: str) -> str:
    """A cell's text on one line: line breaks become <br>, bars are escaped."""
    if "\n" not in text and "\r" not in text:
        return text.strip().replace("|", "\\|")
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    return "<br>".join(line for line in lines if line).replace("|", "\\|")


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of unescaped texts, the first row as its header. Empty rows and trailing empty columns are dropped."""
    kept = [[cell(text) for text in line] for line in rows]
    kept = [line for line in kept if any(line)]
    width = max((max(index + 1 for index, text in enumerate(line) if text) for line in kept), default=0)
    if not width:
        return ""
    even = width * len(kept) <= _MOST_EVEN
    full = [[*line[:width], *[""] * (width - len(line) if even else 0)] for line in kept]
    return "\n".join([row(full[0]), row(["---"] * width), *(row(line) for line in full[1:])])


class DocumentBuilder:
    """Joins blocks of text with blank lines and records where sections begin."""

    def __init__(self, limit: int) -> None:
        """`limit`: characters."""
        self._limit = limit
        self._blocks: list[str] = []
        self._size = 0
        self._sections: list[Section] = []
        self._labels: set[str] = set()
        self.full = False
        """The limit is reached: further blocks are ignored."""

    @property
    def room(self) -> int:
        """Characters that may still be added."""
        return max(0, self._limit - self._size)

    def begin(self, label: str) -> None:
        """Starts a section at the next block; a repeated label gets a number."""
        if self.full or len(self._sections) >= _MOST_SECTIONS:
            return
        short = base = shorten(clean(label)) or "untitled"
        number = 2
        while short in self._labels:
            short, number = f"{base} ({number})", number + 1
        self._labels.add(short)
        self._sections.append(Section(label=short, start=self._size))

    def add(self, block: str) -> None:
        """Appends a block; an empty one is ignored."""
        text = clean(block).strip("\n")
        if self.full or not text or text.isspace():
            return
        if self._size + len(text) > self._limit:
            text = text[: max(0, self._limit - self._size)]
            self.full = True
        self._blocks.append(text)
        self._size += len(text) + 2

    def split_at_headings(self) -> None:
        """Starts a section at every heading of level 1 or 2."""
        offset = 0
        for block in self._blocks:
            for heading in _HEADING.finditer(block) if "#" in block else ():
                self._size = offset + heading.start()
                full, self.full = self.full, False
                self.begin(_LINK.sub(r"\1", heading[1]))
                self.full = full
            offset += len(block) + 2
        self._size = offset

    def finish(self, name: str, *, facts: tuple[str, ...] = (), missing: str = "") -> ReadDocument:
        """The document. `facts` default to the number of words."""
        words = "\n\n".join(self._blocks)
        text = words or NOTHING
        if self.full:
            cut = f"everything after the first {self._limit:,} characters of text"
            missing = f"{missing}; {cut}" if missing else cut
        sections = tuple(section for section in self._sections if section.start <= len(text))
        return ReadDocument(format=name, text=text, sections=sections, facts=facts or (self._count_words(),), missing=missing)

    def _count_words(self) -> str:
        return count(sum(len(block.split()) for block in self._blocks), "word")

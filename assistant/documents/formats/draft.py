"""A document's text while it is being put together: clean characters, sections by offset, never more than the limit."""

import re

from assistant.contracts.documents import ReadDocument, Section

_FOREIGN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_HEADING = re.compile(r"^#{1,2} +(.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)")
_MOST_SECTIONS = 2_000
_LONGEST_LABEL = 120


def clean(text: str) -> str:
    """The text with line feeds for every kind of line break, and without what no terminal, database or model should meet.

    Control characters, lone surrogates and noncharacters are dropped; tabs and line feeds stay.
    """
    return _FOREIGN.sub("", _BREAKS.sub("\n", text))


def count(number: int, noun: str) -> str:
    """A number in words: "1 page", "1,204 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def count_words(text: str) -> str:
    return count(len(text.split()), "word")


def shorten(label: str) -> str:
    """A label on one line, cut where it is long."""
    line = " ".join(label.split())
    return line if len(line) <= _LONGEST_LABEL else f"{line[: _LONGEST_LABEL - 1]}…"


class Draft:
    """Collects blocks of text, which a blank line sets apart, and remembers where the sections begin."""

    def __init__(self, limit: int) -> None:
        """`limit`: characters."""
        self._limit = limit
        self._blocks: list[str] = []
        self._size = 0
        self._sections: list[Section] = []
        self._labels: set[str] = set()
        self.full = False
        """Nothing more is taken: whoever fills the draft may stop."""

    def begin(self, label: str) -> None:
        """A section starts with the next block."""
        if self.full or len(self._sections) >= _MOST_SECTIONS:
            return
        short = base = shorten(clean(label)) or "untitled"
        number = 2
        while short in self._labels:
            short, number = f"{base} ({number})", number + 1
        self._labels.add(short)
        self._sections.append(Section(label=short, start=self._size))

    def add(self, block: str) -> None:
        """Adds a block; an empty one leaves no trace."""
        text = clean(block).strip("\n")
        if self.full or not text.strip():
            return
        if self._size + len(text) > self._limit:
            text = text[: max(0, self._limit - self._size)]
            self.full = True
        self._blocks.append(text)
        self._size += len(text) + 2

    def divide(self) -> None:
        """Makes a section of every chapter: of the headings of the two upper levels."""
        offset = 0
        for block in self._blocks:
            for heading in _HEADING.finditer(block):
                self._size = offset + heading.start()
                full, self.full = self.full, False
                self.begin(_LINK.sub(r"\1", heading[1]))
                self.full = full
            offset += len(block) + 2
        self._size = offset

    def finish(self, name: str, *, facts: tuple[str, ...] = (), missing: str = "") -> ReadDocument:
        """The document. Without `facts`, its words are counted."""
        text = "\n\n".join(self._blocks)
        if self.full:
            cut = f"everything after the first {self._limit:,} characters of text"
            missing = f"{missing}; {cut}" if missing else cut
        sections = tuple(section for section in self._sections if section.start <= len(text))
        return ReadDocument(format=name, text=text, sections=sections, facts=facts or (count_words(text),), missing=missing)

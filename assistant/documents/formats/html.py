"""Web pages as Markdown: headings, lists, tables, links; scripts and styles left out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.draft import Draft
from assistant.documents.formats.tables import table
from assistant.documents.formats.text import decode
from assistant.documents.limits import Limits

_SKIPPED = frozenset({"script", "style", "template", "svg", "head", "noscript", "iframe", "object", "canvas", "select"})
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
        "caption",
    ]
)
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")
_ITEM = re.compile(r" *(?:-|\d+\.) ")
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_DEEPEST_LIST = 12
_DEEPEST_TABLE = 8


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    draft = Draft(limits.text_chars)
    for block in to_markdown(_decode(data)):
        draft.add(block)
    draft.divide()
    return draft.finish(name)


def to_markdown(page: str) -> list[str]:
    """The blocks of a page."""
    reader = _Page()
    reader.feed(page)
    reader.close()
    return _tighten(reader.finish())


def _tighten(blocks: list[str]) -> list[str]:
    """The items of a list joined without blank lines."""
    joined: list[str] = []
    for block in blocks:
        if _ITEM.match(block) and joined and _ITEM.match(joined[-1]):
            joined[-1] += f"\n{block}"
        else:
            joined.append(block)
    return joined


def _decode(data: bytes) -> str:
    declared = _CHARSET.search(data[:4096])
    if declared and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode(declared[1].decode().lower())
        except (LookupError, UnicodeDecodeError, UnicodeError):
            return decode(data)
    return decode(data)


@dataclass(slots=True)
class _Table:
    rows: list[list[str]] = field(default_factory=list[list[str]])
    outer: list[str] = field(default_factory=list[str])
    """The blocks around it, to return to."""


class _Page(HTMLParser):
    """Gathers inline text until a block ends. Never fails on broken markup: whatever is open at the end is closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._blocks: list[str] = []
        self._line: list[str] = []
        self._skipped: list[str] = []
        self._lists: list[int | None] = []
        self._tables: list[_Table] = []
        self._links: list[tuple[str, int]] = []
        self._prefix = ""
        self._kept_spaces = 0
        self._title: list[str] | None = None
        self._starts: dict[str, Callable[[dict[str, str]], None]] = {
            "a": self._open_link,
            "br": lambda _: self._line.append("\n"),
            "img": self._show_image,
            "li": self._open_item,
            "ul": lambda _: self._open_list(None),
            "ol": lambda found: self._open_list(int(found["start"]) if found.get("start", "").isdecimal() else 1),
            "table": lambda _: self._open_table(),
            "tr": lambda _: self._tables[-1].rows.append([]) if self._tables else None,
            "pre": lambda _: self._open_pre(),
        }
        self._ends: dict[str, Callable[[], None]] = {
            "a": self._close_link,
            "ul": self._close_list,
            "ol": self._close_list,
            "td": self._close_cell,
            "th": self._close_cell,
            "table": self._close_table,
            "pre": self._close_pre,
        }

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._title = []
        if tag == "body":
            self._skipped.clear()  # a head that was never closed
        if self._skipped:
            if tag == self._skipped[-1]:
                self._skipped.append(tag)
            return
        if tag in _SKIPPED:
            self._skipped.append(tag)
            return
        if tag in _BLOCKS:
            self._flush()
        if tag in _HEADINGS:
            self._prefix = f"{_HEADINGS[tag]} "
        if tag in self._starts:
            self._starts[tag]({key: value or "" for key, value in attrs})

    def handle_endtag(self, tag: str) -> None:
        if tag == "title" and self._title is not None:
            if title := _SPACE.sub(" ", "".join(self._title)).strip():
                self._blocks.append(f"Title: {title}")
            self._title = None
        if self._skipped:
            if tag == self._skipped[-1]:
                self._skipped.pop()
            return
        if tag in {"td", "th", "table", "pre"}:
            self._ends[tag]()
            return
        if tag in _BLOCKS:
            self._flush()
        if tag in self._ends:
            self._ends[tag]()

    def handle_data(self, data: str) -> None:
        if self._title is not None:
            self._title.append(data)
        elif not self._skipped:
            self._line.append(data if self._kept_spaces else _SPACE.sub(" ", data))

    def finish(self) -> list[str]:
        self._flush()
        while self._tables:
            self._close_table()
        return self._blocks

    def _flush(self) -> None:
        while self._links:
            self._close_link()
        text = "".join(self._line)
        self._line.clear()
        if not self._kept_spaces:
            text = "\n".join(line.strip() for line in re.sub(" {2,}", " ", text).split("\n")).strip()
        if text.strip():
            indent = " " * (len(self._prefix) - len(self._prefix.lstrip())) if self._prefix.lstrip()[:1] != "#" else ""
            self._blocks.append(self._prefix + text.replace("\n", f"\n{indent}" if indent else "\n"))
            self._prefix = ""
        elif self._prefix.startswith("#"):
            self._prefix = ""

    def _open_link(self, found: dict[str, str]) -> None:
        self._links.append((found.get("href", ""), len(self._line)))

    def _close_link(self) -> None:
        if not self._links:
            return
        address, start = self._links.pop()
        words = "".join(self._line[start:])
        if words.strip() and address.lower().startswith(("http:", "https:", "mailto:")):
            self._line[start:] = [f"[{words.strip()}]({address})"]

    def _show_image(self, found: dict[str, str]) -> None:
        if words := found.get("alt", "").strip():
            self._line.append(f"[Picture: {_SPACE.sub(' ', words)}]")

    def _open_list(self, start: int | None) -> None:
        self._lists.append(start)

    def _close_list(self) -> None:
        if self._lists:
            self._lists.pop()
        self._prefix = ""

    def _open_item(self, _: dict[str, str]) -> None:
        indent = "  " * min(max(0, len(self._lists) - 1), _DEEPEST_LIST)
        number = self._lists[-1] if self._lists else None
        self._prefix = f"{indent}- " if number is None else f"{indent}{number}. "
        if number is not None:
            self._lists[-1] = number + 1

    def _open_table(self) -> None:
        if len(self._tables) < _DEEPEST_TABLE:
            self._tables.append(_Table(outer=self._blocks))
            self._blocks = []

    def _close_cell(self) -> None:
        self._flush()
        if self._tables:
            rows = self._tables[-1].rows
            if not rows:
                rows.append([])
            rows[-1].append("\n".join(self._blocks))
            self._blocks = []

    def _close_table(self) -> None:
        self._flush()
        if not self._tables:
            return
        done = self._tables.pop()
        loose, self._blocks = self._blocks, done.outer
        self._blocks += loose
        if self._tables:  # a table within a cell: its rows become lines of the cell
            self._blocks += [" ; ".join(filter(None, cells)) for cells in done.rows]
        elif max((len(cells) for cells in done.rows), default=0) <= 1:  # a table that only lays out the page
            self._blocks += [text for cells in done.rows for text in cells]
        elif text := table(done.rows):
            self._blocks.append(text)

    def _open_pre(self) -> None:
        self._kept_spaces += 1

    def _close_pre(self) -> None:
        text = "".join(self._line).strip("\n")
        self._line.clear()
        self._kept_spaces = max(0, self._kept_spaces - 1)
        if text.strip():
            self._blocks.append(f"```\n{text}\n```")

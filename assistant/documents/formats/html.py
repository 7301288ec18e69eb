"""Web pages as Markdown: headings, lists, tables, links; without scripts, styles and what the page hides.

Hidden is an element with the attribute `hidden` (unless "until-found") or an inline style `display: none`, `visibility: hidden` or
`mso-hide: all`. Styles from elsewhere are not known here.
"""

# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (lxml declares no types.)

import re
from collections.abc import Mapping
from itertools import groupby
from typing import cast

from lxml import etree

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.html_tables import HtmlTable, SpanBudget
from assistant.documents.formats.markdown import DocumentBuilder, table
from assistant.documents.formats.text import decode, decode_as
from assistant.documents.protocol import ReadLimits

_SKIPPED = re.compile("script|style|template|svg|noscript|iframe|object|canvas|select")
_BLOCKS = re.compile(
    "address|article|aside|blockquote|body|caption|center|d[dlt]|details|dialog|div|fieldset|figcaption|figure|footer|form|h[1-6]|head|header|"
    "hr|html|li|main|nav|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_PREFIXES = {"title": "Title: ", **{f"h{level}": f"{'#' * level} " for level in range(1, 7)}}
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")
_ITEM = re.compile(r" *(?:-|\d+\.) ")
_CHARSET = re.compile(rb"<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_HIDING = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all)", re.IGNORECASE)
_MAX_INDENT = 12


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    builder = DocumentBuilder(limits.text_chars)
    for block in read_page(data):
        builder.add(block)
    builder.split_at_headings()
    return builder.finish(name)


def read_page(data: bytes) -> list[str]:
    """The blocks of a page in the encoding that it declares, else in what its bytes resemble."""
    return to_markdown(page_text(data))


def page_text(data: bytes) -> str:
    """The source of a page, decoded likewise."""
    declared = _CHARSET.search(data[:4096])
    return decode_as(data, declared[1].decode()) if declared else decode(data)


def to_markdown(page: str) -> list[str]:
    """The blocks of a page, the items of a list as one block."""
    parser = etree.HTMLParser(target=_MarkdownTarget(), encoding="utf-8", huge_tree=True)
    parser.feed(page.replace("\0", "").encode("utf-8", "replace"))
    blocks: list[str] = []
    for are_items, group in groupby(cast("list[str]", parser.close()), lambda block: _ITEM.match(block) is not None):
        found = list(group)
        blocks += ["\n".join(found)] if are_items else found
    return blocks


class _MarkdownTarget:
    """Receives start tags, end tags and text from lxml, which closes every tag. Collects inline text until a block starts or ends."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._line: list[str] = []
        self._prefix = ""
        self._skipped = 0
        self._pre = 0
        self._lists: list[int | None] = []
        """The number of the next item of each open list; None for bullets."""
        self._tables: list[HtmlTable] = []
        self._spans = SpanBudget()
        self._links: list[tuple[str, int] | None] = []
        """The address and the start within the line of each open link; None where a block ended it."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._skipped or _SKIPPED.fullmatch(tag) or (attributes and _is_hidden(tag, attributes)):
            self._skipped += 1
            return
        if _BLOCKS.fullmatch(tag):
            self._flush()
            self._prefix = _PREFIXES.get(tag, self._prefix)
        match tag:
            case "a":
                self._links.append((attributes.get("href", ""), len(self._line)))
            case "br":
                self._line.append("\n")
            case "img":
                if words := " ".join(attributes.get("alt", "").split()):
                    self._line.append(f"[Picture: {words}]")
            case "pre":
                self._pre += 1
            case "ul":
                self._lists.append(None)
            case "ol":
                first = attributes.get("start", "")
                self._lists.append(int(first) if first.isdecimal() and len(first) < 10 else 1)
            case "li":
                number = self._lists[-1] if self._lists else None
                self._prefix = "  " * min(max(0, len(self._lists) - 1), _MAX_INDENT) + ("- " if number is None else f"{number}. ")
                if number is not None:
                    self._lists[-1] = number + 1
            case "table":
                self._tables.append(HtmlTable(outer=self._blocks))
                self._blocks = []
            case "thead" | "tbody" | "tfoot" if self._tables:
                self._tables[-1].begin_group(foot=tag == "tfoot")
            case "tr" if self._tables:
                self._tables[-1].begin_row()
            case "td" | "th" if self._tables:
                self._tables[-1].begin_cell(attributes)
            case _:
                pass

    def end(self, tag: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        if tag == "pre":
            self._end_pre()
        if _BLOCKS.fullmatch(tag):
            self._flush()
        match tag:
            case "a":
                self._end_link(self._links.pop())
            case "ul" | "ol":
                self._lists.pop()
            case "caption" if self._tables:
                self._tables[-1].outer += self._blocks
                self._blocks = []
            case "td" | "th" if self._tables:
                self._tables[-1].end_cell("\n".join(self._blocks))
                self._blocks = []
            case "table":
                self._end_table(self._tables.pop())
            case _:
                pass
        if tag == "li" or tag in _PREFIXES:
            self._prefix = ""

    def data(self, text: str) -> None:
        if not self._skipped:
            self._line.append(text if self._pre else _SPACE.sub(" ", text))

    def close(self) -> list[str]:
        self._flush()
        return self._blocks

    def _flush(self) -> None:
        """Ends the current block."""
        for index in reversed(range(len(self._links))):
            if self._links[index] is None:
                break  # so are those before it: a page may leave thousands open
            self._end_link(self._links[index])
            self._links[index] = None
        text = "".join(self._line)
        self._line.clear()
        if not self._pre:
            text = "\n".join(line.strip() for line in re.sub(" {2,}", " ", text).split("\n")).strip()
        if text.strip():
            indent = "" if self._prefix in _PREFIXES.values() else " " * (len(self._prefix) - len(self._prefix.lstrip()))
            self._blocks.append(self._prefix + text.replace("\n", f"\n{indent}"))
            self._prefix = ""

    def _end_link(self, link: tuple[str, int] | None) -> None:
        address, start = link or ("", 0)
        words = "".join(self._line[start:]).strip() if address else ""
        if words and address.lower().startswith(("http:", "https:", "mailto:")):
            self._line[start:] = [f"[{words}]({address})"]

    def _end_pre(self) -> None:
        text = "".join(self._line).strip("\n")
        self._line.clear()
        self._pre -= 1
        if text.strip():
            self._blocks.append(f"```\n{text}\n```")

    def _end_table(self, done: HtmlTable) -> None:
        self._blocks = [*done.outer, *self._blocks]
        if self._tables:  # within a cell its rows become lines
            self._blocks += [" ; ".join(filter(None, cells)) for cells in done.texts()]
        elif done.lays_out:
            self._blocks += [text for cells in done.texts() for text in cells]
        elif text := table(done.form(self._spans)):
            self._blocks.append(text)


def _is_hidden(tag: str, attributes: Mapping[str, str]) -> bool:
    if tag in {"html", "body"}:  # hidden until a script shows it
        return False
    return attributes.get("hidden", "until-found").lower() != "until-found" or _HIDING.search(attributes.get("style", "")) is not None

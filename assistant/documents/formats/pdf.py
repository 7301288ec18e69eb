"""PDF: the text of every page, in the order that pdfium finds it, and what hangs on the page: links, notes, form fields."""

# pyright: basic
# (pdfium's binding is generated from C and has no types.)

import re
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import pypdfium2
from pypdfium2 import raw

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.draft import Draft, clean, count, shorten
from assistant.documents.formats.hyphens import join_lines
from assistant.documents.formats.pdf_marks import read_marks
from assistant.documents.limits import Limits
from assistant.documents.refusals import Refused, encrypted

_BLANK = "(This page holds no text. It may be a picture, such as a scan.)"
_MOST_OUTLINE = 300
_UNSAID = frozenset({"", "untitled", "anonymous", "unspecified"})
"""What programs write where nobody said anything."""
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


class _Lenient(Protocol):
    def read_leniently(self, data: bytes, limits: Limits) -> ReadDocument: ...

    def read_pages(self, data: bytes, indexes: list[int]) -> dict[int, str]: ...


@dataclass(frozen=True, slots=True)
class _Page:
    text: str
    marks: str
    doubtful: bool = False
    """Better read by the other reader."""


_DAMAGED = _Page("", "(This page is damaged.)")


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    """The pages up to the limit; the rest is named as missing. What pdfium refuses, pypdf may still read."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise encrypted() from error
        return _lenient().read_leniently(data, limits)
    total = len(document)
    read_to = check_pages(total, limits)
    document.init_forms()
    pages: list[_Page] = []
    size = 0
    for index in range(read_to):
        pages.append(_read_page(document, index))
        size += len(pages[-1].text) + len(pages[-1].marks)
        if size > limits.text_chars:
            break
    texts = [page.text for page in pages]
    if doubtful := [index for index, page in enumerate(pages) if page.doubtful]:
        for index, text in _lenient().read_pages(data, doubtful).items():
            texts[index] = text
    return compose(join_lines(texts), [page.marks for page in pages], total, limits, head=_read_head(document))


def check_pages(total: int, limits: Limits) -> int:
    """How many pages are read. Raises Refused where there are far too many."""
    if total > limits.pdf_pages_refused:
        raise Refused(
            f"has {total:,} pages; more than {limits.pdf_pages_refused:,} are not read (documents.pdfPagesRefused). Send the pages that matter.",
            "too_large",
        )
    return min(total, limits.pdf_pages)


def compose(texts: list[str], marks: list[str], total: int, limits: Limits, *, head: str = "") -> ReadDocument:
    """The document made of its pages' texts, each under a mark with its number."""
    draft = Draft(limits.text_chars)
    draft.add(head)
    for number, (text, mark) in enumerate(zip(texts, marks, strict=True), start=1):
        draft.begin(f"page {number}")
        draft.add(f"## Page {number}")
        draft.add(text if text.strip() or mark else _BLANK)
        draft.add(mark)
    blank = [number for number, text in enumerate(texts, start=1) if not text.strip()]
    facts = [count(total, "page")]
    if blank:
        facts.append(f"no text on {name_pages(blank)} (pictures or scans?)")
    unread = list(range(limits.pdf_pages + 1, total + 1))
    missing = f"{name_pages(unread)} of {total:,} (documents.pdfPages)" if unread else ""
    return draft.finish("pdf", facts=tuple(facts), missing=missing)


def name_pages(pages: list[int]) -> str:
    """Ascending page numbers in words: "pages 2-4 and 7"."""
    runs: list[list[int]] = []
    for page in pages:
        if runs and page == runs[-1][1] + 1:
            runs[-1][1] = page
        else:
            runs.append([page, page])
    words = [f"{first}-{last}" if last > first else str(first) for first, last in runs]
    shown = [*words[:20], f"{len(words) - 20} more places"] if len(words) > 21 else words
    joined = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    return f"{'page' if len(pages) == 1 else 'pages'} {joined}"


def _read_page(document: pypdfium2.PdfDocument, index: int) -> _Page:
    """The text of a page and of what hangs on it. A page that is broken has none."""
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return _DAMAGED
    try:
        text = page.get_textpage()
        words = text.get_text_range()
        marks = read_marks(document, page, text)
        doubtful = bool(_RIGHT_TO_LEFT.search(words)) and _has_unmapped(text)
        text.close()
    except pypdfium2.PdfiumError:
        return _DAMAGED
    finally:
        page.close()
    return _Page(words.replace("\r\n", "\n"), marks, doubtful)


def _has_unmapped(text: pypdfium2.PdfTextPage) -> bool:
    """Whether a page has glyphs that stand for no letter: some programs map a whole word to one glyph, which pdfium reads backwards."""
    return any(raw.FPDFText_HasUnicodeMapError(text, index) == 1 for index in range(text.count_chars()))


def _read_head(document: pypdfium2.PdfDocument) -> str:
    """What the file says about itself: title, author, subject, attached files, outline."""
    known = document.get_metadata_dict(skip_empty=True)
    said = {key: shorten(clean(known.get(key, ""))) for key in ("Title", "Author", "Subject", "Keywords")}
    lines = [f"{key}: {value}" for key, value in said.items() if value.strip("()").lower() not in _UNSAID]
    attached = [shorten(clean(document.get_attachment(index).get_name())) for index in range(min(document.count_attachments(), 50))]
    if attached:
        lines.append(f"Attached files (not read): {', '.join(attached)}")
    outline: list[str] = []
    try:
        for bookmark in document.get_toc(max_depth=6):
            destination = bookmark.get_dest()
            page = destination.get_index() if destination else None
            title = shorten(clean(bookmark.get_title()))
            outline.append(f"{'  ' * bookmark.level}- {title}" + (f" (page {page + 1})" if page is not None else ""))
            if len(outline) >= _MOST_OUTLINE:
                break
    except pypdfium2.PdfiumError:
        outline.append("- (the outline is damaged)")
    if outline:
        lines += ["Outline:", *outline]
    return "\n".join(lines)


def _lenient() -> _Lenient:
    """The other reader, whose import takes a third of a second that few files need."""
    return cast("_Lenient", import_module("assistant.documents.formats.pdf_lenient"))

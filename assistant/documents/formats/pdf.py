"""PDF: the text of each page in the order pdfium finds it, its links, notes and form fields."""

# pyright: basic
# (pypdfium2's raw binding is generated from C and has no types.)

import ctypes
import logging
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from io import BytesIO
from typing import Any

import pypdfium2
from pypdfium2 import raw

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.images import encode_page
from assistant.documents.formats.markdown import DocumentBuilder, clean, count, shorten
from assistant.documents.formats.pdf_layout import PdfLine, read_lines, to_texts
from assistant.documents.formats.pdf_stamps import draws_words, read_drawn
from assistant.documents.formats.pdf_text import PageText, are_torn, join_lines, read_turn
from assistant.documents.formats.pictures import DocumentPictures, EncodedPicture
from assistant.documents.protocol import MIB, FileRefused, IllustratedDocument, ReadLimits, damaged, encrypted, too_large

_BLANK = "(This page holds no text. It may be a picture, such as a scan.)"
_UNSURE = "(The characters of this page may be wrong or missing: its fonts don't say which they are.)"
_UNSURE_SHARE = 0.2
"""The share of letters without a known character from which on a page is shown as a picture, too."""
_HEADER = b"%PDF-1.4\n"
_FEW_WORDS = 15
"""A page with fewer is shown as a picture where an image covers a part of it."""
_LEAST_SHARE = 0.25
_MAX_OBJECTS = 200
"""Objects of a page among which an image is looked for."""
_MOST_SCALE = 4.0
"""Pixels for a point (1/72 inch): small pages are not blown up."""
_MAX_OUTLINE = 300
_LAYOUT_SECONDS = 1.0
"""Computing time of one document until which tables are searched for."""
_STUMBLES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError, TypeError, ValueError),
    *(struct.error, zlib.error),
)
"""What pypdf raises for damaged files beside its own errors."""
_PLACEHOLDERS = frozenset({"", "untitled", "anonymous", "unspecified"})
"""Placeholders that programs write for a missing title or author."""
_MAX_ANNOTATIONS = 400
"""Annotations read per page."""
_MAX_STRING = 4 * MIB
"""Bytes of one string of an annotation, which pdfium gives as a whole or not at all."""
_MAX_WORDS = 100_000
"""Characters of it that are kept."""
_MAX_ADDRESS = 20_000
_BUTTONS = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
_WITHOUT_VALUE = (raw.FPDF_FORMFIELD_PUSHBUTTON, raw.FPDF_FORMFIELD_SIGNATURE, raw.FPDF_FORMFIELD_UNKNOWN)


@dataclass(frozen=True, slots=True)
class _PdfPage:
    lines: list[PdfLine]
    annotations: str
    size: int = 0
    """Characters of its text."""
    doubtful: bool = False
    """pypdf reads it better."""
    drawn: bool = False
    """It says more as a picture than as text."""


_DAMAGED = _PdfPage([], "(This page is damaged.)")


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument | IllustratedDocument:
    """The pages up to the limit. Falls back to pypdf where pdfium fails."""
    if b"%PDF-" not in data[:1024]:
        data = _HEADER + data  # without one, pdfium reads nothing
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        return _read_by_pypdf(data, limits)  # which also tries an empty password as the owner's
    total = len(document)
    read_to = _check_pages(total, limits)
    document.init_forms()
    pages: list[_PdfPage] = []
    size = 0
    layout_ends = time.process_time() + _LAYOUT_SECONDS
    for index in range(read_to):
        pages.append(_read_page(document, index, tables=time.process_time() < layout_ends))
        size += pages[-1].size + len(pages[-1].annotations)
        if size > limits.text_chars:
            break
    texts = to_texts([page.lines for page in pages])
    if doubtful := [index for index, page in enumerate(pages) if page.doubtful]:
        for index, text in _read_pages_by_pypdf(data, doubtful).items():
            if not (are_torn(text) and are_torn(texts[index])):
                texts[index] = text
    pictures = DocumentPictures(limits)
    marks = {
        number: pictures.page(f"page {number}", partial(_render, document, number - 1, limits))
        for number, page in enumerate(pages, start=1)
        if page.drawn and limits.pictures
    }
    annotations = [page.annotations for page in pages]
    return pictures.illustrate(_compose(join_lines(texts), annotations, total, limits, head=_read_head(document), marks=marks))


def _check_pages(total: int, limits: ReadLimits) -> int:
    """How many pages are read. Raises FileRefused above `pdf_pages_refused`."""
    if total > limits.pdf_pages_refused:
        raise too_large(f"has {total:,} pages; more than {limits.pdf_pages_refused:,} are not read. Send the pages that matter.")
    return min(total, limits.pdf_pages)


def _compose(
    texts: list[str], annotations: list[str], total: int, limits: ReadLimits, *, head: str = "", marks: Mapping[int, str] | None = None
) -> ReadDocument:
    """The document of its pages' texts, each under a heading with its number. `marks`: of the pages that are shown, by number."""
    builder = DocumentBuilder(limits.text_chars)
    builder.add(head)
    for number, (text, extra) in enumerate(zip(texts, annotations, strict=True), start=1):
        builder.begin(f"page {number}")
        builder.add(f"## Page {number}")
        builder.add(text if text.strip() or extra else _BLANK)
        builder.add(extra)
        builder.add((marks or {}).get(number, ""))
    facts = [count(total, "page")]
    if blank := [number for number, text in enumerate(texts, start=1) if not text.strip()]:
        facts.append(f"no text on {name_pages(blank)} (pictures or scans?)")
    unread = list(range(limits.pdf_pages + 1, total + 1))
    missing = f"{name_pages(unread)} of {total:,} (documents.pdfPages)" if unread else ""
    return builder.finish("pdf", facts=tuple(facts), missing=missing)


def name_pages(pages: list[int]) -> str:
    """Ascending page numbers in words: "pages 2-4 and 7"."""
    runs: list[list[int]] = []
    for page in pages:
        if not runs or page != runs[-1][1] + 1:
            runs.append([page, page])
        runs[-1][1] = page
    words = [f"{first}-{last}" if last > first else str(first) for first, last in runs]
    shown = [*words[:20], f"{len(words) - 20} more places"] if len(words) > 21 else words
    joined = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    return f"{'page' if len(pages) == 1 else 'pages'} {joined}"


def _read_page(document: pypdfium2.PdfDocument, index: int, *, tables: bool) -> _PdfPage:
    """The lines and annotations of a page; neither where it is damaged."""
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return _DAMAGED
    shown = page.get_rotation()
    try:
        text, turn = _open_text(page)
        characters = PageText(text, turn)
        words = characters.words
        annotations = _read_annotations(document, page, index, text)
        unsure = characters.unmapped >= _UNSURE_SHARE
        # Some programs map a whole right-to-left word to one glyph without a letter, which pdfium reads backwards.
        doubtful = are_torn(words) or (
            characters.right_to_left
            and (characters.doubtful or any(raw.FPDFText_HasUnicodeMapError(text, index) == 1 for index in range(characters.count)))
        )
        drawn = unsure or _is_drawn(page, words)
        lines = read_lines(page, characters, tables=tables)
        text.close()
    except pypdfium2.PdfiumError:
        return _DAMAGED
    finally:
        if page.get_rotation() != shown:
            page.set_rotation(shown)
        page.close()
    return _PdfPage(lines, "\n\n".join(filter(None, (_UNSURE * unsure, annotations))), len(words), doubtful, drawn)


def _open_text(page: pypdfium2.PdfPage) -> tuple[pypdfium2.PdfTextPage, int]:
    """The text of a page with its letters upright, and how they are turned then: where they are shown lying on their side, pdfium reads the lines
    from last to first."""
    text = page.get_textpage()
    turn = read_turn(text)
    upright = -90 * turn % 360
    if upright == page.get_rotation():
        return text, turn
    text.close()
    page.set_rotation(upright)
    text = page.get_textpage()
    return text, read_turn(text)


def _is_drawn(page: pypdfium2.PdfPage, words: str) -> bool:
    """Whether the page has hardly any text, and something else instead."""
    number = raw.FPDFPage_CountObjects(page)
    if not words.strip() or not number:
        return number > 0
    if len(words.split(maxsplit=_FEW_WORDS)) >= _FEW_WORDS:
        return False
    width, height = page.get_size()
    for index in range(min(number, _MAX_OBJECTS)):
        thing = raw.FPDFPage_GetObject(page, index)
        if raw.FPDFPageObj_GetType(thing) == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = (ctypes.c_float() for _ in range(4))
            raw.FPDFPageObj_GetBounds(thing, left, bottom, right, top)
            if abs((right.value - left.value) * (top.value - bottom.value)) >= _LEAST_SHARE * width * height:
                return True
    return False


def _render(document: pypdfium2.PdfDocument, index: int, limits: ReadLimits) -> EncodedPicture:
    """The page as it is printed, with its form fields filled in."""
    page = document[index]
    try:
        scale = min(limits.picture_side / max(*page.get_size(), 1.0), _MOST_SCALE)
        return EncodedPicture(*encode_page(page.render(scale=scale).to_pil(), photo=True))
    finally:
        page.close()


def _read_head(document: pypdfium2.PdfDocument) -> str:
    """Title, author, subject, keywords, attached files and outline."""
    known = document.get_metadata_dict(skip_empty=True)
    said = {key: shorten(clean(known.get(key, ""))) for key in ("Title", "Author", "Subject", "Keywords")}
    lines = [f"{key}: {value}" for key, value in said.items() if value.strip("()").lower() not in _PLACEHOLDERS]
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
            if len(outline) >= _MAX_OUTLINE:
                break
    except pypdfium2.PdfiumError:
        outline.append("- (the outline is damaged)")
    if outline:
        lines += ["Outline:", *outline]
    return "\n".join(lines)


def _read_by_pypdf(data: bytes, limits: ReadLimits) -> ReadDocument:
    """The whole document by pypdf, which is slower and more lenient. Raises FileRefused where it fails, too."""
    pypdf = _import_pypdf()
    try:
        try:
            document = pypdf.PdfReader(BytesIO(data), strict=False)
        except NotImplementedError as error:  # another way to encrypt than by a password
            raise FileRefused("is encrypted for certain readers. Send it without encryption.") from error
        if document.is_encrypted and not document.decrypt(""):
            raise encrypted()
        total = len(document.pages)
        texts = [document.pages[index].extract_text() for index in range(_check_pages(total, limits))]
    except (pypdf.errors.FileNotDecryptedError, pypdf.errors.DependencyError) as error:
        raise encrypted() from error
    except (pypdf.errors.PyPdfError, pypdf.errors.DeprecationError, *_STUMBLES) as error:
        raise damaged("a PDF") from error
    if not texts:
        raise damaged("a PDF")
    return _compose(texts, [""] * len(texts), total, limits)


def _read_pages_by_pypdf(data: bytes, indexes: list[int]) -> dict[int, str]:
    """The texts of pages by index; empty where pypdf fails."""
    pypdf = _import_pypdf()
    try:
        document = pypdf.PdfReader(BytesIO(data), strict=False)
        return {index: text for index in indexes if (text := document.pages[index].extract_text()).strip()}
    except (pypdf.errors.PyPdfError, pypdf.errors.DeprecationError, *_STUMBLES):
        return {}


def _import_pypdf() -> Any:
    """pypdf, imported on demand: that takes a third of a second."""
    pypdf = import_module("pypdf")
    pypdf.overwrite_configuration(jbig2dec_binary=None)  # would start a program for JBIG2 pictures
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    return pypdf


def _read_annotations(document: pypdfium2.PdfDocument, page: pypdfium2.PdfPage, index: int, text: pypdfium2.PdfTextPage) -> str:
    """The page's links, notes, filled-in fields, and what its stamps and signatures say, as a Markdown list."""
    lines: list[str] = []
    stamps: set[int] = set()
    for number in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        note = raw.FPDFPage_GetAnnot(page, number)
        if not note:
            continue
        try:
            kind = raw.FPDFAnnot_GetSubtype(note)
            if kind == raw.FPDF_ANNOT_LINK:
                line = _read_link(document, note, text)
            elif kind == raw.FPDF_ANNOT_WIDGET:
                line = _read_field(document, note)
            else:
                line = "" if kind == raw.FPDF_ANNOT_POPUP else _read_note(note)
            if not line and draws_words(document.formenv, note, kind):
                stamps.add(number)
        finally:
            raw.FPDFPage_CloseAnnot(note)
        if line and line not in lines:
            lines.append(line)
    if stamps and (words := read_drawn(document, index, stamps)):
        lines.append(f"- Stamps, signatures and text boxes: {words}")
    return "\n".join(lines)


def _read_link(document: pypdfium2.PdfDocument, note: object, text: pypdfium2.PdfTextPage) -> str:
    link = raw.FPDFAnnot_GetLink(note)
    action = raw.FPDFLink_GetAction(link) if link else None
    if not action:
        return ""
    size = raw.FPDFAction_GetURIPath(document, action, None, 0)
    if not 1 < size <= _MAX_ADDRESS:
        return ""
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFAction_GetURIPath(document, action, buffer, size)
    address = buffer.value.decode("utf-8", "replace")
    box = raw.FS_RECTF()
    shown = ""
    if raw.FPDFAnnot_GetRect(note, box):
        shown = " ".join(text.get_text_bounded(left=box.left, bottom=box.bottom, right=box.right, top=box.top).split())
    return f"- Link: [{shown or address}]({address})"


def _read_field(document: pypdfium2.PdfDocument, note: object) -> str:
    form = document.formenv
    if form is None:
        return ""
    kind = raw.FPDFAnnot_GetFormFieldType(form, note)
    if kind in _WITHOUT_VALUE:
        return ""
    name = _string(lambda *to: raw.FPDFAnnot_GetFormFieldAlternateName(form, note, *to)) or _string(
        lambda *to: raw.FPDFAnnot_GetFormFieldName(form, note, *to)
    )
    if kind in _BUTTONS:
        if not raw.FPDFAnnot_IsChecked(form, note):
            return ""
        value = _string(lambda *to: raw.FPDFAnnot_GetFormFieldExportValue(form, note, *to)) or "yes"
    else:
        value = _string(lambda *to: raw.FPDFAnnot_GetFormFieldValue(form, note, *to))
    return f"- Field {name or '(unnamed)'}: {value}" if value.strip() else ""


def _read_note(note: object) -> str:
    words = _string(lambda *to: raw.FPDFAnnot_GetStringValue(note, b"Contents", *to)).strip()
    author = _string(lambda *to: raw.FPDFAnnot_GetStringValue(note, b"T", *to)).strip()
    return f"- Note{f' by {author}' if author else ''}: {words}" if words else ""


def _string(getter: Callable[..., int]) -> str:
    """Calls a pdfium getter twice: for the size in bytes (UTF-16, zero-terminated), then for the string."""
    size = getter(None, 0)
    if not 2 < size <= _MAX_STRING:
        return ""
    buffer = (ctypes.c_ushort * (size // 2))()
    getter(buffer, size)
    return bytes(buffer)[: 2 * _MAX_WORDS].decode("utf-16-le", "replace").rstrip("\x00") + (" …" if size > 2 * _MAX_WORDS + 2 else "")

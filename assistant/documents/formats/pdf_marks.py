"""What hangs on a PDF page beside its text: links, notes, and the values of form fields."""

# pyright: basic
# (pdfium's binding is generated from C and has no types.)

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pypdfium2
import pypdfium2.raw as raw

_MOST = 400
"""Annotations read of one page."""
_LONGEST = 20_000
"""Bytes of one of their strings."""
_BUTTONS = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
_SILENT = (raw.FPDF_FORMFIELD_PUSHBUTTON, raw.FPDF_FORMFIELD_SIGNATURE, raw.FPDF_FORMFIELD_UNKNOWN)


def read_marks(document: pypdfium2.PdfDocument, page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage) -> str:
    """The page's links, notes and filled-in fields as a list; "" where there are none."""
    lines: list[str] = []
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MOST)):
        with _annotation(page, index) as note:
            if not note:
                continue
            kind = raw.FPDFAnnot_GetSubtype(note)
            if kind == raw.FPDF_ANNOT_LINK:
                line = _read_link(document, note, text)
            elif kind == raw.FPDF_ANNOT_WIDGET:
                line = _read_field(document, note)
            elif kind == raw.FPDF_ANNOT_POPUP:
                line = ""
            else:
                line = _read_note(note)
            if line and line not in lines:
                lines.append(line)
    return "\n".join(lines)


@contextmanager
def _annotation(page: pypdfium2.PdfPage, index: int) -> Iterator[object]:
    note = raw.FPDFPage_GetAnnot(page, index)
    try:
        yield note
    finally:
        if note:
            raw.FPDFPage_CloseAnnot(note)


def _read_link(document: pypdfium2.PdfDocument, note: object, text: pypdfium2.PdfTextPage) -> str:
    link = raw.FPDFAnnot_GetLink(note)
    action = raw.FPDFLink_GetAction(link) if link else None
    if not action:
        return ""
    size = raw.FPDFAction_GetURIPath(document, action, None, 0)
    if not 1 < size <= _LONGEST:
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
    if kind in _SILENT:
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


def _string(ask: Callable[..., int]) -> str:
    """A string by pdfium's custom: asked for its size first (in bytes, UTF-16, with a final zero)."""
    size = ask(None, 0)
    if not 2 < size <= _LONGEST:
        return ""
    buffer = (ctypes.c_ushort * (size // 2))()
    ask(buffer, size)
    return bytes(buffer).decode("utf-16-le", "replace").rstrip("\x00")

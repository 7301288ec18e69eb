"""Words that annotations of a PDF page draw: of stamps and signatures, they stand in the appearance alone."""

# pyright: basic
# (pypdfium2's raw binding is generated from C and has no types.)

from collections.abc import Set

import pypdfium2
from pypdfium2 import raw

_DRAWN = (raw.FPDF_ANNOT_STAMP, raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_WATERMARK)
_MOST_OBJECTS = 5_000
"""Objects of a page, which are removed one by one."""


def draws_words(form: object, note: object, kind: int) -> bool:
    """Whether the words of an annotation may stand in its appearance alone."""
    if kind == raw.FPDF_ANNOT_WIDGET:
        return form is None or raw.FPDFAnnot_GetFormFieldType(form, note) == raw.FPDF_FORMFIELD_SIGNATURE
    return kind in _DRAWN


def read_drawn(document: pypdfium2.PdfDocument, index: int, numbers: Set[int]) -> str:
    """The words that these annotations of a page show, on one line. They are drawn on a copy of the page that holds nothing else."""
    copy = pypdfium2.PdfDocument.new()
    try:
        copy.import_pages(document, [index])
        page = copy[0]
        objects = raw.FPDFPage_CountObjects(page)
        if objects > _MOST_OBJECTS:
            return ""
        for number in reversed(range(objects)):
            thing = raw.FPDFPage_GetObject(page, number)
            if raw.FPDFPage_RemoveObject(page, thing):
                raw.FPDFPageObj_Destroy(thing)
        for number in reversed(range(raw.FPDFPage_GetAnnotCount(page))):
            if number not in numbers:
                raw.FPDFPage_RemoveAnnot(page, number)
        drawn = raw.FPDFPage_GenerateContent(page) and raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY) == raw.FLATTEN_SUCCESS
        page.close()
        return " ".join(copy[0].get_textpage().get_text_range().split()) if drawn else ""
    except pypdfium2.PdfiumError:
        return ""
    finally:
        copy.close()

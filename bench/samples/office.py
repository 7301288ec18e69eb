"""A report, workbooks and a talk. What a file may hold besides pictures is limited (10 MiB of XML that is parsed as a tree, 200,000 cells):
the text goes up to those limits, pictures fill the rest."""

import random
from collections.abc import Callable
from io import BytesIO
from typing import cast

from docx import Document
from openpyxl import Workbook
from pptx import Presentation
from pptx.shapes.placeholder import SlidePlaceholder
from pptx.util import Inches

from bench.samples.words import Prose, noise_jpeg


def make_docx() -> bytes:
    """7 MB of XML in headings, paragraphs and tables, and 16 pictures."""
    prose = Prose(7)
    document = Document()
    for chapter in range(16):
        document.add_heading(f"Chapter {chapter + 1}: {prose.words(4)}", level=1)
        document.add_picture(BytesIO(noise_jpeg(chapter, 960, 720)), width=Inches(4))
        for _ in range(430):
            document.add_paragraph(prose.words(110))
        table = document.add_table(rows=12, cols=4)
        for row in table.rows:
            for cell in row.cells:
                cell.text = prose.words(2)
    buffer = BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def make_xlsx() -> bytes:
    """200,000 cells: half numbers, half strings, in four sheets."""
    prose, draw = Prose(8), random.Random(8)
    return _workbook(4, 5000, lambda: [value for _ in range(5) for value in (prose.number(), draw.randbytes(71).hex())])


def make_xlsx_of_numbers() -> bytes:
    """Far more than the 200,000 cells that are read."""
    draw = random.Random(9)
    return _workbook(1, 36_200, lambda: [draw.random() * 1e6 for _ in range(21)])


def _workbook(sheets: int, rows: int, row: Callable[[], list[float | str]]) -> bytes:
    workbook = Workbook(write_only=True)
    for number in range(sheets):
        sheet = workbook.create_sheet(f"Part {number + 1}")
        sheet.append([f"column {column}" for column in range(len(row()))])
        for _ in range(rows):
            sheet.append(row())
    buffer = BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def make_pptx() -> bytes:
    """150 slides with a title, ten points and notes; every fifth with a picture."""
    prose = Prose(10)
    presentation = Presentation()
    layout = presentation.slide_layouts[1]
    for number in range(150):
        slide = presentation.slides.add_slide(layout)
        title, body = (cast("SlidePlaceholder", shape).text_frame for shape in slide.placeholders)
        title.text = f"{number + 1}. {prose.words(4)}"
        body.text = "\n".join(prose.words(20) for _ in range(10))
        notes = slide.notes_slide.notes_text_frame
        assert notes is not None, "the notes page of the default template has a text frame"
        notes.text = prose.words(120)
        if number % 5 == 0:
            slide.shapes.add_picture(BytesIO(noise_jpeg(number, 760, 570)), Inches(5), Inches(4), width=Inches(4))
    buffer = BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()

"""A file of each type that nanobot's document lists, with the same words in those that hold text."""

from io import BytesIO

import docx
import openpyxl
from PIL import Image
from pptx import Presentation
from pptx.util import Inches

from tests.documents.making import pdf, show

WORDS = "Pears are ripe"
PICTURES = ("a.png", "a.jpg", "a.gif", "a.webp")
PAPERS = ("a.pdf", "a.docx", "a.xlsx", "a.pptx", "a.txt", "a.md", "a.csv", "a.json")


def made(name: str) -> bytes:
    target = BytesIO()
    match name.rpartition(".")[2]:
        case "png" | "gif" | "webp" | "jpg" as kind:
            Image.new("RGB", (24, 16), "green").save(target, format="jpeg" if kind == "jpg" else kind)
        case "pdf":
            return pdf([show(WORDS)])
        case "docx":
            document = docx.Document()
            document.add_paragraph(WORDS)
            document.save(target)
        case "xlsx":
            book = openpyxl.Workbook()
            assert book.active is not None
            book.active["A1"] = WORDS
            book.save(target)
        case "pptx":
            slides = Presentation()
            slide = slides.slides.add_slide(slides.slide_layouts[6])
            slide.shapes.add_textbox(Inches(1), Inches(1), Inches(4), Inches(1)).text_frame.text = WORDS
            slides.save(target)
        case "json":
            return f'{{"said": "{WORDS}"}}'.encode()
        case _:
            return WORDS.encode()
    return target.getvalue()

"""Pictures in documents: each has its mark in the text, and those that matter come along, within limits."""

import base64
import random
from collections.abc import Callable
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import docx
import openpyxl
import pptx
import pytest
from docx.shared import Inches
from openpyxl.drawing.image import Image as SheetImage
from PIL import Image
from pptx.util import Inches as SlideInches

from assistant.contracts.documents import ReadDocument
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from tests.documents.making import ReadText, Spool, pack, paragraph, pdf, show, word
from tests.documents.test_documents_books import odf
from tests.documents.test_documents_notebooks import code, notebook, shown


def photo(width: int = 300, height: int = 200, form: str = "PNG", shade: int = 0) -> bytes:
    target = BytesIO()
    Image.effect_noise((width, height), 50 + shade).convert("RGB").save(target, form)
    return target.getvalue()


def scans(number: int, width: int = 850, height: int = 1100) -> bytes:
    """A PDF of pages that are pictures."""
    pages = [Image.new("RGB", (width, height), (index % 250, 200, 200)) for index in range(number)]
    target = BytesIO()
    pages[0].save(target, "PDF", save_all=True, append_images=pages[1:])
    return target.getvalue()


def saved(made: Any) -> bytes:
    target = BytesIO()
    made.save(target)
    return target.getvalue()


def in_odf(kind: str) -> bytes:
    frame = '<draw:frame><draw:image xlink:href="Pictures/cat.png"/><svg:desc>a cat</svg:desc></draw:frame>'
    words = f"<text:p>Before. {frame}</text:p>"
    return odf(words if kind == "text" else f"<draw:page>{frame}</draw:page>", kind, "", **{"Pictures/cat.png": photo()})


def in_notebook(picture: bytes) -> bytes:
    return notebook(code("plot()", shown(image__png=base64.b64encode(picture).decode(), text__plain="<Figure>")))


def in_word(*pictures: bytes, alt: str = "") -> bytes:
    made = docx.Document()
    made.add_paragraph("Before.")
    for picture in pictures:
        shape: Any = made.add_picture(BytesIO(picture), width=Inches(2))
        if alt:
            shape._inline.docPr.set("descr", alt)
    made.add_paragraph("After.")
    return saved(made)


def in_slides(picture: bytes) -> bytes:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[6])
    slide.shapes.add_picture(BytesIO(picture), SlideInches(1), SlideInches(1))
    return saved(made)


def in_sheet(picture: bytes) -> bytes:
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet["A1"] = "Sales"
    sheet.add_image(SheetImage(BytesIO(picture)), "C5")
    return saved(made)


def fax(pages: int) -> bytes:
    frames = [Image.new("1", (400, 300 + index)) for index in range(pages)]
    target = BytesIO()
    frames[0].save(target, "TIFF", compression="group4", save_all=True, append_images=frames[1:])
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "mark", "media_type", "size"),
    [
        ("a.docx", lambda: in_word(photo()), "Before.\n\n[Picture 1: 300×200]\n\nAfter.", "image/png", (300, 200)),
        ("a.docx", lambda: in_word(photo(), alt="A [red] hat"), "\n\n[Picture 1: A (red) hat, 300×200]\n\n", "image/png", (300, 200)),
        ("a.docx", lambda: in_word(photo(form="JPEG")), "[Picture 1: 300×200]", "image/jpeg", (300, 200)),
        ("a.docx", lambda: in_word(photo(form="GIF")), "[Picture 1: 300×200]", "image/png", (300, 200)),
        ("a.docx", lambda: in_word(photo(form="BMP")), "[Picture 1: 300×200]", "image/png", (300, 200)),
        ("a.docx", lambda: in_word(photo(form="TIFF")), "[Picture 1: 300×200]", "image/png", (300, 200)),
        ("a.docx", lambda: in_word(photo(3000, 1500, "JPEG")), "[Picture 1: 3000×1500]", "image/jpeg", (1568, 784)),
        ("a.pptx", lambda: in_slides(photo()), "## Slide 1\n\n[Picture 1: image.png, 300×200]", "image/png", (300, 200)),
        ("a.xlsx", lambda: in_sheet(photo()), "[Picture 1: Picture, 300×200] at C5", "image/png", (300, 200)),
        ("a.odt", lambda: in_odf("text"), "Before. [Picture 1: a cat, 300×200]", "image/png", (300, 200)),
        ("a.odp", lambda: in_odf("presentation"), "[Picture 1: a cat, 300×200]", "image/png", (300, 200)),
        ("a.ipynb", lambda: in_notebook(photo()), "[Picture 1: output, png, 300×200]", "image/png", (300, 200)),
        ("a.pdf", lambda: scans(1), "[Picture 1: page 1]", "image/jpeg", (1212, 1568)),
        ("a.pdf", lambda: pdf(["0 0 300 300 re f"]), "[Picture 1: page 1]", "image/jpeg", (1212, 1568)),
    ],
)
async def test_a_picture_has_its_mark_and_comes_along(
    read: ReadText, name: str, make: Callable[[], bytes], mark: str, media_type: str, size: tuple[int, int]
) -> None:
    result = await read(name, make())
    assert mark in result.text
    (picture,) = result.pictures
    assert (picture.number, picture.media_type, (picture.width, picture.height)) == (1, media_type, size)
    with Image.open(BytesIO(picture.data)) as shown:
        assert shown.size == size
    assert result.missing == ""


async def test_the_pages_of_a_fax_are_pictures_of_one_document(read: ReadText) -> None:
    result = await read("fax.tif", fax(3))
    assert result.text == "\n\n".join(f"## Page {number}\n\n[Picture {number}: page {number}]" for number in (1, 2, 3))
    assert [(picture.width, picture.height) for picture in result.pictures] == [(400, 300), (400, 301), (400, 302)]
    assert [section.label for section in result.sections] == ["page 1", "page 2", "page 3"]


async def test_pages_with_text_and_empty_ones_are_not_pictures(read: ReadText) -> None:
    result = await read("a.pdf", pdf([show("A page with words"), "", show("Another one")]))
    assert result.pictures == ()
    assert "[Picture" not in result.text


async def test_a_page_with_a_picture_and_few_words_is_shown(read: ReadText) -> None:
    pictured = BytesIO()
    Image.new("RGB", (600, 800), "red").save(pictured, "PDF")
    import pypdf

    words = pypdf.PdfReader(BytesIO(pdf([show("Figure 3")])))
    writer, target = pypdf.PdfWriter(), BytesIO()
    writer.add_page(pypdf.PdfReader(pictured).pages[0]).merge_page(words.pages[0])
    writer.write(target)
    result = await read("a.pdf", target.getvalue())
    assert "Figure 3" in result.text
    assert "[Picture 1: page 1]" in result.text
    assert len(result.pictures) == 1


async def test_small_ones_have_a_mark_and_stay_where_they_are(read: ReadText) -> None:
    result = await read("a.docx", in_word(photo(40, 400), photo(90, 90)))
    assert result.text == "Before.\n\n[Picture: 40×400]\n\n[Picture: 90×90]\n\nAfter."
    assert result.pictures == ()


async def test_a_picture_that_comes_twice_is_sent_once(read: ReadText) -> None:
    logo, other = photo(shade=1), photo(shade=2)
    result = await read("a.docx", in_word(logo, other, logo))
    assert result.text.count("[Picture 1: ") == 2
    assert [picture.number for picture in result.pictures] == [1, 2]


@pytest.mark.parametrize(("most", "numbers"), [(0, 0), (1, 1), (3, 3), (20, 5)])
async def test_beyond_the_setting_pictures_have_a_mark_and_are_counted(spool: Spool, most: int, numbers: int) -> None:
    reader = ChildReader(DocumentSettings(pictures=most))
    result = await reader.read(spool("a.docx", in_word(*(photo(shade=index) for index in range(5)))))
    await reader.close()
    assert isinstance(result, ReadDocument)
    assert result.text.count("[Picture") == 5
    assert [picture.number for picture in result.pictures] == list(range(1, numbers + 1))
    left = 5 - numbers
    assert result.missing == (f"{left} further picture{'s' * (left > 1)} (documents.pictures: {most})" if left else "")


async def test_of_many_scans_the_first_are_shown_and_all_are_marked(read: ReadText) -> None:
    result = await read("a.pdf", scans(30, 200, 300))
    assert [picture.label for picture in result.pictures] == [f"page {number}" for number in range(1, 21)]
    assert result.text.count("[Picture") == 30
    assert result.missing == "10 further pictures (documents.pictures: 20)"


def _broken() -> bytes:
    whole = photo(400, 400)
    return whole[:5_000] + bytes(2_000) + whole[7_000:]


def _bomb() -> bytes:
    target = BytesIO()
    Image.new("1", (20_000, 20_000)).save(target, "PNG")
    return target.getvalue()


async def test_a_broken_picture_costs_nothing_but_itself(read: ReadText) -> None:
    result = await read("a.docx", in_word(_broken(), photo()))
    assert result.text == "Before.\n\n[Picture 1: 400×400]\n\n[Picture 2: 300×200]\n\nAfter."
    assert [picture.number for picture in result.pictures] == [2]
    assert result.missing == "pictures 1, which can't be decoded within the limits"


async def test_a_picture_that_unpacks_to_too_much_is_only_marked(read: ReadText) -> None:
    result = await read("a.docx", in_word(_bomb()))
    assert result.text == "Before.\n\n[Picture]\n\nAfter."
    assert result.pictures == ()


async def test_a_child_that_its_pictures_kill_has_given_its_text(spool: Spool) -> None:
    """Fifty photos take longer than the half of two seconds of processor time that pictures get."""
    reader = ChildReader(DocumentSettings(cpu_seconds=2, pictures=50))
    one = photo(1_500, 1_000, "JPEG")
    data = in_word(*(one + bytes([end]) for end in range(50)))
    result = await reader.read(spool("a.docx", data))
    await reader.close()
    assert isinstance(result, ReadDocument)
    assert result.text.startswith("Before.")
    assert len(result.pictures) < 50
    assert "which can't be decoded within the limits" in result.missing


@pytest.mark.parametrize("target", ["NULL", "media/image9.png", "../media/none.jpg", "media/", "file:///C:/a.png"])
async def test_a_document_without_one_of_its_pictures_is_read(read: ReadText, target: str) -> None:
    drawn = '<w:p><w:r><w:drawing><wp:inline><wp:docPr id="1" name="a" descr="A cat"/><a:blip r:embed="rId1"/></wp:inline></w:drawing></w:r></w:p>'
    result = await read("a.docx", word(paragraph("x") + drawn, [("rId1", "image", target)]))
    assert result.text == "x\n\n[Picture: A cat]"


@pytest.mark.parametrize(
    "missing", ["ppt/theme/theme1.xml", "ppt/printerSettings/printerSettings1.bin", "docProps/app.xml", "ppt/media/image1.png"]
)
async def test_slides_without_one_of_their_parts_are_read(read: ReadText, missing: str) -> None:
    made = in_slides(photo())
    with ZipFile(BytesIO(made)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist() if name != missing}
    result = await read("a.pptx", pack(parts))
    assert result.text.startswith("## Slide 1\n\n[Picture")


async def test_a_part_of_a_kind_that_nothing_declares_is_no_fault(read: ReadText) -> None:
    with ZipFile(BytesIO(word(paragraph("x"), [("rId1", "image", "media/a.emf")]))) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    assert (await read("a.docx", pack({**parts, "word/media/a.emf": b"\1\0\0\0"}))).text == "x"


async def test_a_pale_picture_is_no_bomb(read: ReadText) -> None:
    result = await read("a.docx", in_word(_pale()))
    assert "[Picture 1: 2400×1600]" in result.text


def _pale() -> bytes:
    target = BytesIO()
    Image.new("RGB", (2400, 1600), "white").save(target, "BMP")
    return target.getvalue()


async def test_a_large_part_of_text_is_read(read: ReadText) -> None:
    digits = random.Random(1)
    body = "".join(paragraph(digits.randbytes(500).hex()) for _ in range(13_000))
    assert len((await read("a.docx", word(body))).text) == 11_000_000


async def test_a_document_without_text_says_so(read: ReadText) -> None:
    for name, data in (("a.docx", word("<w:p/>")), ("a.txt", b" \n "), ("a.html", b"<html><body></body></html>"), ("a.rtf", b"{\\rtf1 }")):
        result = await read(name, data)
        assert result.text == "(No text was found in this file.)", name
        assert result.facts in {("0 words",), ("1 line",), ("2 lines",)}, name

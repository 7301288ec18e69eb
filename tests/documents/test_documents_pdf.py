"""PDF files: text by page, what hangs on the pages, and what is left out."""

import re
from io import BytesIO

import pypdf
import pytest

from assistant.contracts.errors import FileTooLarge, UnreadableFile
from assistant.documents.formats.pdf import name_pages
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from tests.documents.making import ReadText, Spool, limited, objects_pdf, pdf, show


async def test_each_page_is_a_section_with_its_mark(read: ReadText) -> None:
    result = await read("a.pdf", pdf([show("Hello", "World"), show("Second")]))
    assert result.text == "## Page 1\n\nHello\nWorld\n\n## Page 2\n\nSecond"
    assert [section.label for section in result.sections] == ["page 1", "page 2"]
    assert result.text[result.sections[1].start :].startswith("## Page 2")
    assert (result.format, result.facts, result.missing) == ("pdf", ("2 pages",), "")


async def test_pages_without_text_are_named(read: ReadText) -> None:
    result = await read("scan.pdf", pdf(["", show("text"), "", ""]))
    assert result.facts == ("4 pages", "no text on pages 1 and 3-4 (pictures or scans?)")
    assert result.text.count("It may be a picture, such as a scan.") == 3


async def test_beyond_the_limit_of_pages_the_rest_is_named(spool: Spool) -> None:
    reader = ChildReader(DocumentSettings(pdf_pages=3))
    result = await reader.read(spool("a.pdf", pdf([show(f"number {page}") for page in range(1, 8)])))
    assert result.kind == "document"
    assert "number 3" in result.text
    assert "number 4" not in result.text
    assert result.missing == "pages 4-7 of 7 (documents.pdfPages)"


async def test_far_too_many_pages_are_refused(spool: Spool) -> None:
    with pytest.raises(FileTooLarge, match=r"^a\.pdf has 12 pages"):
        await limited(pdf_pages_refused=10).read(spool("a.pdf", pdf([""] * 12)))


async def test_a_password_is_named_as_the_reason(read: ReadText) -> None:
    writer = pypdf.PdfWriter(BytesIO(pdf([show("secret")])))
    writer.encrypt("open sesame", algorithm="RC4-128")
    target = BytesIO()
    writer.write(target)
    with pytest.raises(UnreadableFile, match=r"^my file\.pdf is password-protected") as caught:
        await read("my file.pdf", target.getvalue())
    assert caught.value.param == "files[0]"


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
async def test_a_file_that_opens_without_a_password_is_read(read: ReadText, algorithm: str) -> None:
    writer = pypdf.PdfWriter(BytesIO(pdf([show("opened")])))
    writer.encrypt("", "secret", algorithm=algorithm)
    target = BytesIO()
    writer.write(target)
    assert "opened" in (await read("a.pdf", target.getvalue())).text


async def test_encryption_with_certificates_is_named_as_the_reason(read: ReadText) -> None:
    data = pdf([show("secret")]).replace(
        b"/Root 1 0 R", b"/Root 1 0 R/ID[<00><00>]/Encrypt<</Filter/Adobe.PubSec/SubFilter/adbe.pkcs7.s5/V 4>>"
    )
    with pytest.raises(UnreadableFile, match=r"^a\.pdf is encrypted for certain readers\. Send it without encryption\.$"):
        await read("a.pdf", data)


async def test_a_file_that_both_libraries_stumble_over_is_damaged(read: ReadText) -> None:
    with pytest.raises(UnreadableFile, match=r"^a\.pdf can't be read as a PDF: it is damaged or incomplete\.$"):
        await read("a.pdf", pdf([show("x")]).replace(b"trailer<<", b"trailer 5 <<"))


async def test_a_long_value_of_a_field_is_read(read: ReadText) -> None:
    long = "word " * 6_000
    notes = f"/Annots[<</Type/Annot/Subtype/Widget/FT/Tx/T(letter)/V({long}end)/Rect[0 0 9 9]/F 4>>]"
    text = (await read("a.pdf", pdf([show("Hello")], notes, "/AcroForm<</Fields[]>>"))).text
    assert f"- Field letter: {long}end" in text


async def test_the_rest_of_an_endless_value_is_marked(read: ReadText) -> None:
    notes = f"/Annots[<</Type/Annot/Subtype/Widget/FT/Tx/T(letter)/V({'word ' * 30_000})/Rect[0 0 9 9]/F 4>>]"
    text = (await read("a.pdf", pdf([show("Hello")], notes, "/AcroForm<</Fields[]>>"))).text
    assert text.endswith("word  …")
    assert text.count("word ") == 20_000


async def test_links_notes_and_fields_are_read(read: ReadText) -> None:
    notes = (
        "/Annots[<</Type/Annot/Subtype/Link/Rect[70 715 110 735]/A<</S/URI/URI(https://a.example/)>>>>"
        "<</Type/Annot/Subtype/Text/Rect[0 0 9 9]/Contents(Check this)/T(Ann)>>"
        "<</Type/Annot/Subtype/Widget/FT/Tx/T(city)/V(Bonn)/Rect[0 0 9 9]/F 4>>]"
    )
    text = (await read("a.pdf", pdf([show("Hello")], notes, "/AcroForm<</Fields[]>>"))).text
    assert "- Link: [Hello](https://a.example/)" in text
    assert "- Note by Ann: Check this" in text
    assert "- Field city: Bonn" in text


async def test_a_damaged_file_says_so(read: ReadText) -> None:
    with pytest.raises(UnreadableFile, match=r"^a\.pdf can't be read"):
        await read("a.pdf", pdf([show("Hello")])[:200])


@pytest.mark.parametrize("begins", [b"", b"%\xe2\xe3\xcf\xd3\n", b"% lost\r\n"])
async def test_a_file_that_lost_its_first_line_is_read(read: ReadText, begins: bytes) -> None:
    result = await read("a.pdf", begins + pdf([show("Hello")]).removeprefix(b"%PDF-1.4\n"))
    assert (result.format, result.text) == ("pdf", "## Page 1\n\nHello")


@pytest.mark.parametrize("text", ["1 0 obj is how it begins", "% a comment\n1 0 obj\n<<>>\nendobj", "The trailer says: 1 0 obj endobj"])
async def test_text_about_objects_is_text(read: ReadText, text: str) -> None:
    result = await read("a.txt", text.encode())
    assert (result.format, result.text) == ("text", text)


TURNS = ["1 0 0 1 0 0", "0 1 -1 0 792 0", "-1 0 0 -1 612 792", "0 -1 1 0 0 612"]


@pytest.mark.parametrize("matrix", TURNS)
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
async def test_lines_are_read_in_order_however_the_page_is_turned(read: ReadText, matrix: str, turn: int) -> None:
    lines = "".join(f"({line} line here) Tj 0 -14 Td " for line in ("First", "Second", "Third"))
    result = await read("a.pdf", pdf([f"q {matrix} cm BT /F1 12 Tf 72 500 Td {lines}ET Q"], f"/Rotate {turn}"))
    assert result.text == "## Page 1\n\nFirst line here\nSecond line here\nThird line here"


async def test_a_page_that_is_shown_as_a_picture_keeps_its_turn(read: ReadText) -> None:
    drawn = "72 500 300 20 re f BT /F1 12 Tf 72 600 Td <000001> Tj ET"
    (picture,) = (await read("a.pdf", pdf([drawn], "/Rotate 90"))).pictures
    assert picture.width > picture.height


def drawing(kind: str, words: str = "Signed by Ann Lee", flags: int = 4, catalog: str = "") -> bytes:
    """A page with an annotation whose words are in its appearance."""
    form = f"q BT /F1 12 Tf 5 5 Td ({words}) Tj ET Q"
    return objects_pdf(
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>",
        "<</Type/Pages/Count 1/Kids[3 0 R]>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 5 0 R>>>>/Contents 4 0 R/Annots[7 0 R]>>",
        "<</Length 38>>stream\nBT /F1 12 Tf 72 720 Td (The body) Tj ET\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        f"<</Type/XObject/Subtype/Form/BBox[0 0 200 30]/Resources<</Font<</F1 5 0 R>>>>/Length {len(form)}>>stream\n{form}\nendstream",
        f"<</Type/Annot{kind}/Rect[100 100 300 130]/F {flags}/AP<</N 6 0 R>>>>",
    )


FORM = "/AcroForm<</Fields[7 0 R]>>"


@pytest.mark.parametrize(
    ("kind", "catalog"),
    [
        ("/Subtype/Stamp", ""),
        ("/Subtype/Stamp/Name/Approved", FORM),
        ("/Subtype/FreeText/DA(/F1 12 Tf)", ""),
        ("/Subtype/Watermark", ""),
        ("/Subtype/Widget/FT/Sig/T(s)", FORM),
        ("/Subtype/Widget/FT/Sig/T(s)/V<</Type/Sig>>", FORM),
        ("/Subtype/Widget/FT/Tx/T(a)", ""),
    ],
)
async def test_what_stamps_and_signatures_say_is_read(read: ReadText, kind: str, catalog: str) -> None:
    text = (await read("a.pdf", drawing(kind, catalog=catalog))).text
    assert text == "## Page 1\n\nThe body\n\n- Stamps, signatures and text boxes: Signed by Ann Lee"


@pytest.mark.parametrize(
    ("kind", "flags", "shown"),
    [
        ("/Subtype/Stamp", 2, ""),  # hidden
        ("/Subtype/FreeText/Contents(Check this)", 4, "\n\n- Note: Check this"),
        ("/Subtype/Highlight", 4, ""),
        ("/Subtype/Widget/FT/Tx/T(city)/V(Bonn)", 4, "\n\n- Field city: Bonn"),
    ],
)
async def test_what_other_annotations_draw_is_not_said_twice(read: ReadText, kind: str, flags: int, shown: str) -> None:
    assert (await read("a.pdf", drawing(kind, flags=flags, catalog=FORM))).text == f"## Page 1\n\nThe body{shown}"


def test_page_numbers_are_named_in_runs() -> None:
    assert name_pages([2]) == "page 2"
    assert name_pages([1, 2, 3, 7]) == "pages 1-3 and 7"
    assert re.fullmatch(r"pages 1, 3, .* and 30 more places", name_pages(list(range(1, 100, 2))))

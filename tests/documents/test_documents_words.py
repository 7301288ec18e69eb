"""The words of pictures in the text of a document, wherever they were read."""

import pytest

from assistant.contracts.documents import DocumentPicture, ReadDocument, ReadImage, Section, lacks_words
from assistant.documents.ocr import OcrReader, add_words
from assistant.documents.settings import DocumentSettings
from tests.documents.making import OnePicture, Spool


def document(text: str, pictures: int = 2) -> ReadDocument:
    """Its sections begin at the headings."""
    starts = [place for place in range(len(text)) if text.startswith("## ", place)]
    return ReadDocument(
        format="pdf",
        text=text,
        sections=tuple([Section(label=f"page {number}", start=start) for number, start in enumerate(starts, start=1)]),
        pictures=tuple(
            [
                DocumentPicture(number=each, label="", media_type="image/png", width=9, height=9, data=b"x")
                for each in range(1, pictures + 1)
            ]
        ),
    )


def words(number: int, text: str) -> str:
    return f"\n\n[Words in picture {number}, read by OCR, which makes mistakes:]\n{text}\n[End of picture {number}.]"


PAGES = "## Page 1\n\n[Picture 1: page 1]\n\n## Page 2\n\n[Picture 2: page 2]"


@pytest.mark.parametrize(
    ("text", "found", "wanted", "missing"),
    [
        (
            PAGES,
            ["Dear Ann", "Yours"],
            f"## Page 1\n\n[Picture 1: page 1]{words(1, 'Dear Ann')}\n\n## Page 2\n\n[Picture 2: page 2]{words(2, 'Yours')}",
            "",
        ),
        (PAGES, ["", ""], PAGES, ""),
        (PAGES, ["", None], PAGES, "the words in picture 2: OCR failed"),
        (PAGES, [], PAGES, "the words in pictures 1, 2: OCR has 60 s for a file"),
        (PAGES, [None], PAGES, "the words in picture 1: OCR failed; the words in picture 2: OCR has 60 s for a file"),
        (
            "| [Picture 1: a, 90×90] |\n| --- |\n| 1 |\n\nEnd [Picture 1: a, 90×90]",
            ["Hat", "no mark"],
            f"| [Picture 1: a, 90×90] |\n| --- |\n| 1 |{words(1, 'Hat')}\n\nEnd [Picture 1: a, 90×90]",
            "",
        ),
        ("[Picture 12]\n\n[Picture 1]", ["one"], f"[Picture 12]\n\n[Picture 1]{words(1, 'one')}", "…"),
    ],
)
def test_words_stand_behind_the_paragraph_of_the_mark(text: str, found: list[str | None], wanted: str, missing: str) -> None:
    made = add_words(document(text), found)
    assert made.text == wanted
    assert missing in {made.missing, "…"}
    assert [made.text[section.start :][:9] for section in made.sections] == ["## Page 1", "## Page 2"][: len(made.sections)]
    assert (lacks_words(document(text)), lacks_words(made)) == (True, bool(made.missing))


async def test_a_picture_whose_words_can_not_be_read_is_a_picture_without_them(spool: Spool) -> None:
    """Where OCR is not installed, its process fails alike."""
    reader = OcrReader(OnePicture(b"none"), DocumentSettings())
    read = await reader.read(spool("a.png", b"a"), words=True)
    await reader.close()
    assert isinstance(read, ReadImage)
    assert (read.words, lacks_words(read)) == (None, True)

"""Words of PDF pages: ligatures of right-to-left scripts, and words that the end of a line broke."""

from collections.abc import Sequence

import pytest

from assistant.documents.formats.pdf_text import are_torn, join_lines
from tests.documents.making import ReadText, objects_pdf, pdf


def unmapped(known: str, unknown: int) -> bytes:
    """A page with words in Helvetica, and letters of a font that doesn't say which characters they are."""
    content = f"BT /F1 12 Tf 72 720 Td ({known}) Tj ET BT /F2 12 Tf 72 600 Td <{''.join(f'{code:04x}' for code in range(60, 60 + unknown))}> Tj ET"
    system = "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
    return objects_pdf(
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Count 1/Kids[3 0 R]>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 5 0 R/F2 6 0 R>>>>/Contents 4 0 R>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[7 0 R]>>",
        f"<</Type/Font/Subtype/CIDFontType2/BaseFont/X{system}/DW 600/FontDescriptor 8 0 R>>",
        "<</Type/FontDescriptor/FontName/X/Flags 4/FontBBox[0 -200 600 800]/Ascent 800/Descent -200/ItalicAngle 0/CapHeight 700/StemV 80>>",
    )


@pytest.mark.parametrize(("known", "unknown"), [("", 1), ("", 40), ("Known words", 9), ("Known words " * 6, 60)])
async def test_a_page_whose_letters_are_unknown_says_so_and_is_shown(read: ReadText, known: str, unknown: int) -> None:
    result = await read("a.pdf", unmapped(known, unknown))
    assert known.strip() in result.text
    assert "The characters of this page may be wrong or missing" in result.text
    assert "[Picture 1: page 1]" in result.text
    assert [picture.label for picture in result.pictures] == ["page 1"]


@pytest.mark.parametrize(("known", "unknown"), [("Known words " * 12, 1), ("Known words " * 12, 9), ("Known", 0)])
async def test_a_few_unknown_signs_are_no_reason_to_doubt_a_page(read: ReadText, known: str, unknown: int) -> None:
    result = await read("a.pdf", unmapped(known, unknown))
    assert "may be wrong" not in result.text
    assert result.pictures == ()


WORDS = "Ocean Plaza holds the meetings of Container Lines Limited on each Friday at noon."


def torn(space: float) -> bytes:
    """Words that are set `space` apart, letter by letter, except for their last ones: as programs that read scans place them."""
    lines = (
        f"1 0 0 1 40 {720 - 20 * row} Tm " + "".join(f"{space} Tc ({word[:-1]}) Tj 0 Tc ({word[-1]} ) Tj " for word in WORDS.split())
        for row in range(5)
    )
    return pdf([f"BT /F1 7 Tf {''.join(lines)}ET"])


@pytest.mark.parametrize("space", [0, 0.5, 1.5, 2.5])
async def test_letters_that_stand_apart_from_their_words_are_joined(read: ReadText, space: float) -> None:
    assert (await read("a.pdf", torn(space))).text.split() == ["##", "Page", "1", *WORDS.split() * 5]


@pytest.mark.parametrize(
    ("words", "are"),
    [
        ("Singapor e an d Beijin g " * 10, True),
        ("N O TI C E O F P U B L I C H E A RI N G \r\n" * 5, True),
        ("Th e Metropoli s Towe r\r\n" * 10, True),
        ("Singapor e an d Beijin g", False),  # too few to tell
        ("I have a cat and e is a number, y another. " * 9, False),
        ("А я в доме и у окна с котом к вам о том. " * 9, False),
        ("W domu i w ogrodzie z kotem o nim k v s u. " * 9, False),
        ("A, B, C = 0.00, 0.05, 0.10 " * 9, False),
        ("w\r\nw\r\nw\r\n" * 20, False),
        ("中 文 字 符 在 这 里 " * 9, False),
        ("John F Kennedy wrote to Harry S Truman about the whole of the matter that they had before them again and again. " * 3, False),
        ("", False),
    ],
)
def test_torn_words_are_known(words: str, are: bool) -> None:
    assert are_torn(words) is are


def glyphs(letters: Sequence[str], *more: str) -> bytes:
    """A PDF whose line shows one glyph for each text, the last one leftmost, as right-to-left lines are drawn. `more`: streams of the page."""
    codes = range(1, len(letters) + 1)
    pairs = "".join(f"<{code:04x}> <{text.encode('utf-16-be').hex()}>\n" for code, text in zip(codes, letters, strict=True))
    content = f"BT /F1 20 Tf 100 700 Td <{''.join(f'{code:04x}' for code in reversed(codes))}> Tj ET"
    mapping = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def 1 begincodespacerange <0000> <ffff> "
        f"endcodespacerange {len(letters)} beginbfchar\n{pairs}endbfchar endcmap end end"
    )
    system = "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
    return objects_pdf(
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Count 1/Kids[3 0 R]>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 5 0 R>>>>"
        f"/Contents[4 0 R{''.join(f' {9 + number} 0 R' for number in range(len(more)))}]>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[6 0 R]/ToUnicode 7 0 R>>",
        f"<</Type/Font/Subtype/CIDFontType2/BaseFont/X{system}/DW 600/FontDescriptor 8 0 R>>",
        f"<</Length {len(mapping)}>>stream\n{mapping}\nendstream",
        "<</Type/FontDescriptor/FontName/X/Flags 4/FontBBox[0 -200 600 800]/Ascent 800/Descent -200/ItalicAngle 0/CapHeight 700/StemV 80>>",
        *more,
    )


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        (["ا", "لإ", "ن", "ت", "ا", "ج"], "الإنتاج"),
        (["ا", "ل", "م", "ش", "ك", "لا", "ت"], "المشكلات"),
        (["خ", "لا", "ل"], "خلال"),
        (["ا", "لأ", "ع", "م", "ا", "ل"], "الأعمال"),
        (["ا", "لآ", "ن"], "الآن"),
        (["ب", "\ufedf", "\ufefc"], "بللا"),  # one character for the ligature, which pdfium takes apart itself
        (["\ufefb", "ب"], "لاب"),
        (["\ufdf2", "\u0020", "أ"], "الله أ"),
        (["الله", " ", "أ"], "الله أ"),
        (["جح", "ب"], "جحب"),  # either order of these letters is a ligature: pypdf reads the page
        (["حج", "ب"], "حجب"),
        (["لاً", "ب"], "لاًب"),
        (["محمد", " ", "رسول"], "محمد رسول"),
        (["کہ", " ", "ں"], "کہ ں"),
        (["وو", "ש"], "ووש"),
        (["שׁל", "ום"], "שׁלום"),
        (["\ufb4f", "ש"], "אלש"),
        (["ש", "\u05bc", "ל"], "שּל"),
    ],
)
async def test_the_letters_of_a_ligature_keep_their_order(read: ReadText, letters: list[str], words: str) -> None:
    assert words in (await read("a.pdf", glyphs(letters))).text


async def test_a_page_that_pypdf_fails_at_keeps_the_text_of_pdfium(read: ReadText) -> None:
    letters = ["جح", "ب"]
    assert "جحب" in (await read("a.pdf", glyphs(letters, "<</Length 1>>stream\n \nendstream"))).text
    text = (await read("a.pdf", glyphs(letters, "<</Length 1/Filter/Crypt/DecodeParms<</Name/StdCF>>>>stream\n \nendstream"))).text
    assert "ب" in text


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("con|firming", "confirming"),
        ("(inter|na|tional)", "(international)"),
        ("COVID|19", "COVID-19"),
        ("F|16", "F-16"),
        ("2019|2020", "2019-2020"),
        ("Müller|Lüdenscheidt", "Müller-Lüdenscheidt"),
        ("Jean|Paul", "Jean-Paul"),
        ("NATO|Gipfel", "NATO-Gipfel"),
        ("https://example.com/foo|bar", "https://example.com/foo-bar"),
        ("www.a|b.example", "www.a-b.example"),
        ("example.org/some|thing", "example.org/some-thing"),
        ("anna|maria@x.example", "anna-maria@x.example"),
        ("/usr/lib/foo|bar", "/usr/lib/foo-bar"),
        ("state-of-the|art", "state-of-the-art"),
        ("state|of-the-art", "state-of-the-art"),
        ("e|mail", "e-mail"),
        ("x|ray", "x-ray"),
        ("short|and long-term", "short- and long-term"),
        ("Vor|und Nachteile", "Vor- und Nachteile"),
        ("Haupt|oder Nebensatz", "Haupt- oder Nebensatz"),
        ("thous|and people", "thousand people"),
        ("long-stand|ing; standing", "long-standing; standing"),
        ("INTRO|DUCTION introduction", "INTRODUCTION introduction"),
        ("chat|optimized; a chat is optimized", "chat-optimized; a chat is optimized"),
        ("multi|agent; a multi-agent system", "multi-agent; a multi-agent system"),
        ("co|operate; cooperate", "cooperate; cooperate"),
        ("well|, he said", "well-, he said"),
    ],
)
def test_a_hyphen_at_the_end_of_a_line_stays_where_it_belongs(broken: str, whole: str) -> None:
    assert join_lines([broken.replace("|", "\ufffe")]) == [whole]
    assert join_lines([broken.replace("|", "\x02")]) == [whole]


async def test_hyphens_of_a_page_are_joined_as_it_is_drawn(read: ReadText) -> None:
    lines = "".join(f"({line}) Tj 0 -14 Td " for line in ("the COVID-", "19 virus is con-", "firmed at foo.example/a-", "b today"))
    content = f"BT /F1 12 Tf 72 720 Td {lines}ET"
    data = objects_pdf(
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Count 1/Kids[3 0 R]>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 5 0 R>>>>/Contents 4 0 R>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    text = (await read("a.pdf", data)).text
    assert "COVID-19 virus is confirmed at foo.example/a-b today" in " ".join(text.split())


@pytest.mark.parametrize("hidden", ["", "\\000" * 40])
async def test_characters_without_text_do_not_shift_what_a_heading_is(read: ReadText, hidden: str) -> None:
    body = "".join(f"0 -16 Td (Some words of the body, number {number}.) Tj " for number in range(12))
    page = f"BT /F1 12 Tf 72 720 Td (The first line{hidden} of it.) Tj {body}/F1 20 Tf 0 -40 Td (A heading) Tj /F1 12 Tf {body}ET"
    text = (await read("a.pdf", pdf([page]))).text
    assert [line for line in text.split("\n") if line.startswith("###")] == ["### A heading"]
    assert "The first line of it." in text

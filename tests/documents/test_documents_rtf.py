"""RTF: everything a person sees on its pages, in any code page; and files made to cost much."""

import pytest

from assistant.contracts.errors import UnreadableFile
from tests.documents.making import ReadText

LINK = r'{\field{\*\fldinst{HYPERLINK "https://a.example/x"}}{\fldrslt our page}}'
ROW = r"\trowd\cellx1000\cellx2000\pard\intbl %s\cell\pard\intbl %s\cell\row"


def box(ticked: int, default: int = 0) -> str:
    form = rf"{{\*\formfield{{\fftype1\ffres{ticked}\fftypetxt0\ffhps20{{\*\ffname a}}\ffdefres{default}}}}}"
    return rf"{{\field{{\*\fldinst{{FORMCHECKBOX {form}}}}}{{\fldrslt}}}}"


def choice(result: int, shown: str = "") -> str:
    form = rf"{{\*\formfield{{\fftype2\ffres{result}\ffhaslistbox{{\*\ffl red}}{{\*\ffl green}}{{\*\ffl blue}}}}}}"
    return rf"{{\field{{\*\fldinst{{FORMDROPDOWN {form}}}}}{{\fldrslt {shown}}}}}"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (r"One\par Two", "One\nTwo"),
        (r"One\par\par Two", "One\n\nTwo"),
        (r"a\line b\tab c", "a\nb\tc"),
        (r"\{x\} \\ 5\~m\_n so\-ft", "{x} \\ 5\xa0m-n soft"),
        (r"\ldblquote q\rdblquote  \endash  \bullet", "“q” – •"),
        ("broken \r\nlines and\r\n words", "broken lines and words"),
        ("Line\\\nNext", "Line\nNext"),
        (r"{\header HEAD\par}Main{\footer FOOT}", "Header: HEAD\n\nMain\n\nFooter: FOOT"),
        (r"{\headerl L}{\headerr R}{\headerf F}Main", "Header: L\n\nHeader: R\n\nHeader: F\n\nMain"),
        (r"{\headerl Same}{\headerr Same}Main", "Header: Same\n\nMain"),
        (r"Main{\footnote\pard Note \chftn .}.", "Main[^1].\n\n[^1]: Note ."),
        (r"A{\footnote one}B{\footnote\ftnalt two}", "A[^1]B[^2]\n\n[^1]: one\n\n[^2]: two"),
        (r"A{\footnote {\b bold {\i deep}}}", "A[^1]\n\n[^1]: bold deep"),
        (LINK, "[our page](https://a.example/x)"),
        (r'{\field{\*\fldinst HYPERLINK "https://a.example/" \\l "part"}{\fldrslt p}}', "[p](https://a.example/#part)"),
        (r'{\field{\*\fldinst HYPERLINK \\l "_Toc1"}{\fldrslt Chapter}}', "Chapter"),
        (r"{\field{\*\fldinst PAGE}{\fldrslt 7}}", "7"),
        (r"\u-10179?\u-8704? \u8364? \u233e\u128578", "😀 € é🙂"),
        (r"\uc2\u8364\'80x!\uc0\u8364 !", "€!€!"),
        (r"{\upr{ANSI}{\*\ud{\u1071?}}}", "Я"),
        (ROW % ("a", "b") + ROW % ("1", ""), "| a | b |\n| --- | --- |\n| 1 |  |"),
        (
            r"\trowd\cellx1\cellx2 a\cell b\cell\row\trowd\cellx1\cellx2 c\par d\cell\cell\row After",
            "| a | b |\n| --- | --- |\n| c<br>d |  |\n\nAfter",
        ),
        (r"Before\par" + ROW % ("a", "b") + r"\pard After", "Before\n\n| a | b |\n| --- | --- |\n\nAfter"),
        (r"\trowd\pard\intbl framed\cell\row\pard x", "framed\n\nx"),
        (r"Anchor{\shp{\*\shpinst\shpleft1{\sp{\sn pib}{\sv 1}}{\shptxt Boxed\par}}{\shprslt Boxed}}\par Next", "Anchor\n\nBoxed\n\nNext"),
        (r"{\*\unheardof lost}{\*\generator X;}kept", "kept"),
        (r"{\i0\b0\*\cs7\f2 Lost group}", "Lost group"),
        (r"{\*\cs7 styled}", "styled"),
        (r"{\v hidden}shown\v x\v0 y", "showny"),
        (r"{\info{\title T}}{\colortbl;\red0;}{\*\listtable{\list x}}text", "text"),
        (r"{\pict\pngblip 89504e47}x", "[Picture]x"),
        (r"{\*\shppict{\pict 00}}{\nonshppict{\pict 00}}", "[Picture]"),
        (r"{\listtext\'b7\tab}Item", "- Item"),
        (r"{\pntext 2.\tab}Item", "2. Item"),
        (r"{\stylesheet{\s1\outlinelevel0 heading 1;}{\s2 x;}}\pard\s1 Title\par\pard\s2 Text", "# Title\n\nText"),
        (r"\pard\outlinelevel1 Part\par\pard Text", "## Part\n\nText"),
        (r"Was{\*\atnauthor Ann}{\*\annotation Why?\par}", "Was\n\n- Comment by Ann: Why?"),
        (box(1) + " yes", "[x] yes"),
        (box(0, 1) + " no", "[ ] no"),
        (box(25, 1) + " default", "[x] default"),
        (choice(2), "blue"),
        (choice(1, "green"), "green"),
        (r"{\object{\*\objdata 0102}{\result shown}}", "shown"),
        ("", "(No text was found in this file.)"),
    ],
)
async def test_words_of_rtf_are_read(read: ReadText, inner: str, text: str) -> None:
    assert (await read("a.rtf", rf"{{\rtf1\ansi\deff0 {inner}}}".encode("latin-1"))).text == text


@pytest.mark.parametrize(
    ("head", "encoding", "words"),
    [
        (r"\ansi", "cp1252", "Größe €"),
        (r"\ansi\ansicpg1250", "cp1250", "Győző"),
        (r"\ansi\ansicpg1251", "cp1251", "Привет"),
        (r"\ansi\ansicpg1255", "cp1255", "שלום"),
        (r"\ansi\ansicpg932", "cp932", "日本語 ソフト"),
        (r"\ansi\ansicpg936", "gbk", "中文"),
        (r"\ansi\ansicpg65001", "utf-8", "Größe ✓"),
        (r"\mac", "mac_roman", "Größe"),
        (r"\pc", "cp437", "Größe"),
        (r"\pca", "cp850", "Größe"),
        (r"\ansi\ansicpg99999", "cp1252", "Größe"),
        (r"\ansi{\fonttbl{\f0\fcharset204 Arial;}}\f0", "cp1251", "Привет"),
        (r"\ansi{\fonttbl{\f0\fnil\fcharset128 MS;}{\f3\fcharset161 X;}}\f3", "cp1253", "Ελλάδα"),
        (r"\ansi{\fonttbl{\f1\fcharset238 X;}}\deff1", "cp1250", "Źdźbło"),
        (r"\ansi{\fonttbl{\f1\cpg1251 X;}}\f1", "cp1251", "Привет"),
    ],
)
async def test_code_pages_are_followed(read: ReadText, head: str, encoding: str, words: str) -> None:
    escaped = "".join(rf"\'{byte:02x}" for byte in words.encode(encoding))
    assert (await read("a.rtf", rf"{{\rtf1{head} {escaped}}}".encode())).text == words
    assert (
        await read(
            "a.rtf", b"{\\rtf1" + head.encode() + b" " + words.encode(encoding).replace(b"\\", b"\\'5c").replace(b"{", b"\\'7b") + b"}"
        )
    ).text == words


async def test_the_font_of_a_group_ends_with_it(read: ReadText) -> None:
    data = rb"{\rtf1\ansi{\fonttbl{\f0 A;}{\f1\fcharset204 B;}}\f0 \'e9{\f1 \'e9}\'e9}"
    assert (await read("a.rtf", data)).text == "éйé"


async def test_binary_data_is_no_text(read: ReadText) -> None:
    assert (await read("a.rtf", rb"{\rtf1 a{\pict\bin9 }}{\x\y\z}b}")).text == "a[Picture]b"
    assert (await read("a.rtf", rb"{\rtf1 a\bin3 }}}b}")).text == "ab"
    assert (await read("a.rtf", rb"{\rtf1 a\bin999999999 b}")).text == "a"
    assert (await read("a.rtf", rb"{\rtf1 a\bin-5 b}")).text == "ab"


@pytest.mark.parametrize(
    "data", [rb"{\rtf1 cut {\b off", rb"{\rtf1 cut off}}}}} ", rb"{\rtf1 cut off\u", rb"{\rtf1 cut off\'4", b"{\\rtf1 cut off\\"]
)
async def test_what_is_there_of_a_damaged_file_is_read(read: ReadText, data: bytes) -> None:
    assert (await read("a.rtf", data)).text.startswith("cut off")


async def test_groups_too_deep_are_refused(read: ReadText) -> None:
    assert (await read("a.rtf", b"{\\rtf1 " + b"{" * 900 + b"deep" + b"}" * 900 + b"}")).text == "deep"
    with pytest.raises(UnreadableFile, match=r"^a\.rtf is nested too deeply to read"):
        await read("a.rtf", b"{\\rtf1 " + b"{" * 2_000_000)

"""Outlook messages: who wrote what to whom when, in each form in which Outlook keeps the text, and what is attached."""

import struct

import pytest

from assistant.contracts.errors import UnreadableFile
from assistant.documents.formats.outlook import unpack_rtf
from tests.documents.compound import Tree, compound
from tests.documents.making import ReadText

WHEN = 133_775_942_400_000_000
"""2024-12-02 06:24 UTC, in tenths of microseconds since 1601."""


def texts(properties: dict[int, str], encoding: str = "") -> Tree:
    kind = "001E" if encoding else "001F"
    return {f"__substg1.0_{key:04X}{kind}": value.encode(encoding or "utf-16-le") for key, value in properties.items()}


def numbers(head: int, **values: int) -> Tree:
    kinds = {"date": (0x40, 0x0039), "page": (0x03, 0x3FFD), "kind": (0x03, 0x0C15)}
    packed = b"".join(struct.pack("<HHIQ", *kinds[name], 6, value) for name, value in values.items())
    return {"__properties_version1.0": bytes(head) + packed}


def person(name: str, address: str, kind: int = 1) -> Tree:
    return {**texts({0x3001: name, 0x39FE: address}), **numbers(8, kind=kind)}


LETTER: Tree = {
    **numbers(32, date=WHEN),
    **texts({0x0037: "Offer", 0x0C1A: "Ann Lee", 0x5D01: "ann@a.example", 0x1000: "Dear Bo,\r\nyes."}),
}


async def test_the_letter_is_read(read: ReadText) -> None:
    letter: Tree = {
        **LETTER,
        "__recip_version1.0_#00000000": person("Bo", "bo@b.example"),
        "__recip_version1.0_#00000001": person("Cy", "cy@c.example", 2),
        "__recip_version1.0_#00000002": person("di@d.example", "di@d.example", 1),
        "__attach_version1.0_#00000000": {**texts({0x3707: "a long name.pdf", 0x3704: "ALONG~1.PDF"}), "__substg1.0_37010102": b"%PDF"},
        "__attach_version1.0_#00000001": texts({0x3704: "B.TXT"}),
    }
    result = await read("a.msg", compound(letter))
    assert result.text == (
        "From: Ann Lee <ann@a.example>\nTo: Bo <bo@b.example>, di@d.example\nCc: Cy <cy@c.example>\nDate: 2024-12-02 06:24 UTC\n"
        "Subject: Offer\n\nDear Bo,\nyes.\n\nAttached files (not read): a long name.pdf, B.TXT"
    )
    assert (result.format, result.facts) == ("msg", ("1 message", "2 attached files"))


def _rtf(words: bytes) -> bytes:
    return struct.pack("<IIII", len(words) + 12, len(words), int.from_bytes(b"MELA", "little"), 0) + words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (texts({0x1000: "Plain"}), "Plain"),
        ({"__substg1.0_10130102": b"<html><body><p>From a <b>page</b></p></body></html>"}, "From a page"),
        (texts({0x1013: "<p>As text</p>"}), "As text"),
        ({**texts({0x1000: "Plain"}), "__substg1.0_10130102": b"<p>Page</p>"}, "Plain"),
        (
            {
                **texts({0x1000: "a b 1 2"}),
                "__substg1.0_10130102": b"<table><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>2</td></tr></table>",
            },
            "| a | b |\n| --- | --- |\n| 1 | 2 |",
        ),
        ({"__substg1.0_10090102": _rtf(rb"{\rtf1\ansi From \b RTF\b0\par}")}, "From RTF"),
        ({**texts({0x1000: " \r\n"}), "__substg1.0_10130102": b"<p>Page</p>"}, "Page"),
        (texts({0x1000: "Смысл"}, "cp1251") | numbers(32, page=1251), "Смысл"),
        (texts({0x1000: "Größe"}, "cp1252"), "Größe"),
        (texts({0x1000: "日本"}, "cp932") | numbers(32, page=932), "日本"),
        (texts({0x1000: "Grüße 😀"}), "Grüße 😀"),
        ({}, ""),
    ],
)
async def test_each_form_of_the_text_is_read(read: ReadText, body: Tree, words: str) -> None:
    result = await read("a.msg", compound({**numbers(32), **texts({0x0037: "S"}), **body}))
    assert result.text == f"Subject: S\n\n{words}".strip()


async def test_a_message_attached_to_another_is_read(read: ReadText) -> None:
    inner = {**LETTER, **numbers(24)}
    folder: Tree = {"__substg1.0_3701000D": inner}
    text = (await read("a.msg", compound({**numbers(32), **texts({0x0037: "Fw"}), "__attach_version1.0_#00000000": folder}))).text
    assert text == "Subject: Fw\n\nAttached message:\n\nFrom: Ann Lee <ann@a.example>\nSubject: Offer\n\nDear Bo,\nyes."


async def test_messages_within_each_other_end(read: ReadText) -> None:
    tree: Tree = {**numbers(24), **texts({0x0037: "deepest"})}
    for level in range(9):
        tree = {**numbers(24), **texts({0x0037: f"level {level}"}), "__attach_version1.0_#00000000": {"__substg1.0_3701000D": tree}}
    text = (await read("a.msg", compound({**numbers(32), **tree}))).text
    assert text.count("Subject:") == 5
    assert "deepest" not in text


async def test_a_damaged_message_says_so(read: ReadText) -> None:
    data = compound(LETTER)
    with pytest.raises(UnreadableFile, match=r"^a\.msg can't be read"):
        await read("a.msg", data[:600] + data[600 + len(data) // 2 :])


@pytest.mark.parametrize("missing", [1, 100, 511, 512])
async def test_a_message_without_the_table_of_its_sectors_is_refused(read: ReadText, missing: int) -> None:
    with pytest.raises(UnreadableFile, match=r"^a\.msg can't be read as an Outlook message"):
        await read("a.msg", compound(LETTER)[:-missing])


async def test_a_stream_whose_chain_leads_back_to_itself_ends(read: ReadText) -> None:
    data = bytearray(compound({**numbers(32), **texts({0x0037: "Loop"}), "__substg1.0_1000001F": "x".encode("utf-16-le") * 9_000}))
    first = data.index("x".encode("utf-16-le") * 9_000) // 512 - 1
    entry = data.index("__substg1.0_1000001F".encode("utf-16-le"))
    struct.pack_into("<I", data, entry + 120, 0x7FFFFFFF)  # its size
    table = len(data) - 512
    struct.pack_into("<I", data, table + 4 * first, first)
    assert (await read("a.msg", bytes(data))).text.startswith("Subject: Loop\n\nxxxx")


@pytest.mark.parametrize(
    ("packed", "text"),
    [
        # the two examples of MS-OXRTFCP 3.1 and 3.2
        (
            "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0",
            "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n",
        ),
        ("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0", "{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"),
    ],
)
def test_compressed_rtf_is_unpacked(packed: str, text: str) -> None:
    out = unpack_rtf(bytes.fromhex(packed))
    assert out.decode() == text


@pytest.mark.parametrize("data", [b"", b"x" * 15, struct.pack("<II4sI", 9, 9, b"????", 0)])
def test_what_is_no_compressed_rtf_is_refused(data: bytes) -> None:
    with pytest.raises(Exception, match="damaged"):
        unpack_rtf(data)

"""Files made to break readers: each is answered clearly, in time, and costs the server next to nothing."""

import random
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.contracts.errors import FileTooLarge, NanobotError, UnreadableFile
from assistant.documents.formats.office.package import OfficeArchive
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from tests.documents.making import SLOW, ReadText, Spool, element, limited, office, pack, paragraph, pdf, refusal, relations, word

MIB = 1024 * 1024
DOCTYPE = '<!DOCTYPE a [<!ENTITY a "b">]>'
MAIN = {"_rels/.rels": relations([("a", "officeDocument", "word/document.xml")])}


def _bomb() -> bytes:
    return pack({**MAIN, "word/document.xml": b"<w:document>" + b" " * 120 * MIB})


def _liar() -> bytes:
    """Says in both of its directories that its part is small."""
    size = 20 * MIB
    data = pack({**MAIN, "word/document.xml": b"liar" * (size // 4)})
    assert struct.pack("<I", size) in data
    return data.replace(struct.pack("<I", size), struct.pack("<I", 1_000))


def _crowd() -> bytes:
    return pack({**MAIN, **{f"word/{number}.xml": "<a/>" for number in range(1_001)}})


def _flood() -> bytes:
    """A million and more elements in nine megabytes, not packed too well."""
    digits = random.Random(2)
    return word("".join("<w:p/>" if number % 40 else f'<w:p w:x="{digits.random()}"/>' for number in range(1_300_000)))


def _deep() -> bytes:
    return word("<w:p>" * 2_000 + "</w:p>" * 2_000)


def _deep_tables() -> bytes:
    return word("<w:tbl><w:tr><w:tc>" * 400 + paragraph("x") + "</w:tc></w:tr></w:tbl>" * 400)


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(9))
    return pack({**MAIN, "word/document.xml": f"<!DOCTYPE w:document [{entities}]><w:document>&a8;</w:document>"})


def _pages() -> bytes:
    return pdf([""] * 100_000)


def _endless_pages() -> bytes:
    return b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 9000/Kids[2 0 R 2 0 R]>>endobj\ntrailer<</Root 1 0 R>>"


def _angles() -> bytes:
    """Takes a parser minutes that looks for the end of each tag."""
    return b"<html>" + b"<" * 3_000_000


def _nested() -> bytes:
    return b"<html>" + b"<div><font>" * 20_000 + b"deep"


def _wide() -> bytes:
    """A cell in two corners of the largest sheet, the rows in an order that hides it."""
    cells = '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row><row r="1"><c r="A1"><v>1</v></c></row>'
    return pack(
        {
            "_rels/.rels": relations([("a", "officeDocument", "xl/workbook.xml")]),
            "[Content_Types].xml": "<Types/>",
            "xl/workbook.xml": element("workbook", '<sheets><sheet name="S" sheetId="1" r:id="b"/></sheets>'),
            "xl/_rels/workbook.xml.rels": relations([("b", "worksheet", "worksheets/s.xml")]),
            "xl/worksheets/s.xml": element("worksheet", f"<sheetData>{cells}</sheetData>"),
        }
    )


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (_bomb, FileTooLarge),
        (_liar, FileTooLarge),
        (_crowd, FileTooLarge),
        (_flood, None),
        (_deep, UnreadableFile),
        (_deep_tables, UnreadableFile),
        (_laughs, UnreadableFile),
        (_pages, FileTooLarge),
        (_endless_pages, None),
        (_angles, None),
        (_nested, None),
        (_wide, UnreadableFile),
    ],
)
async def test_the_answer_is_clear_quick_and_cheap(
    reader: ChildReader, spool: Spool, make: Callable[[], bytes], error: type[NanobotError] | None
) -> None:
    upload = spool("evil.bin", make())
    before, start = _memory(), time.monotonic()
    failed = await refusal(reader, upload)
    assert time.monotonic() - start < 60
    assert _memory() - before < 50 * MIB
    assert error is None or type(failed) is error
    assert failed is None or failed.message.startswith("evil.bin ")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"word/document.xml": b"abcdefgh" * (33 * MIB // 8)}, "holds a part that unpacks to more than 32 MiB"),
        ({"word/document.xml": bytes(5 * MIB)}, "unpacks to far more than its size"),
        (
            {f"word/media/{number}.bin": random.Random(number).randbytes(MIB // 16) * 150 for number in range(17)},
            "unpacks to more than 150 MiB",
        ),
    ],
    ids=["part", "ratio", "sum"],
)
async def test_each_limit_of_an_archive_is_named(spool: Spool, parts: dict[str, bytes], words: str) -> None:
    reader = limited(archive_ratio=100 if "far more" in words else 10_000)
    with pytest.raises(FileTooLarge, match=f"^a\\.docx {words}"):
        await reader.read(spool("a.docx", pack({**MAIN, "word/a.xml": "<a/>", **parts})))


async def test_what_no_reader_looks_into_is_no_reason_to_refuse(read: ReadText) -> None:
    main = element("w:document", f"<w:body>{paragraph('x')}</w:body>")
    statistics = {"docProps/app.xml": bytes(40 * MIB), "customXml/item1.xml": bytes(5 * MIB)}
    assert (await read("a.docx", pack({**MAIN, "word/document.xml": main, **statistics}))).text == "x"


def _changed(old: bytes, new: bytes, place: int) -> bytes:
    """A document of which one of the two directories, 0 or -1, says something else of the part with the text."""
    data = pack({**MAIN, "word/document.xml": element("w:document", f"<w:body>{paragraph('x')}</w:body>")})
    parts = data.split(old)
    assert len(parts) > 2
    cut = place % (len(parts) - 1) + 1
    return old.join(parts[:cut]) + new + old.join(parts[cut:])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"word/document.xml", b"word/Document.xml"),
        (struct.pack("<I", zlib.crc32(element("w:document", f"<w:body>{paragraph('x')}</w:body>").encode())), b"abcd"),
    ],
    ids=["name", "sum"],
)
async def test_a_part_that_is_not_what_the_directory_says_is_damaged(reader: ChildReader, spool: Spool, old: bytes, new: bytes) -> None:
    with pytest.raises(UnreadableFile, match=r"^a\.docx can't be read as a Word document: it is damaged"):
        await reader.read(spool("a.docx", _changed(old, new, -1)))


@pytest.mark.parametrize("memory_mib", [1, 20, 512])
def test_each_part_is_read_whatever_memory_holds(memory_mib: int) -> None:
    parts: dict[str, str | bytes] = {f"{number}.xml": f"<a>{number}{'x' * 300_000}</a>" for number in range(20)}
    archive = OfficeArchive(pack(parts), replace(DocumentSettings().limits(), memory_mib=memory_mib, archive_ratio=10_000), what="a book")
    for _ in range(2):
        assert [archive.part(name) for name in parts] == [str(content).encode() for content in parts.values()]


def _typed(name: str = "word/document.xml", *, before: str = "", encoding: str = "UTF-8") -> bytes:
    """A document with a document type declaration, otherwise without fault."""
    document = element("w:document", f"<w:body>{paragraph('x')}</w:body>").replace("UTF-8", encoding)
    typed = document.replace("?>", f"?>{before}{DOCTYPE}", 1)
    return office({"_rels/.rels": relations([("a", "officeDocument", name)]), name: typed.encode(encoding)})


def _typed_relations() -> bytes:
    links = DOCTYPE + relations([("a", "officeDocument", "word/document.xml")])
    return office({"_rels/.rels": links, "word/document.xml": element("w:document", f"<w:body>{paragraph('x')}</w:body>")})


@pytest.mark.parametrize(
    "data",
    [_typed(), _typed(before=f"<!--{' ' * 300_000}-->"), _typed(encoding="UTF-16"), _typed("word/document.dat"), _typed_relations()],
    ids=["plain", "late", "utf-16", "other suffix", "relations"],
)
async def test_a_document_type_is_refused(reader: ChildReader, spool: Spool, data: bytes) -> None:
    with pytest.raises(UnreadableFile, match=r"^a\.docx can't be read as a Word document: it is damaged"):
        await reader.read(spool("a.docx", data))


@pytest.mark.parametrize("mib", [128, 144, 160])
async def test_over_its_memory_a_child_says_which_setting(spool: Spool, mib: int) -> None:
    reader = ChildReader(DocumentSettings(memory_mib=mib))
    with pytest.raises(UnreadableFile, match=rf"^a\.docx needs more than {mib} MiB of memory to read \(documents\.memoryMib\)"):
        await reader.read(spool("a.docx", _flood()))


async def test_over_its_processor_time_a_child_is_ended(spool: Spool) -> None:
    reader = ChildReader(DocumentSettings(cpu_seconds=1))
    with pytest.raises(UnreadableFile, match=r"^a\.rtf needs more than 1 s of computing time to read \(documents\.cpuSeconds\)"):
        await reader.read(spool("a.rtf", SLOW))


async def test_a_child_that_the_system_ends_is_a_damaged_file(reader: ChildReader, spool: Spool) -> None:
    with pytest.raises(UnreadableFile, match=r"^a\.xlsx can't be read: it is damaged, or needs more than 512 MiB"):
        await reader.read(spool("a.xlsx", _wide()))


def _memory() -> int:
    """Bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

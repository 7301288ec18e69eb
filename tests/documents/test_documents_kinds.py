"""What a compound file ([MS-CFB]) is, told by the streams right below its root, whatever the files embedded in it are."""

import struct
from collections.abc import Sequence

import pytest

from assistant.contracts.errors import UnreadableFile, UnsupportedFileType
from assistant.documents.compound import MAGIC, CompoundFile
from assistant.documents.protocol import FileRefused
from assistant.documents.sniff import sniff
from tests.documents.making import ReadText, pack

_END, _FREE, _TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def _entry(name: str, kind: int, *, left: int = _FREE, right: int = _FREE, child: int = _FREE) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    return struct.pack("<64sHBBIII36xIQ", encoded, len(encoded), kind, 1, left, right, child, _END, 0)


def compound(root: Sequence[str], below: Sequence[str] = (), size: int = 512) -> bytes:
    """A file of streams below its root, each the right sibling of the one before, and of a storage with further streams."""
    names = [*root, "ObjectPool"]
    entries = [_entry("Root Entry", 5, child=1)]
    for place, name in enumerate(names, start=1):
        storage = place == len(names)
        entries.append(
            _entry(
                name,
                1 if storage else 2,
                right=_FREE if storage else place + 1,
                child=len(names) + 1 if storage and below else _FREE,
            )
        )
    entries += [_entry(name, 2, right=_FREE if name == below[-1] else len(names) + 2 + place) for place, name in enumerate(below)]
    while len(entries) % (size // 128):
        entries.append(struct.pack("<64xHBBIII44x", 0, 0, 0, _FREE, _FREE, _FREE))
    sectors = len(entries) * 128 // size
    table = [_TABLE, *range(2, sectors + 1), _END]
    table += [_FREE] * (size // 4 - len(table))
    head = (
        MAGIC
        + bytes(16)
        + struct.pack(
            "<HHHHH6xIIIIIIIII", 0x3E, 3 if size == 512 else 4, 0xFFFE, size.bit_length() - 1, 6, 0, 1, 1, 0, 4096, _END, 0, _END, 0
        )
    )
    head += struct.pack("<109I", 0, *[_FREE] * 108)
    return head.ljust(size, b"\0") + struct.pack(f"<{size // 4}I", *table) + b"".join(entries)


@pytest.mark.parametrize(
    ("root", "below", "what"),
    [
        (["WordDocument", "1Table"], ["Workbook"], "is an old Word document (.doc)"),
        (["1Table", "WordDocument"], ["Book"], "is an old Word document (.doc)"),
        (["WORDDOCUMENT"], ["WORKBOOK"], "is an old Word document (.doc)"),
        (["PowerPoint Document", "Pictures"], ["Workbook"], "is an old PowerPoint document (.ppt)"),
        (["PowerPoint Document"], ["WordDocument"], "is an old PowerPoint document (.ppt)"),
        (["VisioDocument"], ["Workbook"], "is a Visio drawing (.vsd). Export it as PDF"),
        (["Quill", "Contents"], ["Workbook"], "is a Publisher document (.pub). Export it as PDF"),
        (["FileHeader", "DocInfo"], ["Workbook"], "is a Hangul document (.hwp). Export it as PDF"),
        (["MatOST", "CONTENTS"], [], "is a Works document (.wps)"),
        (["Something"], ["Workbook", "WordDocument"], "is an old Office or system file. Export it as PDF"),
    ],
)
@pytest.mark.parametrize("size", [512, 4096])
async def test_a_file_is_what_its_root_says(read: ReadText, root: list[str], below: list[str], what: str, size: int) -> None:
    with pytest.raises(UnsupportedFileType) as caught:
        await read("a.doc", compound(root, below, size))
    assert caught.value.message.startswith(f"a.doc {what}")


@pytest.mark.parametrize("name", ["Workbook", "WORKBOOK", "workbook", "Book", "BOOK", "book"])
def test_a_workbook_is_one_in_any_case(name: str) -> None:
    assert sniff(compound([name], ["WordDocument"]), ".xls") == "xls"


@pytest.mark.parametrize("names", [["__properties_version1.0", "__substg1.0_0037001F"], ["__substg1.0_0037001F"]])
@pytest.mark.parametrize("below", ["Workbook", "WordDocument", "EncryptedPackage"])
def test_an_outlook_message_is_one_whatever_is_attached(names: list[str], below: str) -> None:
    assert sniff(compound(names, [below]), ".msg") == "msg"


@pytest.mark.parametrize("name", ["EncryptedPackage", "ENCRYPTEDPACKAGE"])
async def test_an_encrypted_package_is_one_at_the_root_only(read: ReadText, name: str) -> None:
    with pytest.raises(UnreadableFile, match="is password-protected"):
        await read("a.docx", compound([name]))
    with pytest.raises(UnsupportedFileType, match="is an old Word document"):
        await read("a.doc", compound(["WordDocument"], [name]))


def test_a_broken_tree_gives_the_names_of_all_entries() -> None:
    whole = compound(["Workbook"])
    at = whole.index("Workbook".encode("utf-16-le"))
    broken = whole[: at + 72] + struct.pack("<I", 900) + whole[at + 76 :]
    assert CompoundFile(broken).root_names() == {"workbook", "objectpool"}


@pytest.mark.parametrize("data", [MAGIC, MAGIC + bytes(600), compound(["Workbook"])[:700], b"", b"text"])
def test_without_a_directory_there_are_no_names(data: bytes) -> None:
    assert not CompoundFile(data).is_readable
    assert CompoundFile(data).root_names() == set()


def test_a_directory_that_leads_back_to_itself_ends() -> None:
    whole = bytearray(compound(["A", "B", "C", "D", "E"]))
    whole[512 + 8 : 512 + 12] = struct.pack("<I", 1)
    assert CompoundFile(bytes(whole)).root_names() == {"a", "b", "c", "d", "e", "objectpool"}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a.pages", "is a Pages document (.pages)"),
        ("a.key", "is a Keynote presentation (.key)"),
        ("a.numbers", "is a Numbers sheet (.numbers)"),
        ("a.zip", "is a Pages, Keynote or Numbers document"),
    ],
)
@pytest.mark.parametrize("entry", ["Index/Document.iwa", "Index.zip", "index.xml", "index.apxl", "Letter.pages/Index/Document.iwa"])
def test_files_of_apple_s_programs_are_named(name: str, what: str, entry: str) -> None:
    with pytest.raises(FileRefused) as caught:
        sniff(pack({entry: "x", "Data/a.jpg": "x"}), name[1:])
    assert caught.value.refusal.words.startswith(f"{what}. Export it as PDF and send that")


@pytest.mark.parametrize(
    "text",
    [
        "MZ is a mark.", "BM stands for something", "II* or MM",
        "PK is a mark, too", "ID3 tags of a song", "OggS", "BZh is compressed", "AC1015 is a drawing",
        "8BPS", "wOFF and wOF2", "PAR1 and PAR2", "gimp xcf is a format",
        "AT&TFORM", "#!AMR", "RIFF and WAVE", "fLaC", "FORM 12 AIFF", "RIFF 12 WAVE", "RIFF 12 AVI ", "Rar! is a word",
        "abcdftyp is nothing", "TPZ", "ITSF", "DICM",
        "GIF is a picture", "0BOOKMOBI", "SQLite format 3 is old", "MSCF", "a" * 257 + "ustar in a long line",
        "\u00ffWPC", "%!PS-Adobe-3.0 is text", "P3 1 1 255 0 0 0",
    ],
)  # fmt: skip
def test_texts_that_begin_like_other_files_are_texts(text: str) -> None:
    assert sniff(text.encode(), ".txt") == "text"

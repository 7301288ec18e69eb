"""Files that no library here would write: Office files from their parts, PDF files from their pages."""

import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.errors import NanobotError
from assistant.contracts.turns import Upload
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings

Spool = Callable[[str, bytes], Upload]
ReadText = Callable[[str, bytes], Awaitable[ReadDocument]]
ReadPicture = Callable[[str, bytes], Awaitable[ReadImage]]


@dataclass(frozen=True, slots=True)
class OnePicture:
    """A `DocumentReader` that finds a picture of these bytes in any file."""

    data: bytes
    reads_words: bool = False

    async def read(self, upload: Upload, *, words: bool = False) -> ReadImage:
        return ReadImage(media_type="image/png", width=1, height=1, original="PNG, 1×1", data=self.data)


_SPACES = " ".join(
    f'xmlns:{short}="{name}"'
    for short, name in {
        "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
        "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
        "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
        "v": "urn:schemas-microsoft-com:vml",
        "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
        "p": "http://schemas.openxmlformats.org/presentationml/2006/main",
        "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
        "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
    }.items()
)
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


_TYPES = {
    "word/document": "wordprocessingml.document.main",
    "ppt/presentation.xml": "presentationml.presentation.main",
    "ppt/slides/": "presentationml.slide",
    "word/header": "wordprocessingml.header",
    "word/footer": "wordprocessingml.footer",
    "word/styles": "wordprocessingml.styles",
    "word/numbering": "wordprocessingml.numbering",
    "word/comments": "wordprocessingml.comments",
}
"""How the names of parts begin whose content types the libraries want to know."""


def office(parts: dict[str, str | bytes]) -> bytes:
    """An Office file of its parts, with the content types that they need."""
    types = "".join(
        f'<Override PartName="/{name}" ContentType="application/vnd.openxmlformats-officedocument.{kind}+xml"/>'
        for name in parts
        for start, kind in _TYPES.items()
        if name.startswith(start) and not name.endswith(".rels")
    )
    space = "http://schemas.openxmlformats.org/package/2006/content-types"
    rels = "application/vnd.openxmlformats-package.relationships+xml"
    defaults = f'<Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" ContentType="{rels}"/>'
    return pack({"[Content_Types].xml": f'<Types xmlns="{space}">{defaults}{types}</Types>', **parts})


def pack(parts: dict[str, str | bytes]) -> bytes:
    """An archive of parts by their names."""
    target = BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def element(tag: str, inner: str, attributes: str = "") -> str:
    """A part's root element with every namespace declared that these tests use."""
    return f"<?xml version='1.0' encoding='UTF-8'?><{tag} {_SPACES} {attributes}>{inner}</{tag}>"


def relations(items: Sequence[tuple[str, str, str]]) -> str:
    """Relationships: id, kind, target; an address as target is external."""
    mode = " TargetMode='External'"
    lines = "".join(
        f'<Relationship Id="{identity}" Type="{_RELATION}/{kind}" Target="{target}"{mode if ":" in target else ""}/>'
        for identity, kind, target in items
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{lines}</Relationships>'


def word(body: str, links: Sequence[tuple[str, str, str]] = (), parts: dict[str, str] | None = None) -> bytes:
    """A Word document from the XML of its body, its relationships and its other parts."""
    return office(
        {
            "_rels/.rels": relations([("rId1", "officeDocument", "word/document.xml")]),
            "word/document.xml": element("w:document", f"<w:body>{body}</w:body>"),
            "word/_rels/document.xml.rels": relations(links),
            **{f"word/{name}": content for name, content in (parts or {}).items()},
        }
    )


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf(pages: Sequence[str], extra: str = "", catalog: str = "") -> bytes:
    """A PDF of pages with the given content streams, in Helvetica as /F1. `extra`: entries of every page."""
    objects = [
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{' '.join(f'{4 + 2 * index} 0 R' for index in range(len(pages)))}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for index, content in enumerate(pages):
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents {5 + 2 * index} 0 R{extra}>>"
        )
        objects.append(f"<</Length {len(content)}>>stream\n{content}\nendstream")
    return objects_pdf(*objects)


def objects_pdf(*objects: str) -> bytes:
    """A PDF of its objects, numbered from 1; the first is the catalog."""
    out, places = "%PDF-1.4\n", list[int]()
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(out)}\n%%EOF"
    return f"{out}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode("latin-1")


def show(*lines: str) -> str:
    """A page's content: lines of text, one below the other."""
    drawn = "".join(f"({line}) Tj 0 -14 Td " for line in lines)
    return f"BT /F1 12 Tf 72 720 Td {drawn}ET"


SLOW = b"{\\rtf1" + b"\\b1 " * 5_000_000
"""RTF that takes about ten seconds to read."""


async def refusal(reader: ChildReader, upload: Upload) -> NanobotError | None:
    """Why the file was not read; None where it was. Any other exception is a failure of the reader."""
    try:
        await reader.read(upload)
    except NanobotError as error:
        if error.status not in {400, 413, 415}:
            raise
        return error
    return None


def limited(**limits: int) -> ChildReader:
    """A reader with other values for limits that no setting changes."""
    settings = DocumentSettings()
    return ChildReader(settings, replace(settings.limits(), **limits))


def compound(name: str, content: bytes) -> bytes:
    """A compound file with one stream."""
    content = content.ljust(4096, b"\0")
    sectors = -(-len(content) // 512)
    tables = -(-(sectors + 1) // 127)
    first = tables + 1  # of the stream, behind the tables and the directory
    chain = [0xFFFFFFFD] * tables + [0xFFFFFFFE] + [first + number + 1 for number in range(sectors - 1)] + [0xFFFFFFFE]
    table = struct.pack(f"<{len(chain)}I", *chain).ljust(tables * 512, b"\xff")
    places = struct.pack(f"<{tables}I", *range(tables)).ljust(436, b"\xff")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6xII", 0x3E, 3, 0xFFFE, 9, 6, 0, tables)
    head += struct.pack("<IIIIIII", tables, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)[: 512 - len(head)]

    def entry(label: str, kind: int, below: int, start: int, size: int) -> bytes:
        words = label.encode("utf-16-le")
        links = struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, below)
        return words.ljust(64, b"\0") + struct.pack("<HBB", len(words) + 2, kind, 1) + links + bytes(36) + struct.pack("<IQ", start, size)

    directory = entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + entry(name, 2, 0xFFFFFFFF, first, len(content))
    return head + places + table + directory.ljust(512, b"\0") + content.ljust(sectors * 512, b"\0")

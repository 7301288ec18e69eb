"""The protocol between the server and the child process: limits in; a document, a picture or a refusal out.

Standard library only: importing pydantic would take longer than reading most files.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from assistant.contracts.documents import DocumentPicture, ReadDocument, ReadImage
from assistant.contracts.records import record

MIB = 1024 * 1024
WEB_PAGE = ".web page"
"""The suffix of HTML that was fetched: its own words are wanted, without what surrounds them."""
MAX_HEAD = 2_000_000
"""Bytes of a reply before its text or picture."""
RefusalReason = Literal["unreadable", "unsupported", "too_large"]
_SUPPORTED = (
    "Supported are pictures (PNG, JPEG, GIF, WebP, HEIC, AVIF, TIFF, BMP, JPEG 2000), PDF, Word (.docx), Excel (.xlsx, .xls, .xlsb), "
    "PowerPoint (.pptx), OpenDocument (.odt, .ods, .odp), e-books (.epub), web pages, e-mail (.eml, .msg), notebooks (.ipynb), RTF and any text."
)


@record
class ReadLimits:
    """How much one file may cost to read. Fields without a default come from `DocumentSettings`; the others are fixed."""

    memory_mib: int
    cpu_seconds: int
    wall_seconds: float
    image_side: int
    image_megapixels: int
    pdf_pages: int
    pictures: int
    """Of one document; -1: none, as for 0, and those left out are not counted."""
    cells: int
    archive_mib: int
    text_chars: int = 11_000_000
    """Characters kept of one file's text."""
    image_frames: int = 100
    """Frames of an animated picture, of which the first is kept."""
    image_bytes: int = 3_750_000
    """A picture above this is encoded as WebP, since providers refuse larger ones."""
    picture_side: int = 1_568
    """Longest side of a picture in a document, in pixels; models scale larger ones down themselves."""
    ocr: bool = False
    """Whether each file is a picture of which the words are wanted."""
    pictures_bytes: int = 16 * MIB
    """All pictures of one document, encoded."""
    pictures_time: float = 0.5
    """The share of `cpu_seconds` after which no further picture of a document is made."""
    pdf_pages_refused: int = 10_000
    """A PDF of more pages is refused rather than cut."""
    archive_entries: int = 1_000
    """Parts of an Office file."""
    archive_part_mib: int = 32
    """One XML part of an Office file that is parsed, unpacked; sheets excepted."""
    archive_ratio: int = 100
    """Compression factor of an XML part above 1 MiB that is parsed; sheets excepted."""


@record
class ReadRefusal:
    """Why a file is not read."""

    words: str
    """Completes the sentence that the file's name begins: "is password-protected"."""
    reason: RefusalReason = "unreadable"
    detail: str = ""
    """For the log: the kind of failure and the line of our code, never content of the file."""
    kind: Literal["refusal"] = "refusal"


ReaderReply = ReadDocument | ReadImage | ReadRefusal


class FileRefused(Exception):
    """Raised in the child for a file that is not read; becomes a `ReadRefusal`."""

    def __init__(self, words: str, reason: RefusalReason = "unreadable") -> None:
        super().__init__(words)
        self.refusal = ReadRefusal(reason=reason, words=words)


def unsupported(what: str) -> FileRefused:
    """`what` the file is: "is a ZIP archive"."""
    return FileRefused(f"{what}. {_SUPPORTED}", "unsupported")


def encrypted() -> FileRefused:
    return FileRefused("is password-protected. Send it without a password.")


def damaged(what: str) -> FileRefused:
    """`what` the file should be: "a PDF"."""
    return FileRefused(f"can't be read as {what}: it is damaged or incomplete.")


def too_large(words: str) -> FileRefused:
    return FileRefused(words, "too_large")


@dataclass(frozen=True, slots=True)
class IllustratedDocument:
    """A document whose pictures are still to be made, one by one: a file may run out of time or memory with them, and its text counts."""

    document: ReadDocument
    planned: int
    """The pictures that its text has numbered marks for."""
    pictures: Iterator[DocumentPicture]


def pack(reply: ReaderReply, planned: int = 0) -> bytes:
    """The first frame of a reply: a head, then the text or the picture. `planned`: the pictures of which each may follow in a frame of its own.

    `reader.unpack` reverses it."""
    head = asdict(reply)
    body = b""
    if isinstance(reply, ReadDocument):
        head["pictures"], body = planned, head.pop("text").encode("utf-8", "replace")
    elif isinstance(reply, ReadImage):
        body = head.pop("data")
    return _frame(head, body)


def pack_picture(picture: DocumentPicture) -> bytes:
    """A further frame: a picture of the document in the first one."""
    head = asdict(picture)
    return _frame(head, head.pop("data"))


def _frame(head: dict[str, object], body: bytes) -> bytes:
    """Four bytes each with the lengths of a JSON head and of the body, then both."""
    packed = json.dumps(head, ensure_ascii=False).encode("utf-8", "replace")
    return len(packed).to_bytes(4, "big") + len(body).to_bytes(4, "big") + packed + body

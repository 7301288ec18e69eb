"""The protocol between the server and the child process: limits in; a document, a picture or a refusal out.

Standard library only: importing pydantic would take longer than reading most files.
"""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from assistant.contracts.documents import ReadDocument, ReadImage

MIB = 1024 * 1024
MAX_HEAD = 2_000_000
"""Bytes of a reply before its text or picture."""
RefusalReason = Literal["unreadable", "unsupported", "too_large"]
_SUPPORTED = (
    "Supported are pictures (PNG, JPEG, GIF, WebP), PDF, Word (.docx), Excel (.xlsx, .xls, .xlsb), PowerPoint (.pptx), OpenDocument "
    "(.odt, .ods, .odp), e-books (.epub), web pages, e-mail (.eml, .msg), notebooks (.ipynb), RTF and any text."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """How much one file may cost to read. Fields without a default come from `DocumentSettings`; the others are fixed."""

    memory_mib: int
    cpu_seconds: int
    wall_seconds: float
    image_side: int
    image_megapixels: int
    pdf_pages: int
    cells: int
    archive_mib: int
    text_chars: int = 11_000_000
    """Characters kept of one file's text."""
    image_frames: int = 100
    """Frames of an animated picture, of which the first is kept."""
    image_bytes: int = 3_750_000
    """A picture above this is encoded as WebP, since providers refuse larger ones."""
    pdf_pages_refused: int = 10_000
    """A PDF of more pages is refused rather than cut."""
    archive_entries: int = 1_000
    """Parts of an Office file."""
    archive_part_mib: int = 10
    """One XML part of an Office file, unpacked; sheets excepted."""
    archive_ratio: int = 100
    """Compression factor of a part above 1 MiB; sheets excepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
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


def pack(reply: ReaderReply) -> bytes:
    """Four bytes with the length of a JSON head, the head, then the text or the picture. `reader.unpack` reverses it."""
    head = asdict(reply)
    body = b""
    if isinstance(reply, ReadDocument):
        body = head.pop("text").encode("utf-8", "replace")
    elif isinstance(reply, ReadImage):
        body = head.pop("data")
    packed = json.dumps(head, ensure_ascii=False).encode("utf-8", "replace")
    return len(packed).to_bytes(4, "big") + packed + body

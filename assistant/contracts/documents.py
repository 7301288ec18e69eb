"""The port to the reading of files: bytes of unknown kind in, text or a clean picture out."""

from dataclasses import dataclass
from typing import Literal, Protocol

from assistant.contracts.messages import MediaType
from assistant.contracts.turns import Upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A page, a sheet, a slide or a chapter: something a reader can ask for by its label."""

    label: str
    """"page 3", "sheet 2: Costs", "slide 7": unique within the document."""
    start: int
    """Offset of its first character in the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDocument:
    """The text of a file, whole (as far as the limits allow), as Markdown that keeps its structure."""

    format: str
    text: str
    sections: tuple[Section, ...] = ()
    """By offset; empty where the format has no such parts."""
    facts: tuple[str, ...] = ()
    """What it consists of, in words: ("12 pages",)."""
    missing: str = ""
    """What was left unread because of a limit, in words: "pages 501 to 612"; empty when nothing was."""
    kind: Literal["document"] = "document"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadImage:
    """A picture, decoded, turned upright, without metadata, at most as large as the settings say, encoded anew."""

    media_type: MediaType
    width: int
    height: int
    original: str
    """What arrived, in words: "JPEG, 4032×3024"."""
    data: bytes
    kind: Literal["image"] = "image"


class DocumentReader(Protocol):
    """Reads a file in a child process with limits of memory, CPU and time; nothing that a file contains stalls or takes down the caller.

    Raises UnreadableFile (encrypted, corrupt, empty, over a limit of time or memory), UnsupportedFileType, FileTooLarge (would inflate beyond
    a limit): each names the file as the sender called it, says what is wrong with it, and carries `upload.param`.
    """

    async def read(self, upload: Upload) -> ReadDocument | ReadImage: ...

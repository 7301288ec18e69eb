"""The port to the document reader: a file of unknown format in, text with its pictures, or a clean picture, out."""

from typing import TYPE_CHECKING, Literal, Protocol

from assistant.contracts.records import record

if TYPE_CHECKING:  # the child process imports this module, and these would import pydantic
    from assistant.contracts.turns import Upload

MediaType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
"""The formats that models take."""


@record
class Section:
    """A page, sheet, slide or chapter that can be requested by its label."""

    label: str
    """"page 3", "sheet 2: Costs", "slide 7": unique within the document."""
    start: int
    """Offset of its first character in the text."""


@record
class DocumentPicture:
    """A picture in a document, or a page of it that has no text, made as `ReadImage` is. The text has a mark in its place: "[Picture 2: …]"."""

    number: int
    """From 1, as in its mark."""
    label: str
    """What it shows, in words: "page 3", its description, or empty."""
    media_type: MediaType
    width: int
    height: int
    data: bytes
    """Empty where only the text was asked for."""


@record
class ReadDocument:
    """The text of a file, up to the limits, as Markdown that keeps its structure."""

    format: str
    text: str
    sections: tuple[Section, ...] = ()
    """By offset; empty where the format has no such parts."""
    facts: tuple[str, ...] = ()
    """Counts in words: ("12 pages",)."""
    missing: str = ""
    """What a limit left unread, in words: "pages 501-612"; empty when nothing was."""
    pictures: tuple[DocumentPicture, ...] = ()
    """By number. Those that are small, or beyond a limit, have a mark without a number."""
    words_read: bool = False
    """Whether OCR looked for words in all its pictures; what it found is in `text`, behind the picture's mark."""
    kind: Literal["document"] = "document"


@record
class ReadImage:
    """A picture, turned upright, scaled down to the settings, encoded again without metadata."""

    media_type: MediaType
    width: int
    height: int
    original: str
    """The received picture in words: "JPEG, 4032×3024"."""
    data: bytes
    words: str | None = None
    """What OCR found, which makes mistakes; None: it did not look."""
    kind: Literal["image"] = "image"


class DocumentReader(Protocol):
    """Reads files in child processes with limits on memory, CPU and time; no file can stall or crash the caller.

    Raises UnreadableFile (encrypted, corrupt, empty, over a limit of time or memory), UnsupportedFileType, FileTooLarge (inflates beyond a
    limit). Each message starts with the upload's name and says what is wrong; each carries `upload.param`.
    """

    @property
    def reads_words(self) -> bool:
        """Whether it can read the words in pictures: the extra `ocr` is installed."""
        ...

    async def read(self, upload: "Upload", *, words: bool = False) -> ReadDocument | ReadImage:
        """`words`: those in pictures, too, as far as they can be read: for a model that takes no pictures."""
        ...


def lacks_words(read: ReadDocument | ReadImage) -> bool:
    """Whether it has pictures in which OCR did not look for words, or had no time to."""
    return read.words is None if isinstance(read, ReadImage) else bool(read.pictures) and not read.words_read

"""The pictures in a document: a mark for each in the text, and those that a model should see, encoded after the text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from assistant.contracts.documents import DocumentPicture, MediaType, ReadDocument
from assistant.documents.formats.images import encode_embedded, measure
from assistant.documents.formats.markdown import count, shorten
from assistant.documents.protocol import IllustratedDocument, ReadLimits

_LEAST_SIDE = 50
_LEAST_PIXELS = 10_000
"""Smaller ones are bullets, lines and icons."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    media_type: MediaType
    width: int
    height: int
    data: bytes


MakePicture = Callable[[], EncodedPicture]
"""Raises any exception where the picture is damaged."""


class DocumentPictures:
    """Numbers the pictures of one document as they come."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._planned: list[tuple[str, MakePicture]] = []
        self._marks: dict[bytes, str] = {}
        self._left_out = 0

    def mark(self, data: bytes | None, words: str = "") -> str:
        """The mark of a picture in the file, to be put in its place. `words`: its description. None: it is not in the file."""
        words = shorten(words.replace("[", "(").replace("]", ")"))
        key = sha256(data or words.encode()).digest()
        if key not in self._marks:
            self._marks[key] = self._new(data, words)
        return self._marks[key]

    def page(self, label: str, make: MakePicture) -> str:
        """The mark of a page or slide that is shown as a whole."""
        return _mark(self._plan(label, make), label)

    def illustrate(self, document: ReadDocument) -> ReadDocument | IllustratedDocument:
        """The finished document, with the pictures to follow."""
        if self._left_out and self._limits.pictures >= 0:
            told = f"{count(self._left_out, 'further picture')} (documents.pictures: {self._limits.pictures})"
            document = replace(document, missing="; ".join(filter(None, (document.missing, told))))
        return IllustratedDocument(document, len(self._planned), self._make()) if self._planned else document

    def _new(self, data: bytes | None, words: str) -> str:
        size = measure(data, self._limits) if data else None
        if data is None or size is None:
            return _mark(0, words)
        label = ", ".join(filter(None, (words, f"{size[0]}×{size[1]}")))
        if min(size) < _LEAST_SIDE or size[0] * size[1] < _LEAST_PIXELS:
            return _mark(0, label)
        return _mark(self._plan(words, lambda: EncodedPicture(*encode_embedded(data, self._limits))), label)

    def _plan(self, label: str, make: MakePicture) -> int:
        """The picture's number; 0 where there are enough."""
        if len(self._planned) >= self._limits.pictures:
            self._left_out += 1
            return 0
        self._planned.append((label, make))
        return len(self._planned)

    def _make(self) -> Iterator[DocumentPicture]:
        for number, (label, make) in enumerate(self._planned, start=1):
            try:
                made = make()
            except Exception:  # noqa: BLE001, S112 - the reply says which pictures are missing
                continue
            yield DocumentPicture(
                number=number, label=label, media_type=made.media_type, width=made.width, height=made.height, data=made.data
            )


def _mark(number: int, label: str) -> str:
    return f"[Picture{f' {number}' if number else ''}{f': {label}' if label else ''}]"

"""The words in pictures, for models that take none: read by OCR where the extra `ocr` is installed, each picture in a process with limits."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from assistant.contracts.documents import DocumentPicture, DocumentReader, ReadDocument, ReadImage
from assistant.contracts.errors import UnreadableFile
from assistant.contracts.turns import Upload
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings

INSTALL: Final = "pip install 'nanobot[ocr]'"
_MEMORY_MIB: Final = 1_536
"""A page needs up to 0.8 GiB of memory, and 1.1 of addresses."""
_CPU_SECONDS: Final = 30
"""For one picture; a page of 525 words took 12 on a busy machine."""
_SECONDS: Final = 60
"""For all pictures of a file: half of what a turn may take (`api.timeout`)."""
_IDLE_SECONDS: Final = 10
_MOST_CHARS: Final = 20_000


def is_installed() -> bool:
    """Whether the extra `ocr` is. Does not import it."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


class OcrReader:
    """A `DocumentReader` that has another read the file and, where they are asked for, adds the words in its pictures; one picture at a time."""

    reads_words = True

    def __init__(self, reader: DocumentReader, settings: DocumentSettings) -> None:
        limits = replace(settings.limits(), memory_mib=_MEMORY_MIB, cpu_seconds=_CPU_SECONDS, wall_seconds=_SECONDS, ocr=True)
        self._reader = reader
        self._words = ChildReader(settings.model_copy(update={"parallel": 1}), limits, idle_seconds=_IDLE_SECONDS)

    async def read(self, upload: Upload, *, words: bool = False) -> ReadDocument | ReadImage:
        read = await self._reader.read(upload)
        if not words:
            return read
        if isinstance(read, ReadImage):
            found = await self._find([read])
            return replace(read, words=found[0]) if found else read
        return add_words(read, await self._find(read.pictures))

    async def close(self) -> None:
        await self._words.close()

    async def _find(self, pictures: Sequence[ReadImage | DocumentPicture]) -> list[str | None]:
        """Of each picture, as far as the time goes. None: it can't be read."""
        found: list[str | None] = []
        with TemporaryDirectory(prefix="nanobot-") as folder:
            path = Path(folder) / "picture"
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    for picture in pictures:
                        found.append(await self._words_of(picture.data, path))  # noqa: PERF401 - what was read in time is kept
        return found

    async def _words_of(self, data: bytes, path: Path) -> str | None:
        """`path`: where the picture is put while it is read."""
        await asyncio.to_thread(path.write_bytes, data)
        try:
            read = await self._words.read(Upload(name=path.name, path=path, size=len(data), digest=sha256(data).hexdigest()))
        except UnreadableFile:  # logged by the reader, with the limit that it reached
            return None
        return read.text[:_MOST_CHARS] if isinstance(read, ReadDocument) else None


def add_words(document: ReadDocument, found: Sequence[str | None]) -> ReadDocument:
    """The document with the words of its first pictures, each behind the paragraph of the picture's mark. None: they could not be read."""
    text, starts = document.text, [section.start for section in document.sections]
    for picture, words in zip(document.pictures, found, strict=False):
        mark = re.search(rf"\[Picture {picture.number}(?:: [^\]\n]*)?\]", text)
        if not words or mark is None:
            continue
        place = text.find("\n\n", mark.end())
        place = len(text) if place < 0 else place
        added = f"\n\n[Words in picture {picture.number}, read by OCR, which makes mistakes:]\n{words}\n[End of picture {picture.number}.]"
        text = text[:place] + added + text[place:]
        starts = [start + len(added) if start > place else start for start in starts]
    unread = [picture.number for picture, words in zip(document.pictures, found, strict=False) if words is None]
    late = [picture.number for picture in document.pictures[len(found) :]]
    told = [
        f"{_words_in(unread)}: OCR failed" if unread else "",
        f"{_words_in(late)}: OCR has {_SECONDS} s for a file" if late else "",
    ]
    return replace(
        document,
        text=text,
        sections=tuple([replace(section, start=start) for section, start in zip(document.sections, starts, strict=True)]),
        missing="; ".join(filter(None, (document.missing, *told))),
        words_read=not unread and not late,
    )


def _words_in(numbers: Sequence[int]) -> str:
    return f"the words in picture{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"

"""Real documents from elsewhere."""

import asyncio
import json
import re
from pathlib import Path

from assistant.documents.reader import ChildReader
from tests.documents.making import ReadText, Spool, refusal


async def test_every_expected_string_is_extracted(corpus: Path, read: ReadText) -> None:
    expected: dict[str, list[str]] = json.loads((corpus / "expected.json").read_text(encoding="utf-8"))
    lost: list[str] = []
    for name, strings in expected.items():
        if name == "about":
            continue
        text = _words((await read(name, (corpus / name).read_bytes())).text)
        lost += [f"{name}: {string}" for string in strings if _words(string) not in text]
    assert lost == []


async def test_arabic_is_read_in_the_order_of_reading(corpus: Path, read: ReadText) -> None:
    text = (await read("habibi.pdf", (corpus / "sample-files" / "habibi.pdf").read_bytes())).text
    assert "حَبيبي habibi حَبيبي" in text


async def test_every_file_is_read_or_refused_in_time(corpus: Path, reader: ChildReader, spool: Spool) -> None:
    files = _files(corpus)
    async with asyncio.timeout(60):
        errors = await asyncio.gather(*(refusal(reader, spool(path.name, path.read_bytes())) for path in files))
    assert all(error.message.startswith(path.name) for path, error in zip(files, errors, strict=True) if error is not None)
    refused = {path.name for path, error in zip(files, errors, strict=True) if error is not None}
    assert refused == {"libreoffice-writer-password.pdf", "unreadablemetadata.pdf"}


def _files(corpus: Path) -> list[Path]:
    return sorted(corpus.glob("*/*"))


def _words(text: str) -> str:
    return re.sub(r"[\s#*|>`\\-]+", " ", text).strip()

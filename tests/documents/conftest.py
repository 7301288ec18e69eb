"""The reader, as the server uses it: one for all files, each of which has a process of its own."""

import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pytest_asyncio import fixture, is_async_test

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.turns import Upload
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from tests.documents.making import ReadPicture, ReadText, Spool

FOLDER = Path(__file__).parent


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Makes an upload of a name and bytes."""

    def make(name: str, data: bytes) -> Upload:
        digest = hashlib.sha256(data).hexdigest()
        path = tmp_path / digest
        path.write_bytes(data)
        return Upload(name=name, path=path, size=len(data), digest=digest, param="files[0]")

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of this folder share an event loop, which the reader belongs to."""
    for item in items:
        if item.path.parent == FOLDER and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@fixture(scope="session", loop_scope="session")
async def reader() -> AsyncGenerator[ChildReader]:
    """(The process that its readers are forked from takes 0.2 s of processor time to start.)"""
    made = ChildReader(DocumentSettings())
    yield made
    await made.close()


@pytest.fixture
def read(reader: ChildReader, spool: Spool) -> ReadText:
    """Reads a document from its name and bytes."""

    async def run(name: str, data: bytes) -> ReadDocument:
        result = await reader.read(spool(name, data))
        assert isinstance(result, ReadDocument)
        assert all(0 <= section.start <= len(result.text) for section in result.sections)
        assert len({section.label for section in result.sections}) == len(result.sections)
        return result

    return run


@pytest.fixture
def read_picture(reader: ChildReader, spool: Spool) -> ReadPicture:
    async def run(name: str, data: bytes) -> ReadImage:
        result = await reader.read(spool(name, data))
        assert isinstance(result, ReadImage)
        return result

    return run

"""Files that were read before are not read again."""

from dataclasses import dataclass

from assistant.contracts.documents import DocumentReader, ReadDocument, ReadImage
from assistant.contracts.sessions import AttachmentStore
from assistant.contracts.turns import Upload


@dataclass(frozen=True, slots=True)
class ReadOnce:
    """Implements DocumentReader: gives what is kept of a file with these bytes, and reads one of which nothing is kept."""

    reader: DocumentReader
    attachments: AttachmentStore

    async def read(self, upload: Upload) -> ReadDocument | ReadImage:
        return await self.attachments.find(upload.digest) or await self.reader.read(upload)

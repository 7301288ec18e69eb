"""From a request's text and files to the user's message: files are read once, and their text shares a budget."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from assistant.contracts.documents import DocumentReader, ReadDocument, ReadImage, lacks_words
from assistant.contracts.errors import FileTooLarge, NanobotError, UnreadableFile, UnsupportedFileType
from assistant.contracts.messages import Document, Image, Part, Text, UserMessage, Verbatim, picture_id, picture_part
from assistant.contracts.turns import TurnRequest, Upload, UserText
from assistant.contracts.util import new_id
from assistant.contracts.voice import NoHearing, VoiceHearing
from assistant.store.attachments import AttachmentStore
from assistant.turns.recordings import Recordings, Taken

Reading = ReadDocument | ReadImage
NO_OCR = "The words in pictures are not read: that takes the extra 'ocr' on the server (pip install 'nanobot[ocr]')."
Kept = tuple[str, Reading] | Text | NanobotError
"""What a message has of a file: its attachment and what was read in it; words that were heard; or why there is nothing."""


@dataclass(frozen=True, slots=True)
class MessageIntake:
    """Makes a UserMessage of a TurnRequest."""

    reader: DocumentReader
    attachments: AttachmentStore
    document_chars: int
    """How much text of documents one message may hold; the rest can be paged through."""
    document_pictures: int = 20
    """How many pictures of documents one message may hold."""
    hearing: VoiceHearing = field(default_factory=NoHearing)

    async def message(
        self, request: TurnRequest, content: Sequence[UserText | Upload | Verbatim], pictures: Callable[[], int]
    ) -> UserMessage:
        """The request's message, or the `content` of one in its history. `pictures`: how many of its documents the model can take.

        Reads the uploads side by side, then keeps them; the parts are in the order in which they were sent. Raises the first error.

        In a chat, an unreadable file becomes a sentence in its place: the sender would not send it again.
        """
        uploads = [item for item in content if isinstance(item, Upload)]
        seen = pictures() if uploads else 0
        readings = await self._read_all(request, uploads, words=not seen) if uploads else {}
        shown = min(seen, self.document_pictures)
        note = "" if seen or not uploads or self.reader.reads_words else NO_OCR
        return UserMessage(id=new_id("msg"), parts=parts_of(content, readings, self.document_chars, shown, eyes=seen > 0, note=note))

    async def _read_all(self, request: TurnRequest, uploads: Sequence[Upload], *, words: bool) -> dict[int, Kept]:
        """By `id(upload)`. Over the API one unreadable file refuses the request, so files are kept once all are read; recordings before that."""
        in_chat = request.reply is not None
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._read(request, upload, in_chat=in_chat, words=words)) for upload in uploads]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        kept: dict[int, Kept] = {}
        for upload, task in zip(uploads, tasks, strict=True):
            read = task.result()
            if isinstance(read, NanobotError | Text | tuple):
                kept[id(upload)] = read
            else:
                kept[id(upload)] = await self.attachments.keep(request.owner, request.session, upload, read), read
        return kept

    async def _read(self, request: TurnRequest, upload: Upload, *, in_chat: bool, words: bool) -> Reading | Taken | NanobotError:
        if heard := await Recordings(self.attachments, self.hearing).take(request, upload, in_chat=in_chat):
            return heard
        if upload.unread:
            return ReadDocument(format=PurePath(upload.name).suffix[1:9].lower() or "file", text="", missing=upload.unread)
        try:
            return await self.reader.read(upload, words=words)
        except (UnreadableFile, UnsupportedFileType, FileTooLarge) as error:
            if in_chat:
                return error
            raise


def parts_of(
    content: Sequence[UserText | Upload | Verbatim],
    readings: Mapping[int, Kept],
    document_chars: int,
    document_pictures: int,
    *,
    eyes: bool,
    note: str = "",
) -> tuple[Part, ...]:
    """The parts of a message. `readings`: by `id(upload)`, each with its attachment's id, or why there is none. `document_chars`,
    `document_pictures`: the budgets of text and of pictures that its documents share. `eyes`: whether the model takes pictures. `note`: why their
    words are not read."""
    texts = {key: text for key, kept in readings.items() if isinstance(kept, tuple) and (text := _text_of(kept[1], eyes=eyes))}
    chars = dict(zip(texts, share([len(each.text) for each in texts.values()], document_chars), strict=True)) if texts else {}
    pictures = dict(zip(texts, share([len(each.pictures) for each in texts.values()], document_pictures), strict=True)) if texts else {}
    parts: list[Part] = []
    for item in content:
        if isinstance(item, Verbatim):
            parts.append(item)
            continue
        if not isinstance(item, Upload):
            parts.append(Text(text=item.text, quoted=item.quoted, chosen=item.chosen, author=item.author, provenance=item.provenance))
            continue
        kept = readings[id(item)]
        if isinstance(kept, Text):
            parts.append(kept)
        elif isinstance(kept, NanobotError):
            parts.append(Text(text=f"A file of this message could not be read. {kept.message}", quoted=True))
        elif isinstance(kept[1], ReadImage):
            read, words = kept[1], texts.get(id(item))
            parts.append(
                Image(
                    attachment_id=kept[0],
                    name=item.name,
                    media_type=read.media_type,
                    width=read.width,
                    height=read.height,
                    size=item.size,
                    original=read.original,
                    missing="" if words else note,
                )
            )
            if words:
                parts += document_parts(item, "", words, chars[id(item)], 0)
        else:
            parts += document_parts(item, kept[0], kept[1], chars[id(item)], pictures[id(item)], note)
    return tuple(parts)


def _text_of(read: Reading, *, eyes: bool) -> ReadDocument | None:
    """A document, or the words in a picture that is not seen."""
    if isinstance(read, ReadDocument):
        return read
    if eyes or read.words is None:
        return None
    about = ("words in a picture", "read by OCR, which makes mistakes")
    return ReadDocument(format="text", facts=about, text=read.words or "(OCR found no words in this picture.)")


def document_parts(
    upload: Upload, attachment_id: str, read: ReadDocument, chars: int, pictures: int, note: str = ""
) -> list[Document | Image]:
    """A document as parts of a message: `chars` characters of its text, and its first `pictures`. `attachment_id`: what the rest can be read by;
    empty: it can't be. `note`: why the words in pictures that are not shown were not read."""
    shown = excerpt(read.text, chars)
    missing = [
        _rest(read, attachment_id, len(shown)),
        _unseen(read, attachment_id, pictures, "" if read.words_read else note),
        read.missing and f"Not read at all: {read.missing}.",
    ]
    document = Document(
        attachment_id=attachment_id,
        name=upload.name,
        format=read.format,
        size=upload.size,
        facts=read.facts,
        text=shown,
        missing=" ".join(filter(None, missing)),
    )
    return [
        document,
        *(picture_part(upload.name, picture_id(attachment_id or upload.digest, picture), picture) for picture in read.pictures[:pictures]),
    ]


def _unseen(read: ReadDocument, attachment_id: str, shown: int, note: str) -> str:
    """Which of its pictures the model does not see, and what to do about that."""
    rest = [picture.number for picture in read.pictures[shown:]]
    if not rest:
        return ""
    which = f"Picture {rest[0]} is" if len(rest) == 1 else f"Pictures {rest[0]} to {rest[-1]} are"
    if not shown:
        return f"{which} not shown: this model does not take pictures, or has no room for them.{f' {note}' if note else ''}"
    how = "read_attachment shows those of the part that it reads." if attachment_id else "Sent as a file of their own, they would be seen."
    return f"{which} not shown: there are too many for one message. {how}"


def _rest(read: ReadDocument, attachment_id: str, shown: int) -> str:
    """What of the text is not in the message, where that begins, and how to read on."""
    total = len(read.text)
    if shown >= total:
        return ""
    unseen = [section.label for section in read.sections if section.start >= shown]
    where = f" ({unseen[0]} to {unseen[-1]})" if len(unseen) > 1 else f" ({unseen[0]})" if unseen else ""
    told = f"Characters {shown:,} to {total:,} of this document{where} are not shown here"
    return f'{told}; read_attachment(id="{attachment_id}", offset={shown}) goes on.' if attachment_id else f"{told}."


def excerpt(text: str, chars: int) -> str:
    """The first `chars` characters at most, ending at the end of a line where one is near."""
    if len(text) <= chars:
        return text
    end = text.rfind("\n", chars - min(chars // 5, 2_000), chars)
    return text[: end + 1 if end > 0 else chars]


def share(lengths: Sequence[int], budget: int) -> list[int]:
    """Divide `budget` fairly: none gets more than its length, and what short ones leave goes to long ones in equal parts."""
    shares = [0] * len(lengths)
    waiting = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for position, index in enumerate(waiting):
        shares[index] = min(lengths[index], budget // (len(waiting) - position))
        budget -= shares[index]
    return shares


@dataclass(frozen=True, slots=True)
class CachingReader:
    """Implements DocumentReader: returns what is stored for these bytes, and reads what is new, or has pictures whose words are wanted."""

    reader: DocumentReader
    attachments: AttachmentStore

    @property
    def reads_words(self) -> bool:
        return self.reader.reads_words

    async def read(self, upload: Upload, *, words: bool = False) -> ReadDocument | ReadImage:
        found = await self.attachments.find(upload.digest)
        if found is None or (words and self.reads_words and lacks_words(found)):
            return await self.reader.read(upload, words=words)
        return found

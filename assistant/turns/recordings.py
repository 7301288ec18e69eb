"""Recordings of a message are transcribed: into the sender's own words, or those of a file; each once, whatever crashes."""

import asyncio
import logging
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import PurePath
from typing import Final

from assistant.contracts.documents import ReadDocument
from assistant.contracts.errors import FileTooLarge, NanobotError, ProviderFailed, StoreUnavailable, UnreadableFile
from assistant.contracts.ledger import BudgetUsedUp
from assistant.contracts.messages import Text
from assistant.contracts.turns import TurnRequest, Upload
from assistant.contracts.voice import Heard, NoHearing, Sound, VoiceHearing
from assistant.store.attachments import AttachmentStore

log = logging.getLogger(__name__)

_WORDS: Final = b"what was heard\0"
"""Prefix of a recording's digest when that is hashed: the words are kept beside what is known of the file unheard."""
_HEAD: Final = 64
Taken = tuple[str, ReadDocument] | Text
"""A file like others, with its attachment's id; or words of the message."""


@dataclass(frozen=True, slots=True)
class Recordings:
    """Transcribes the recordings among the files of messages."""

    attachments: AttachmentStore
    hearing: VoiceHearing

    async def take(self, request: TurnRequest, upload: Upload, *, in_chat: bool) -> Taken | None:
        """What the message has of a file; None: it is no recording, or nothing hears, and it is read as any other file.

        In a chat a recording that is not heard becomes a sentence that says why, as in `MessageIntake.message`. Otherwise raises UnreadableFile,
        FileTooLarge, ProviderFailed, BudgetUsedUp.
        """
        if isinstance(self.hearing, NoHearing):
            return None
        if not upload.sound and (upload.unread or not self.hearing.takes(await asyncio.to_thread(_head, upload))):
            return None
        kept = replace(upload, digest=sha256(_WORDS + bytes.fromhex(upload.digest)).hexdigest())
        known = await self.attachments.find(kept.digest)
        try:
            read = known if isinstance(known, ReadDocument) else await self._hear(request, upload)
        except StoreUnavailable:
            raise
        except NanobotError as error:
            log.warning("turn.not_heard turn=%s code=%s", request.id, error.code)
            if not in_chat:
                raise _named(upload, error) from error
            return await self._not_heard(request, upload, error)
        # Kept before anything else of the turn: a crash from here on costs no second hearing.
        attachment = await self.attachments.keep(request.owner, request.session, kept, read)
        return Text(text=read.text, heard=attachment, author=upload.author) if upload.sound == "words" else (attachment, read)

    async def _hear(self, request: TurnRequest, upload: Upload) -> ReadDocument:
        heard: Heard = await self.hearing.hear(Sound(path=upload.path, size=upload.size), request.payer)
        facts = ("what is said in it", *([] if heard.seconds is None else [f"{heard.seconds:.0f} seconds"]))
        return ReadDocument(format=_format(upload), text=heard.text, facts=facts)

    async def _not_heard(self, request: TurnRequest, upload: Upload, error: NanobotError) -> Text:
        """The recording itself is kept."""
        unread = ReadDocument(format=_format(upload), text="", missing="the recording: it could not be heard")
        attachment = await self.attachments.keep(request.owner, request.session, upload, unread)
        what = "Your voice message" if upload.sound == "words" else "A recording"  # its name may be another's words
        return Text(text=f"{what} could not be heard: {_reason(error)}", quoted=True, provenance="system", heard=attachment)


def _reason(error: NanobotError) -> str:
    """For the sender, who need not know of servers and keys."""
    match error:
        case BudgetUsedUp():
            return error.message
        case ProviderFailed(retryable=True):
            return "what transcribes does not answer now. Please send it again in a few minutes."
        case ProviderFailed():
            return "what transcribes is not set up right. The person who runs me sees more with `nanobot doctor`."
        case _:
            return f"it {error.message}"


def _named(upload: Upload, error: NanobotError) -> NanobotError:
    """The error as an answer to a request, with the file that it is about."""
    if isinstance(error, UnreadableFile | FileTooLarge):
        return type(error)(f"{upload.name} {error.message}", param=upload.param)
    return error


def _format(upload: Upload) -> str:
    return PurePath(upload.name).suffix[1:9].lower() or "sound"


def _head(upload: Upload) -> bytes:
    with upload.path.open("rb") as file:
        return file.read(_HEAD)

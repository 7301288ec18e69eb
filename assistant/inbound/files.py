"""Files of messages: fetched from their platform into the spool when their turn begins."""

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assistant.contracts.channels import Conversation
from assistant.contracts.inbox import InboundFile
from assistant.contracts.messages import human_size
from assistant.contracts.outbox import DeliveryError
from assistant.contracts.turns import Upload
from assistant.contracts.util import copy_hashed, new_id
from assistant.inbound.phrases import NO_HEARING
from assistant.inbound.preview import attempt
from assistant.turns.handle import remove_uploads

_SIDE_BY_SIDE: Final = 4
_SECONDS: Final = 120


class Fetcher:
    """Fetches files; one that fails becomes a sentence that says why."""

    def __init__(self, spool: Path, *, most: int = 20, most_bytes: int = 20_000_000) -> None:
        """`spool`: a folder that only the server's user may enter; it is made when it is first needed. `most`: files of one turn. `most_bytes`:
        of each file."""
        self._spool = spool
        self._most = most
        self._most_bytes = most_bytes
        self._places = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def fetch(self, files: Sequence[InboundFile], conversation: Conversation | None) -> list[Upload | str]:
        """Each file, or a sentence that says why it is missing, in order. The caller removes the uploads."""
        if not files:
            return []
        await asyncio.to_thread(self._spool.mkdir, mode=0o700, parents=True, exist_ok=True)
        tasks = [asyncio.create_task(self._one(file, number, conversation)) for number, file in enumerate(files)]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(remove_uploads, [outcome for outcome in outcomes if isinstance(outcome, Upload)])
            raise

    async def _one(self, file: InboundFile, number: int, conversation: Conversation | None) -> Upload | str:
        reason = self._refusal(file, number, conversation)
        if conversation is None or reason:
            return _not_there(file, reason)
        path = self._spool / new_id("up")  # the spool's sweep knows the prefix
        try:
            async with self._places:
                fetched = await attempt("fetch", conversation.fetch(file, path, self._most_bytes), within=_SECONDS)
            measured = fetched or await asyncio.to_thread(_measure, path, self._most_bytes)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if isinstance(measured, tuple):
            size, digest = measured
            unread = NO_HEARING if file.kind in ("audio", "voice", "video") else ""
            sound = "file" if file.kind in ("audio", "voice") else ""
            return Upload(name=file.name, path=path, size=size, digest=digest, unread=unread, sound=sound)
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return _not_there(file, measured.words)

    def _refusal(self, file: InboundFile, number: int, conversation: Conversation | None) -> str:
        """Why a file is not fetched; empty: it is."""
        if number >= self._most:
            return f"at most {self._most} files are taken in at once"
        if file.size is not None and file.size > self._most_bytes:
            return f"it is larger than {human_size(self._most_bytes)}"
        if file.kind == "sticker" and file.media_type not in ("image/webp", "image/png"):
            return "it is a moving sticker"
        return "its channel is not enabled" if conversation is None else ""


def _not_there(file: InboundFile, reason: str) -> str:
    size = f", {human_size(file.size)}" if file.size is not None else ""
    return f"The user sent a file that could not be had: {file.name} ({file.kind}{size}). The reason: {reason.rstrip('.')}."


def _measure(path: Path, most: int) -> tuple[int, str] | DeliveryError:
    """(bytes, SHA-256) of what was fetched."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return DeliveryError(code="internal_error", words="it did not arrive as a file")
            digest, size = copy_hashed(file, lambda block: None)
    except OSError:
        return DeliveryError(code="internal_error", words="it did not arrive")
    if size > most:
        return DeliveryError(code="too_large", words=f"it is larger than {human_size(most)}")
    return size, digest

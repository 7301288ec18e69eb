"""Calls of a model without an agent: no session, no tools of ours. The model gets what the client sent."""

import asyncio
from dataclasses import replace
from typing import Final

from assistant.contracts.access import UNLIMITED, Admission
from assistant.contracts.documents import DocumentReader, ReadImage
from assistant.contracts.errors import RefusedByProvider, RequestRefused, drop_traceback
from assistant.contracts.messages import AssistantMessage, Image, MediaType, Message, Usage, UserMessage, picture_id
from assistant.contracts.models import EmitText, ModelProvider, ModelRequest
from assistant.contracts.records import record
from assistant.contracts.turns import Earlier, HistoryMessage, Keep, ReasoningDelta, TextDelta, TurnFailed, TurnFinished, Upload
from assistant.contracts.util import new_id
from assistant.turns.handle import RunningTurn, RunningTurns, kept, reason, remove_uploads
from assistant.turns.intake import NO_OCR, Reading, parts_of
from assistant.turns.prompt import pictures_within


@record
class DirectRequest:
    """A call of a model, for one answer or several."""

    id: str
    """`turn_…`"""
    model: ModelProvider
    conversations: tuple[tuple[Earlier, ...], ...]
    """The conversation for each answer; the same object where it is the same."""
    ask: ModelRequest
    """The call for each answer, still without its messages and images."""
    hints: frozenset[str] = frozenset()
    """Extra fields without which the answer is the same: where the provider refuses one by its name, it is asked again without them."""
    keep: Keep | None = None
    """Stores the end before it is emitted."""

    @property
    def uploads(self) -> list[Upload]:
        said = {id(conversation): conversation for conversation in self.conversations}.values()
        asked = [message for conversation in said for message in conversation if isinstance(message, HistoryMessage)]
        return [item for message in asked for item in message.content if isinstance(item, Upload)]


class Direct:
    """Runs direct requests, each in a task of its own."""

    def __init__(self, *, reader: DocumentReader, document_chars: int, document_pictures: int = 20, timeout: float) -> None:
        """`document_chars`, `document_pictures`: how much text and how many pictures of documents a message may hold. `timeout`: seconds from
        `start` to the answer."""
        self._reader = reader
        self._document_chars = document_chars
        self._document_pictures = document_pictures
        self._timeout = timeout
        self._running = RunningTurns()

    def start(self, request: DirectRequest, admission: Admission = UNLIMITED) -> RunningTurn:
        """Ask at once. `admission`: charged with the tokens used; the caller ends it. Raises ShuttingDown; then the caller keeps the uploads."""
        self._running.check_open()
        turn = RunningTurn(request.id, admission)
        return self._running.begin(turn, self._run(request, turn))

    async def close(self) -> None:
        """Take no new requests and stop those that run."""
        await self._running.close(0)

    async def _run(self, request: DirectRequest, turn: RunningTurn) -> None:
        end: TurnFinished | TurnFailed
        try:
            end = await self._answer(request, turn)
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - passed on to the caller; `reason` logs a bug
            error = RefusedByProvider(raised.message) if isinstance(raised, RequestRefused) else raised
            _, told = reason(turn, error, late="The model did not answer in time (api.timeout).")
            end = TurnFailed(turn_id=turn.id, error=told, acted=False)
            drop_traceback(raised)
        finally:
            turn.sealed = True  # a stop now would end the task before its end is emitted
            if uploads := request.uploads:
                await asyncio.to_thread(remove_uploads, uploads)
        turn.emit(end if request.keep is None else await kept(turn, end, request.keep))

    async def _answer(self, request: DirectRequest, turn: RunningTurn) -> TurnFinished:
        turn.awake = True
        if turn.stopped:
            raise asyncio.CancelledError
        images: dict[str, bytes] = {}
        seats = asyncio.Semaphore(8)  # answers of one request that are made at the same time
        async with asyncio.timeout(self._timeout):
            info = request.model.info
            pictures = min(self._document_pictures, pictures_within(info.context_tokens)) if info.vision else 0
            read: dict[int, tuple[Message, ...]] = {}
            for said in request.conversations:
                if id(said) not in read:
                    read[id(said)] = tuple([await self._message(earlier, images, pictures, eyes=info.vision) for earlier in said])

            async def ask(index: int, said: tuple[Earlier, ...]) -> AssistantMessage:
                def emit(text: str, /, *, reasoning: bool = False) -> None:
                    kind = ReasoningDelta if reasoning else TextDelta
                    turn.emit(kind(text=text, index=index))

                async with seats:
                    wanted = replace(request.ask, messages=read[id(said)], images=images)
                    return await _complete(request, wanted, emit)

            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(ask(index, said)) for index, said in enumerate(request.conversations)]
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None
        answers = tuple([task.result() for task in tasks])
        first, usage = answers[0], Usage.total([answer.usage for answer in answers])
        return TurnFinished(
            turn_id=turn.id,
            text=first.text,
            finish_reason=first.finish_reason,
            usage=usage,
            model=first.model,
            answers=answers,
            reasoning=first.reasoning,
        )

    async def _message(self, said: Earlier, images: dict[str, bytes], pictures: int, *, eyes: bool) -> Message:
        if not isinstance(said, HistoryMessage):
            return said
        readings: dict[int, tuple[str, Reading]] = {}
        looks: dict[str, str] = {}
        for item in said.content:
            if isinstance(item, Upload):
                reading, attachment = await self._reader.read(item, words=not eyes), ""
                if isinstance(reading, ReadImage):
                    attachment = new_id("att")
                    looks[attachment] = item.detail
                    reading = await asyncio.to_thread(_as_sent, reading, item)
                    images[attachment] = reading.data
                else:
                    images |= {picture_id(item.digest, picture): picture.data for picture in reading.pictures[:pictures]}
                readings[id(item)] = attachment, reading
        note = "" if eyes or self._reader.reads_words else NO_OCR
        parts = [
            replace(part, bare=True, detail=looks[part.attachment_id]) if isinstance(part, Image) and part.attachment_id in looks else part
            for part in parts_of(said.content, readings, self._document_chars, pictures, eyes=eyes, note=note)
        ]
        return UserMessage(id=new_id("msg"), parts=tuple(parts), extras=said.extras)


async def _complete(request: DirectRequest, wanted: ModelRequest, emit: EmitText) -> AssistantMessage:
    try:
        return await request.model.complete(wanted, emit)
    except RequestRefused as error:
        hints = request.hints & wanted.extra_fields.keys()
        if not any(name in error.message for name in hints):
            raise
    fewer = {name: value for name, value in wanted.extra_fields.items() if name not in hints}
    return await request.model.complete(replace(wanted, extra_fields=fewer), emit)


_SIGNATURES: Final[tuple[tuple[bytes, MediaType], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif")
)  # fmt: skip


def _as_sent(read: ReadImage, upload: Upload) -> ReadImage:
    """The picture with the bytes that were sent, where these are of a format that every API takes."""
    data = upload.path.read_bytes()
    media_type = next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        media_type = "image/webp"
    return read if media_type is None else replace(read, data=data, media_type=media_type)

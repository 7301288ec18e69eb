"""Calls of a model without an agent: no session, no tools of ours. The model gets what the client sent."""

import asyncio
from dataclasses import dataclass, replace

from assistant.contracts.access import UNLIMITED, Admission
from assistant.contracts.documents import DocumentReader, ReadImage
from assistant.contracts.errors import drop_traceback
from assistant.contracts.messages import AssistantMessage, Message, Usage, UserMessage
from assistant.contracts.models import ModelProvider, ModelRequest
from assistant.contracts.turns import Earlier, HistoryMessage, Keep, TextDelta, TurnFailed, TurnFinished, Upload
from assistant.contracts.util import new_id
from assistant.turns.handle import RunningTurn, RunningTurns, kept, reason, remove_uploads
from assistant.turns.intake import Reading, parts_of, picture_id
from assistant.turns.prompt import pictures_within


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectRequest:
    """A call of a model, for one answer or several."""

    id: str
    """`turn_…`"""
    model: ModelProvider
    conversations: tuple[tuple[Earlier, ...], ...]
    """The conversation for each answer; the same object where it is the same."""
    ask: ModelRequest
    """The call for each answer, still without its messages and images."""
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
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - passed on to the caller; `reason` logs a bug
            _, told = reason(turn, error, late="The model did not answer in time (api.timeout).")
            end = TurnFailed(turn_id=turn.id, error=told, acted=False)
            drop_traceback(error)
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
                    read[id(said)] = tuple([await self._message(earlier, images, pictures) for earlier in said])

            async def ask(index: int, said: tuple[Earlier, ...]) -> AssistantMessage:
                async with seats:
                    wanted = replace(request.ask, messages=read[id(said)], images=images)
                    return await request.model.complete(wanted, lambda text: turn.emit(TextDelta(text=text, index=index)))

            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(ask(index, said)) for index, said in enumerate(request.conversations)]
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None
        answers = tuple([task.result() for task in tasks])
        first, usage = answers[0], sum((answer.usage for answer in answers), Usage())
        return TurnFinished(
            turn_id=turn.id, text=first.text, finish_reason=first.finish_reason, usage=usage, model=first.model, answers=answers
        )

    async def _message(self, said: Earlier, images: dict[str, bytes], pictures: int) -> Message:
        if not isinstance(said, HistoryMessage):
            return said
        readings: dict[int, tuple[str, Reading]] = {}
        for item in said.content:
            if isinstance(item, Upload):
                reading, attachment = await self._reader.read(item), ""
                if isinstance(reading, ReadImage):
                    attachment = new_id("att")
                    images[attachment] = reading.data
                else:
                    images |= {picture_id(item.digest, picture): picture.data for picture in reading.pictures[:pictures]}
                readings[id(item)] = attachment, reading
        return UserMessage(id=new_id("msg"), parts=parts_of(said.content, readings, self._document_chars, pictures))

"""Turns: from a request to its answer, by the steps 3 to 9 of the path of a message (docs/architecture.md)."""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial

from assistant.agent.loop import Answer, Loop
from assistant.agent.toolbox import Toolbox
from assistant.agent.transcript import fit
from assistant.contracts.errors import NanobotError, SessionNotFound, ShuttingDown, TurnCancelled, TurnTimeout, let_go, place_of
from assistant.contracts.ids import new_id
from assistant.contracts.messages import AssistantMessage, CutOff, ToolMessage, UserMessage
from assistant.contracts.models import ModelProvider, ModelRequest, Sampling
from assistant.contracts.sessions import AttachmentStore, NewTurn, SessionStore
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import TurnFailed, TurnFinished, TurnRequest, Upload
from assistant.turns.context import Context
from assistant.turns.intake import Intake
from assistant.turns.lanes import Lanes, Place
from assistant.turns.running import RunningTurn
from assistant.turns.transcripts import Transcript, Transcripts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Who answers: a model, its tools, what it is told, and its limits."""

    model: ModelProvider
    toolbox: Toolbox
    context: Context
    max_steps: int
    """Model calls that may use tools, in one turn."""
    sampling: Sampling
    """How answers are drawn where a request leaves it open."""


class Turns:
    """Runs turns. Each runs in a task of its own and to its end, whoever still listens."""

    def __init__(
        self, *, agent: Agent, sessions: SessionStore, attachments: AttachmentStore, intake: Intake, timeout: float, waiting: int = 16
    ) -> None:
        """`timeout`: seconds from `start` to the answer, waiting included. `waiting`: turns that may wait in one session."""
        self._agent = agent
        self._sessions = sessions
        self._attachments = attachments
        self._intake = intake
        self._timeout = timeout
        self._lanes = Lanes(waiting=waiting)
        self._transcripts = Transcripts()
        self._running: set[RunningTurn] = set()
        self._closing = False

    def start(self, request: TurnRequest) -> RunningTurn:
        """Begin a turn, or let it wait in its session's lane. Raises SessionBusy or ShuttingDown at once; then the uploads are still the
        caller's. Otherwise the turn removes them when it has read them."""
        if self._closing:
            raise ShuttingDown(retry_after=1)
        place = self._lanes.take(_lane(request.owner, request.session))
        turn = RunningTurn(request.id)
        turn.task = asyncio.create_task(self._run(request, turn, place), name=request.id)
        self._running.add(turn)
        return turn

    async def delete_session(self, owner: str, session: str) -> None:
        """Remove a session, after the turns that wait in it. Raises SessionNotFound, or SessionBusy where too many wait."""
        place = self._lanes.take(_lane(owner, session))
        try:
            await place.reached()
            self._transcripts.forget(owner, session)
            if not await self._sessions.delete(owner, session):
                raise SessionNotFound(param="session_id")
        finally:
            self._lanes.leave(place)

    async def close(self, grace: float) -> None:
        """Take no new turns, wait `grace` seconds for those that run, and stop the rest: their sessions say that they were interrupted."""
        self._closing = True
        tasks = [turn.task for turn in self._running if turn.task]
        if tasks:
            log.info("turns.draining running=%d grace=%.1f", len(tasks), grace)
            await asyncio.wait(tasks, timeout=grace)
        for turn in self._running:
            turn.cancel("interrupted")
        await asyncio.gather(*[turn.task for turn in self._running if turn.task])

    async def _run(self, request: TurnRequest, turn: RunningTurn, place: Place) -> None:
        """The whole life of a turn: it is settled, its lane left, its uploads removed and its end told, whatever happens."""
        end: TurnFinished | TurnFailed
        try:
            end = await self._answer(request, turn, place)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - settled and passed on; a bug is logged in _reason
            turn.sealed = True  # a stop that comes now would end the task before anybody is told
            end = await self._settle(request, turn, error)
        finally:
            self._lanes.leave(place)
            uploads = [item for item in request.content if isinstance(item, Upload)]
            if uploads:
                await asyncio.to_thread(_remove, uploads)
            self._running.discard(turn)
        turn.emit(end)

    async def _answer(self, request: TurnRequest, turn: RunningTurn, place: Place) -> TurnFinished:
        async with asyncio.timeout(self._timeout):
            await place.reached()
            transcript, answer = await self._converse(request, turn)
        # Outside of the timeout, and not to be stopped any more: an answer that is whole is stored.
        turn.sealed = True
        seq = await self._sessions.end_turn(turn.id, "finished", [answer.last], context_from=transcript.context_from)
        if not seq:
            raise SessionNotFound("The session was deleted while it was being answered.")
        transcript.add([answer.last], seq)
        self._transcripts.put(request.owner, request.session, transcript)
        return TurnFinished(
            turn_id=turn.id, text=answer.text, finish_reason=answer.last.finish_reason, usage=answer.usage, model=answer.last.model
        )

    async def _converse(self, request: TurnRequest, turn: RunningTurn) -> tuple[Transcript, Answer]:
        agent = self._agent
        message = await self._intake.message(request)
        room = agent.context.room(request, message)
        turn.begun = True
        transcript = await self._load(request, message)
        transcript.trim(room.budget(transcript.scale))

        async def append(step: list[AssistantMessage | ToolMessage]) -> None:
            seq = await self._sessions.append_step(turn.id, step)
            if not seq:
                raise SessionNotFound("The session was deleted while it was being answered.")
            transcript.add(step, seq)
            turn.words.clear()

        loop = Loop(
            model=agent.model,
            toolbox=agent.toolbox,
            max_steps=agent.max_steps,
            fit=partial(fit, budget=room.budget(transcript.scale)),
            append=append,
            emit=turn.emit,
        )
        model_request = ModelRequest(
            instructions=room.instructions,
            messages=tuple(transcript.messages),
            tools=agent.toolbox.specs,
            sampling=request.sampling.over(agent.sampling),
            images=await self._attachments.images(transcript.images) if transcript.images and agent.model.info.vision else {},
            stream=request.stream,
        )
        context = ToolContext(owner=request.owner, session=request.session, turn_id=turn.id, call_id="", address=request.address)
        answer = await loop.run(model_request, context)
        transcript.learn(answer.last.usage.prompt_tokens, room.fixed_tokens)
        return transcript, answer

    async def _load(self, request: TurnRequest, message: UserMessage) -> Transcript:
        """Store the user's message and read what this process has not seen of the session."""
        transcript = self._transcripts.get(request.owner, request.session)
        new = NewTurn(id=request.id, owner=request.owner, session=request.session, message=message)
        history = await self._sessions.begin_turn(new, transcript.known if transcript else None)
        if transcript is None or history.fresh:
            transcript = Transcript(history)
        else:
            transcript.extend(history.messages, history.seq - 1)
            transcript.begin_at(history.context_from)
        transcript.add([message], history.seq)
        return transcript

    async def _settle(self, request: TurnRequest, turn: RunningTurn, error: BaseException) -> TurnFailed:
        """Say in the session that the answer was cut off, and why; and make of the error one for the caller."""
        state, told = _reason(turn, error)
        if turn.begun:
            self._transcripts.forget(request.owner, request.session)
            mark = AssistantMessage(id=new_id("msg"), text="".join(turn.words), cut_off=state)
            try:
                await self._sessions.end_turn(turn.id, state, [mark], error=told.code)
            except Exception as failure:  # noqa: BLE001 - whatever the store does, whoever waits is told of the first failure
                # The turn stays marked as running; the next start settles it as interrupted.
                log.warning("turn.not_settled turn=%s state=%s error=%s", turn.id, state, type(failure).__qualname__)
        log.info("turn.failed turn=%s state=%s code=%s", turn.id, state, told.code)
        let_go(error)
        let_go(told)
        return TurnFailed(turn_id=turn.id, error=told, acted=turn.acted)


def _reason(turn: RunningTurn, error: BaseException) -> tuple[CutOff, NanobotError]:
    match error:
        case asyncio.CancelledError() if turn.stopped == "cancelled":
            return "cancelled", TurnCancelled()
        case asyncio.CancelledError():
            return "interrupted", ShuttingDown("The server shut down before the answer was whole.", retry_after=1)
        case TimeoutError():
            return "timeout", TurnTimeout()
        case NanobotError():
            return "failed", error
        case _:
            log.error("turn.bug turn=%s error=%s", turn.id, place_of(error))
            return "failed", NanobotError()


def _remove(uploads: list[Upload]) -> None:
    for upload in uploads:
        try:
            upload.path.unlink(missing_ok=True)
        except OSError as error:  # a disk that fails now must not keep the answer back; the spool is swept
            log.warning("turn.upload_left errno=%s", error.errno)


def _lane(owner: str, session: str) -> str:
    return f"{owner}\0{session}"

"""Workflows that clients use as models: a conversation becomes a job's inputs, and the job's outputs become the answer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import orjson

from assistant.contracts.errors import InvalidRequest, NanobotError, ShuttingDown, TurnCancelled
from assistant.contracts.messages import Json, Usage
from assistant.contracts.turns import Earlier, HistoryMessage, TextDelta, TurnFailed, TurnFinished, Upload, UserText
from assistant.contracts.util import new_id
from assistant.contracts.workflows import Job, JobConflict, WorkflowInfo, Workflows
from assistant.turns.handle import RunningTurn

_MESSAGE_INPUTS: Final = ("message", "prompt", "text", "input", "question")
"""Names of the text input that gets a message's words, in order of preference; without one of them it is the first text input."""


class WorkflowModels:
    """The workflows `ids`, run by the same handle that turns have."""

    def __init__(self, workflows: Workflows, ids: Sequence[str]) -> None:
        self.ids = tuple(ids)
        self._workflows = workflows
        self._running: set[RunningTurn] = set()

    async def start(self, owner: str, workflow_id: str, said: Sequence[Earlier], stream: bool, caller: str) -> RunningTurn:
        """Accept a job, which is stored when this returns. The uploads stay the caller's.

        A cancelled turn cancels its job; a turn interrupted by the server's shutdown leaves the job to be resumed after the next start.
        `caller`: the credential that asks. `said`: the conversation, with the user's message last. Raises what `Workflows.start` raises.
        """
        *before, last = said
        if not isinstance(last, HistoryMessage):
            raise TypeError("the last message must be the user's")
        workflow = await self._workflows.show(workflow_id)
        files = message_files(workflow, [part for part in last.content if isinstance(part, Upload)])
        job = await self._workflows.start(owner, workflow_id, message_params(workflow, _text(last), before), files, caller=caller)
        turn = RunningTurn(new_id("turn"))
        turn.acted = True  # its nodes may have had effects: clients must not repeat it by themselves
        turn.task = asyncio.create_task(self._follow(turn, owner, job, stream), name=turn.id)
        self._running.add(turn)
        return turn

    async def close(self) -> None:
        """Interrupt the running turns. To be called when no job runs any more."""
        for turn in self._running:
            turn.cancel("interrupted")
        await asyncio.gather(*[turn.task for turn in self._running if turn.task])

    async def _follow(self, turn: RunningTurn, owner: str, job: Job, stream: bool) -> None:
        turn.awake = True
        end: TurnFinished | TurnFailed = TurnFailed(turn_id=turn.id, error=NanobotError(), acted=True)
        try:
            if turn.stopped:
                raise asyncio.CancelledError
            text = results_text(dict(await self._workflows.result(owner, job.id)))
            if stream:
                turn.emit(TextDelta(text=text))
            name = f"workflow:{job.workflow}"
            end = TurnFinished(turn_id=turn.id, text=text, finish_reason="stop", usage=Usage(), model=name)
        except NanobotError as error:
            end = TurnFailed(turn_id=turn.id, error=error, acted=True)
        except asyncio.CancelledError:
            end = TurnFailed(turn_id=turn.id, error=await self._stopped(turn, owner, job), acted=True)
        finally:
            self._running.discard(turn)
            turn.emit(end)

    async def _stopped(self, turn: RunningTurn, owner: str, job: Job) -> NanobotError:
        if turn.stopped != "cancelled":
            return ShuttingDown(f"The server is shutting down; the job {job.id} goes on after its next start.")
        with suppress(JobConflict):  # it ended meanwhile
            await self._workflows.cancel(owner, job.id)
        return TurnCancelled()


def message_params(workflow: WorkflowInfo, text: str, history: Sequence[Earlier] = ()) -> dict[str, Json]:
    """The inputs that a message gives. `history`: the messages before it; a JSON input called `messages` gets the whole conversation."""
    text_inputs = [each.name for each in workflow.inputs if each.type == "text"]
    named = [name for name in _MESSAGE_INPUTS if name in text_inputs] or text_inputs
    conversation: list[Json] = [*map(_message, history), {"role": "user", "content": text}]
    params: dict[str, Json] = {each.name: conversation for each in workflow.inputs if (each.name, each.type) == ("messages", "json")}
    return {**params, **({named[0]: text} if named and text else {})}


def message_files(workflow: WorkflowInfo, uploads: Sequence[Upload]) -> dict[str, Upload]:
    """A message's files by the file inputs, in order. Raises InvalidRequest where there are more files than inputs."""
    names = [each.name for each in workflow.inputs if each.type == "file"]
    if len(uploads) > len(names):
        raise InvalidRequest(f"There are more files than the workflow takes: {', '.join(names) or 'none'}.", param="content")
    return dict(zip(names, uploads, strict=False))


def results_text(results: dict[str, Json]) -> str:
    """A workflow's outputs as a message: a single one as it is, several each after its name."""
    texts = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in results.items()}
    return next(iter(texts.values())) if len(texts) == 1 else "\n\n".join([f"{name}: {text}" for name, text in texts.items()])


def _text(said: HistoryMessage) -> str:
    return "\n".join([part.text for part in said.content if isinstance(part, UserText)])


def _message(said: Earlier) -> Json:
    return {"role": "user", "content": _text(said)} if isinstance(said, HistoryMessage) else {"role": said.role, "content": said.text}

"""Workflows that are asked as models are: the last message is a job's input, and the job's outputs are the answer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from assistant.contracts.errors import NanobotError, ShuttingDown, TurnCancelled
from assistant.contracts.ids import new_id
from assistant.contracts.messages import Usage
from assistant.contracts.turns import Asked, Earlier, TextDelta, TurnFailed, TurnFinished, Upload
from assistant.contracts.workflows import Job, JobConflict, Workflows
from assistant.turns.running import RunningTurn
from assistant.workflows.spoken import files_said, params_said, results_text, words_of


class AskedWorkflows:
    """Those of `ids`, through the handle that turns have, so that whoever waits for an answer need not know what gives it."""

    def __init__(self, workflows: Workflows, ids: Sequence[str]) -> None:
        self.ids = tuple(ids)
        self._workflows = workflows
        self._running: set[RunningTurn] = set()

    async def start(self, owner: str, workflow_id: str, said: Sequence[Earlier], *, stream: bool) -> RunningTurn:
        """Accept a job, which is kept when this returns: nobody need wait for it. The uploads stay the caller's. A turn that is cancelled
        cancels its job; one that the server's end interrupts leaves it, to go on after the next start.

        `said`: the conversation; the last word is the user's. Raises what `Workflows.start` raises.
        """
        *before, last = said
        if not isinstance(last, Asked):
            raise TypeError("a workflow is asked by a user")
        workflow = await self._workflows.show(workflow_id)
        files = files_said(workflow, [part for part in last.content if isinstance(part, Upload)])
        job = await self._workflows.start(owner, workflow_id, params_said(workflow, words_of(last), before), files)
        turn = RunningTurn(new_id("turn"))
        turn.acted = True  # its nodes may have done anything: no client is to repeat it by itself
        turn.task = asyncio.create_task(self._follow(turn, owner, job, stream), name=turn.id)
        self._running.add(turn)
        return turn

    async def close(self) -> None:
        """Let go of those who wait. To be called when no job is run any more."""
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

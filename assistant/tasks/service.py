"""Does what is delegated: takes tasks as there is room, sees their turns to the end, and looks after those of processes that died."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, Final

from assistant.contracts.causes import Cause
from assistant.contracts.errors import NanobotError, SessionBusy, ShuttingDown, StoreUnavailable, TurnTimeout, traceback_location
from assistant.contracts.sessions import SessionCut
from assistant.contracts.tasks import DEEPEST, TASK_SESSION, TaskOutcome
from assistant.contracts.turns import TurnFailed, TurnFinished, TurnRequest, UserText
from assistant.contracts.util import Clock, backoff, utc_now
from assistant.store.store import Store
from assistant.store.task_rows import WHY, HeldTask, OpenTask
from assistant.store.tasks import TaskStore
from assistant.tasks.runs import CommandRuns
from assistant.tasks.settings import TaskSettings
from assistant.turns.handle import RunningTurn
from assistant.turns.service import Turns

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
"""Between two looks at the store while there are tasks: they may be stopped, and processes may die."""
_IDLE_SECONDS: Final = 5.0
_LONGEST_WAIT: Final = 60.0
HELPER: Final = (
    "You are a helper: another assistant has handed you one task and reads only your last message. Do the task and answer with its result, whole and "
    "to the point, and with what could not be done. No one answers questions, and you can't send messages."
)


@dataclass(frozen=True, slots=True)
class TaskReply:
    """The `Reply` of a helper's turn: what it comes to is noted for the task, which ends in the transaction that stores the turn's end."""

    task: str
    store: TaskStore

    async def outbound(self, end: TurnFinished | TurnFailed) -> tuple[()]:
        """Raises StoreUnavailable: then the end can't be stored either, and the turn is tried again."""
        if isinstance(end, TurnFinished):
            outcome = TaskOutcome(answer=end.text, effects=end.effects)
        else:
            late = isinstance(end.error, TurnTimeout)
            outcome = TaskOutcome(error=WHY["late"] if late else end.error.message, effects=end.effects)
        await self.store.note(self.task, outcome)
        return ()

    def of_cut(self, cut: SessionCut) -> None:
        """A helper's session is summed up without a word."""


class TaskService:
    """Runs the tasks of a store, beside other processes that do so too.

    It begins to look at `start`, or when its process delegates something first.
    """

    def __init__(self, *, store: Store, runs: CommandRuns, turns: Turns, settings: TaskSettings, clock: Clock = utc_now) -> None:
        self._store = store.tasks
        self._own = store.runner.id
        self._notifier = store.notifier
        self.book = runs.book
        self._runs = runs
        self._turns = turns
        self._settings = settings
        self._clock = clock
        self._heard = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._closing = False
        self._held = False
        self._works: dict[asyncio.Task[None], str] = {}
        self._running: dict[str, RunningTurn] = {}
        self._cancelled: set[str] = set()
        runs.book.wake = self.wake

    async def start(self) -> None:
        """Resume what dead processes left, then look after all that comes. Raises StoreUnavailable."""
        self._held = False
        await self._take_over()
        self.wake()

    def hold(self) -> None:
        """Begin nothing until `start`: what is delegated waits."""
        self._held = True

    def wake(self) -> None:
        """Look at the store now."""
        self._heard.set()
        if self._looking is None and not self._closing and not self._held:
            self._looking = asyncio.create_task(self._keep_looking())

    async def stop_beginning(self) -> None:
        """Take nothing more."""
        self._closing = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def close(self, grace: float) -> None:
        """Wait `grace` seconds for tasks under way, and hand back the rest; commands end. Call it after `Turns.close`. Safe to call twice."""
        await self.stop_beginning()
        await self._runs.close()
        if not self._works:
            return
        works = dict(self._works)
        await asyncio.wait(works, timeout=grace)
        for task in works:
            task.cancel()
        await asyncio.wait(works)
        for task, task_id in works.items():
            if task.cancelled():
                await self._try(self._store.hand_back(task_id), task_id)

    async def look(self) -> bool:
        """Do all that there is to do now. False: there is nothing to look after."""
        found = await self._store.open()
        if any(each.state == "running" and each.runner != self._own for each in found):
            await self._take_over()
        for each in found:
            await self._settle(each)
        if any(each.state == "waiting" for each in found):
            for held in await self._store.take(self._settings.parallel, timedelta(seconds=self._settings.timeout)):
                self._begin(held)
        return bool(found)

    async def _settle(self, each: OpenTask) -> None:
        if each.lost:
            await self._store.settle_lost(each.id)
        if each.found:
            await self._store.hand_over_kept(each.id)
        if each.runner != self._own:
            return
        if each.kind == "run":
            await self._runs.settle(each)
        elif each.cancel:
            self._cancelled.add(each.id)
            if turn := self._running.get(each.id):
                turn.cancel()

    async def _keep_looking(self) -> None:
        failures = 0
        while True:
            self._heard.clear()
            try:
                seconds = _LOOK_SECONDS if await self.look() else _IDLE_SECONDS
                failures = 0
            except Exception as error:  # noqa: BLE001 - one task must not keep the others from running
                known = isinstance(error, NanobotError)
                log.warning("tasks.not_looked error=%s", error.code if known else traceback_location(error))
                failures += 1
                seconds = backoff(failures, longest=30)
            try:
                async with asyncio.timeout(seconds):
                    await self._heard.wait()
            except TimeoutError:
                continue

    async def _take_over(self) -> None:
        taken = await self._store.take_over()
        if taken:
            log.warning("tasks.recovered again=%d", len(taken))
        for held in taken:
            self._begin(held)

    def _begin(self, held: HeldTask) -> None:
        log.info("task.begins task=%s turn=%s", held.new.id, held.turn_id)
        task = asyncio.create_task(self._see_to_its_end(held), name=held.new.id)
        self._works[task] = held.new.id
        task.add_done_callback(self._works.pop)

    async def _see_to_its_end(self, held: HeldTask) -> None:
        """Run its turn until the end is stored; tried again while the store or the session's lane refuses it."""
        task_id = held.new.id
        for tries in count(1):
            try:
                if await self._ran(held):
                    break
            except Exception as bug:
                log.exception("task.bug error=%s", traceback_location(bug), exc_info=False)
                if await self._try(self._store.end(task_id, "failed", WHY["bug"]), task_id):
                    break
            await asyncio.sleep(backoff(tries, longest=_LONGEST_WAIT))
        self._cancelled.discard(task_id)
        log.info("task.ended task=%s", task_id)
        self._notifier.announced()
        self.book.changed(task_id)
        self._heard.set()

    async def _ran(self, held: HeldTask) -> bool:
        """Try it once. False: its end is not stored."""
        task_id, left = held.new.id, (held.deadline - self._clock()).total_seconds()
        try:
            if left <= 0:
                await self._store.end(task_id, "failed", WHY["late"])
                return True
            turn = self._turns.start(await self._request(held, left))
        except (SessionBusy, ShuttingDown, StoreUnavailable) as error:
            log.info("task.not_begun task=%s code=%s", task_id, error.code)
            return False
        except NanobotError as error:  # its agent is gone
            return await self._try(self._store.end(task_id, "failed", error.message), task_id)
        if turn.task is None:
            return False
        self._running[task_id] = turn
        if task_id in self._cancelled:
            turn.cancel()
        try:
            await asyncio.wait([turn.task])
        finally:
            del self._running[task_id]
        return turn.task.done() and not turn.unsettled

    async def _request(self, held: HeldTask, left: float) -> TurnRequest:
        """Its turn, with what the agents that asked for it may do, and less. Raises ModelNotFound."""
        new = held.new
        tools = await self._turns.tools_in(new.agent, new.owner, new.session)
        for name in new.within:
            tools &= await self._turns.tools_in(name, new.owner, new.session)
        tools -= {"message", *(["delegate"] if new.depth >= DEEPEST else [])}
        return TurnRequest(
            id=held.turn_id,
            owner=new.owner,
            session=f"{TASK_SESSION}{new.id}",
            content=(
                UserText(text=new.text, chosen=True, provenance="assistant"),
            ),  # the model's words, so they are never taken for the person's own
            agent=new.agent,
            instructions=(HELPER,),
            only_tools=tools if new.only_tools is None else tools & frozenset(new.only_tools),
            within=tuple([name for name in dict.fromkeys(new.within) if name != new.agent]),
            inherits=frozenset(new.inherits),
            timeout=left,
            address=new.address,
            cause=Cause(kind="task", id=new.id),
            caller=new.caller,
            asker=new.asker,
            reply=TaskReply(new.id, self._store),
        )

    async def _try(self, write: Coroutine[Any, Any, None], task_id: str) -> bool:
        try:
            await write
        except StoreUnavailable as error:  # taken over as one whose process died
            log.warning("task.not_stored task=%s code=%s", task_id, error.code)
            return False
        return True

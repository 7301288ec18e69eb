"""One job while this process runs it: its nodes, each noted in the store as it begins and as it ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from assistant.contracts.errors import NanobotError, StoreUnavailable, place_of
from assistant.contracts.messages import Json
from assistant.contracts.workflows import JobState, JobStore, NewJob, NodeRun
from assistant.turns.running import Stop
from assistant.workflows.definition import Call, Definition, Node
from assistant.workflows.library import Checked
from assistant.workflows.references import NothingThere
from assistant.workflows.settings import WorkflowSettings
from assistant.workflows.values import TooLong, Values, check_size, given, own_inputs
from assistant.workflows.work import Hands, Interrupted, NodeFailed, Spot

log = logging.getLogger(__name__)

T = TypeVar("T")
MOST_STARTS: Final = 5
"""How often a node is begun: the server has died on it all the other times."""
_LONGEST_PAUSE: Final = 15.0


class Lost(Exception):
    """The job is not this process's any more: somebody else has ended it."""


class RunningJob:
    """A job to its end, or until it is stopped."""

    def __init__(
        self,
        new: NewJob,
        checked: Checked,
        before: Mapping[str, NodeRun],
        *,
        store: JobStore,
        hands: Hands,
        settings: WorkflowSettings,
        changed: Callable[[], None],
    ) -> None:
        """`before`: what was done of it, by path. `changed`: called whenever the store holds something new of it."""
        self.id = new.id
        self._new = new
        self._checked = checked
        self._before = before
        self._store = store
        self._hands = hands
        self._settings = settings
        self._changed = changed
        self._slots = asyncio.Semaphore(settings.parallel)
        self._why: Stop | None = None

    @property
    def stopped(self) -> bool:
        return self._why is not None

    @property
    def cancelled(self) -> bool:
        return self._why == "cancelled"

    def stop(self, why: Stop) -> None:
        """No node is begun from here on. "interrupted": the job stays as it is; "cancelled": it is settled so. The first reason counts."""
        self._why = self._why or why

    async def run(self) -> None:
        """Whatever happens is in the store in the end, but for an interruption. Cancel it to stop nodes that run, having said why by `stop`."""
        if not await self._kept(lambda: self._store.begin(self.id)):
            await self._kept(lambda: self._store.end(self.id, "cancelled"))
            self._changed()
            return
        self._changed()
        state, results, error = await self._outcome()
        await self._kept(lambda: self._store.end(self.id, state, results=results, error=error))
        log.info("job.ended job=%s state=%s", self.id, state)
        self._changed()

    async def _outcome(self) -> tuple[JobState, Mapping[str, Json] | None, str | None]:
        """Raises Interrupted, Lost."""
        definition = self._checked.definition
        own = own_inputs(definition, list(self._new.inputs))
        try:
            async with asyncio.timeout(self._settings.timeout):
                results = await self._graph(definition, given(definition, self._new.inputs), own, "")
        except NodeFailed as failed:
            return "failed", None, str(failed)
        except TimeoutError:
            return "failed", None, f"its time was up: {self._settings.timeout:g} s"
        except asyncio.CancelledError:
            if self._why != "cancelled":
                raise Interrupted from None
            return "cancelled", None, None
        except (Lost, Interrupted):
            raise
        except Exception as bug:  # noqa: BLE001 - a job must end, whatever is wrong with us: the log gets the place, its owner words
            log.error("job.bug job=%s error=%s", self.id, place_of(bug))  # noqa: TRY400 - no words
            return "failed", None, "it failed by a fault of the server; the log has the details"
        return "completed", results, None

    async def _graph(self, definition: Definition, inputs: Mapping[str, Json], own: frozenset[str], above: str) -> dict[str, Json]:
        """Its outputs. After a node has failed none is begun, and those that run come to their end first."""
        outputs: dict[str, Json] = {}
        values = Values(inputs=inputs, outputs=outputs, own=own)
        waiting = dict(definition.nodes)
        running: dict[asyncio.Task[Json], Node] = {}
        failure: NodeFailed | Interrupted | Lost | None = None
        try:
            while True:
                ready = [node for node in waiting.values() if all(needed in outputs for needed in node.needs)]
                for node in ready if failure is None else ():
                    del waiting[node.id]
                    running[asyncio.create_task(self._node(node, values, above))] = node
                if not running:
                    break
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    node = running.pop(task)
                    try:
                        outputs[node.id] = task.result()
                    except (NodeFailed, Interrupted, Lost) as error:
                        failure = failure or error
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        if failure is not None:
            raise failure
        return self._outputs(definition, values, above)

    def _outputs(self, definition: Definition, values: Values, above: str) -> dict[str, Json]:
        try:
            found = {name: values.filled(shape) for name, shape in definition.outputs.items()}
            check_size(found)
        except (NothingThere, TooLong) as error:
            raise NodeFailed(f"the outputs of {above.rstrip('/') or definition.id}: {error}") from None
        return found

    async def _node(self, node: Node, values: Values, above: str) -> Json:
        """What it gives. Raises NodeFailed (with its name), Interrupted, Lost."""
        path = f"{above}{node.id}"
        before = self._before.get(path)
        if before is not None and before.state == "completed":
            return before.output
        try:
            if before is not None and before.state != "running":
                raise NodeFailed(before.error or "it was cut off")
            if isinstance(node.work, Call):
                return await self._noted(node, path, before, lambda: self._called(node, values, path))
            async with self._slots:
                return await self._noted(node, path, before, lambda: self._done(node, values, path, again=before is not None))
        except NodeFailed as failed:
            words = str(failed)
            raise NodeFailed(words if words.startswith("node '") else f"node '{path}': {words}") from None

    async def _noted(self, node: Node, path: str, before: NodeRun | None, work: Callable[[], Awaitable[Json]]) -> Json:
        """Do it, with its beginning and its end in the store."""
        if self.stopped:
            raise Interrupted
        spot = self._spot(path)
        await self._mine(lambda: self._store.start_node(self.id, path, spot.turn_id))
        self._changed()
        output: Json = None
        error: NodeFailed | None = None
        try:
            if before is not None and before.starts >= MOST_STARTS and not isinstance(node.work, Call):
                raise NodeFailed(f"the server stopped {before.starts} times while it ran; it is not tried again")
            output = await work()
        except (NothingThere, TooLong) as wrong:
            error = NodeFailed(str(wrong))
        except NodeFailed as failed:
            error = failed
        state = "completed" if error is None else "failed"
        words = None if error is None else str(error)
        await self._mine(lambda: self._store.end_node(self.id, path, state, output, words))
        self._changed()
        if error is not None:
            raise error
        return output

    async def _done(self, node: Node, values: Values, path: str, *, again: bool) -> Json:
        assert not isinstance(node.work, Call)
        try:
            async with asyncio.timeout(node.timeout):
                output = await self._hands.do(node.work, values, self._spot(path, again=again), lambda: self._why or "cancelled")
        except TimeoutError:
            raise NodeFailed(f"its time was up: {node.timeout:g} s") from None
        except NanobotError as error:
            raise NodeFailed(error.message) from None
        check_size(output)
        return output

    async def _called(self, node: Node, values: Values, path: str) -> Json:
        assert isinstance(node.work, Call)
        inner = self._checked.called[node.work.workflow]
        params = {name: values.filled(shape) for name, shape in node.work.params.items()}
        own = frozenset(name for name, shape in node.work.params.items() if values.passes_on(shape))
        return {**await self._graph(inner, given(inner, params), own, f"{path}/")}

    def _spot(self, path: str, *, again: bool = False) -> Spot:
        return Spot(job=self.id, owner=self._new.owner, path=path, again=again)

    async def _mine(self, write: Callable[[], Awaitable[bool]]) -> None:
        if not await self._kept(write):
            raise Lost

    async def _kept(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write, and where the store can't be written, again until it can: what was done must not be forgotten. Ends when the server does."""
        pause = 0.2
        while True:
            try:
                return await write()
            except StoreUnavailable as error:
                if self._why == "interrupted":
                    raise Interrupted from None
                log.warning("job.store_waits job=%s code=%s", self.id, error.code)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

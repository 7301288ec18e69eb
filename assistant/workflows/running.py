"""A job that this process runs: its graph of nodes, each recorded in the store when it starts and when it ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from assistant.contracts.effects import Effect
from assistant.contracts.errors import NanobotError, StoreUnavailable, traceback_location
from assistant.contracts.messages import Json
from assistant.contracts.workflows import JobState, NewJob, NodeRun
from assistant.store.jobs import JobStore
from assistant.turns.handle import StopCause
from assistant.workflows.definition import CallNode, Definition, Node, ToolNode
from assistant.workflows.library import LinkedWorkflow
from assistant.workflows.nodes import MESSAGE_TOOL, Interrupted, NodeExecutor, NodeFailed, NodeKey
from assistant.workflows.references import TooLong, UnresolvedReference, Values, check_size, whole_reference
from assistant.workflows.settings import WorkflowSettings

log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_STARTS: Final = 5
"""Of one node: the server died during all earlier ones."""
_MAX_PAUSE: Final = 15.0


class JobLost(Exception):
    """This process does not hold the job any more; another one has ended it."""


@dataclass(kw_only=True, eq=False)
class RunningJob:
    """Runs a job to its end, or until it is stopped."""

    new: NewJob
    workflow: LinkedWorkflow
    before: Mapping[str, NodeRun]
    """Earlier runs of its nodes, by path."""
    store: JobStore
    executor: NodeExecutor
    settings: WorkflowSettings
    changed: Callable[[], None]
    """Called after every write to the store."""
    stopped: StopCause | None = None

    def __post_init__(self) -> None:
        self.id = self.new.id
        self._slots = asyncio.Semaphore(self.settings.parallel)

    def stop(self, why: StopCause) -> None:
        """Start no more nodes. "interrupted" leaves the job as it is, "cancelled" ends it; the first reason counts."""
        self.stopped = self.stopped or why

    async def run(self) -> None:
        """Ends with the job's end in the store. To stop running nodes, call `stop` and cancel this. Raises Interrupted, JobLost."""
        if not await self._write(lambda: self.store.begin(self.id)):
            await self._write(lambda: self.store.end(self.id, "cancelled"))
            self.changed()
            return
        self.changed()
        state, results, error = await self._outcome()
        await self._write(lambda: self.store.end(self.id, state, results=results, error=error))
        log.info("job.ended job=%s state=%s", self.id, state)
        self.changed()

    async def _outcome(self) -> tuple[JobState, Mapping[str, Json] | None, str | None]:
        """Raises Interrupted, JobLost."""
        definition = self.workflow.definition
        own = frozenset(name for name in self.new.inputs if definition.inputs[name].type != "file")
        try:
            async with asyncio.timeout(self.settings.timeout):
                results = await self._graph(definition, _with_defaults(definition, self.new.inputs), own, "")
        except NodeFailed as failed:
            return "failed", None, str(failed)
        except TimeoutError:
            return "failed", None, f"its time was up: {self.settings.timeout:g} s"
        except asyncio.CancelledError:
            if self.stopped != "cancelled":
                raise Interrupted from None
            return "cancelled", None, None
        except (JobLost, Interrupted):
            raise
        except Exception as bug:  # noqa: BLE001 - a job must end whatever the bug; the log gets the place, the owner a message
            log.error("job.bug job=%s error=%s", self.id, traceback_location(bug))  # noqa: TRY400 - without the message
            return "failed", None, "it failed by a fault of the server; the log has the details"
        return "completed", results, None

    async def _graph(self, definition: Definition, inputs: Mapping[str, Json], own: frozenset[str], above: str) -> dict[str, Json]:
        """Its outputs. After the first failure no node is started, and the running ones are waited for."""
        outputs: dict[str, Json] = {}
        values = Values(inputs=inputs, outputs=outputs, own=own)
        waiting = dict(definition.nodes)
        running: dict[asyncio.Task[Json], Node] = {}
        failure: NodeFailed | Interrupted | JobLost | None = None
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
                    except (NodeFailed, Interrupted, JobLost) as error:
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
            found = {name: values.fill(value) for name, value in definition.outputs.items()}
            check_size(found)
        except (UnresolvedReference, TooLong) as error:
            raise NodeFailed(f"the outputs of {above.rstrip('/') or definition.id}: {error}") from None
        return found

    async def _node(self, node: Node, values: Values, above: str) -> Json:
        """Its output. Raises NodeFailed (with its name), Interrupted, JobLost."""
        path = f"{above}{node.id}"
        before = self.before.get(path)
        if before is not None and before.state == "completed":
            return before.output
        try:
            if before is not None and before.state != "running":
                raise NodeFailed(before.error or "it was cut off")
            if isinstance(node.work, CallNode):
                return await self._recorded(node, path, before, lambda _: self._called(node, values, path))
            async with self._slots:
                return await self._recorded(
                    node, path, before, lambda did: self._executed(node, values, path, did, again=before is not None)
                )
        except NodeFailed as failed:
            words = str(failed)
            raise NodeFailed(words if words.startswith("node '") else f"node '{path}': {words}") from None

    async def _recorded(self, node: Node, path: str, before: NodeRun | None, work: Callable[[list[Effect]], Awaitable[Json]]) -> Json:
        """Run `work`, with its start and its end recorded in the store, and what it did in the journal."""
        if self.stopped:
            raise Interrupted
        key = self._key(path)
        await self._write_held(lambda: self.store.start_node(self.id, path, key.turn_id))
        self.changed()
        output: Json = None
        error: NodeFailed | None = None
        did: list[Effect] = []
        try:
            if before is not None and before.starts >= MAX_STARTS and not isinstance(node.work, CallNode):
                raise NodeFailed(f"the server stopped {before.starts} times while it ran; it is not tried again")
            output = await work(did)
        except (UnresolvedReference, TooLong, NodeFailed) as failed:
            error = NodeFailed(str(failed))
        state, words = ("completed", None) if error is None else ("failed", str(error))
        tool = node.work.tool if isinstance(node.work, ToolNode) else MESSAGE_TOOL
        await self._write_held(lambda: self.store.end_node(self.id, path, state, output, words, tool=tool, did=did))
        self.changed()
        if error is not None:
            raise error
        return output

    async def _executed(self, node: Node, values: Values, path: str, did: list[Effect], *, again: bool) -> Json:
        assert not isinstance(node.work, CallNode)
        try:
            async with asyncio.timeout(node.work.timeout):
                key = self._key(path, again=again)
                output = await self.executor.execute(node.work, values, key, lambda: self.stopped or "cancelled", did)
        except TimeoutError:
            raise NodeFailed(f"its time was up: {node.work.timeout:g} s") from None
        except NanobotError as error:
            raise NodeFailed(error.message) from None
        check_size(output)
        return output

    async def _called(self, node: Node, values: Values, path: str) -> Json:
        assert isinstance(node.work, CallNode)
        inner = self.workflow.called[node.work.workflow]
        params = {name: values.fill(value) for name, value in node.work.params.items()}
        whole = {name: whole_reference(value) for name, value in node.work.params.items()}
        own = frozenset(name for name, reference in whole.items() if reference and values.is_own(reference))
        return {**await self._graph(inner, _with_defaults(inner, params), own, f"{path}/")}

    def _key(self, path: str, *, again: bool = False) -> NodeKey:
        return NodeKey(job=self.id, owner=self.new.owner, caller=self.new.caller, path=path, again=again)

    async def _write_held(self, write: Callable[[], Awaitable[bool]]) -> None:
        if not await self._write(write):
            raise JobLost

    async def _write(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write, repeated while the store is unavailable: what was done must not be lost. Raises Interrupted when the server stops."""
        pause = 0.2
        while True:
            try:
                return await write()
            except StoreUnavailable as error:
                if self.stopped == "interrupted":
                    raise Interrupted from None
                log.warning("job.store_waits job=%s code=%s", self.id, error.code)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_PAUSE)


def _with_defaults(definition: Definition, inputs: Mapping[str, Json]) -> dict[str, Json]:
    return {name: inputs.get(name, spec.default) for name, spec in definition.inputs.items()}

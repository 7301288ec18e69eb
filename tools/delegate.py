"""`delegate`: a task for a helper, which works in a session of its own."""

import asyncio
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from assistant.contracts.effects import Effect
from assistant.contracts.errors import ModelNotFound, StoreUnavailable, ToolFailed
from assistant.contracts.gate import Action
from assistant.contracts.provenance import Provenance
from assistant.contracts.tasks import DEEPEST, ENDED_TASK, TASK_SESSION, NewTask, Task, TaskConflict, TaskNotFound
from assistant.contracts.tools import ToolContext, ToolKind, ToolResult, ToolServices
from assistant.contracts.util import Settings, derived_id

_LONGEST_WAIT: Final = 3_600.0
_NO_RETURN: Final = (
    "Not started: nothing could take the result of a background task here (a request without a session, a job, or a helper). Delegate without "
    "background, and wait."
)


class DelegateSettings(Settings):
    """The tool `delegate`."""

    wait: Annotated[float, Field(gt=0, le=_LONGEST_WAIT)] = 60
    """Seconds that a turn waits for a helper; then the helper goes on in the background, and its result comes by itself."""


class DelegateParams(BaseModel):
    """The arguments of `delegate`."""

    task: str = Field(min_length=1, max_length=8_000, description="All that the helper must know: it sees nothing of this conversation.")
    agent: str | None = Field(None, max_length=100, description="Another agent, by its id. Default: one like you.")
    tools: list[str] | None = Field(None, max_length=64, description="Only these of your tools. Default: all but message.")
    background: bool = Field(False, description="Do not wait: you get an id now, and the result later by itself.")


class Delegate:
    """Starts a task once for (turn, place), and waits for it unless it is a background one."""

    name: ClassVar[str] = "delegate"
    description: ClassVar[str] = (
        "Give a helper a task that takes long or would fill this conversation. It can do what you can, sends no messages, and answers once: with "
        "material, never with instructions."
    )
    params: ClassVar[type[BaseModel]] = DelegateParams
    reads_only: ClassVar[bool] = False
    actions: ClassVar[frozenset[Action]] = frozenset({"spends"})
    brings: ClassVar[Provenance] = "tool"
    happens_once: ClassVar[Literal[True]] = True
    runs_beside: ClassVar[Literal[True]] = True
    timeout: ClassVar[float] = _LONGEST_WAIT + 30

    def __init__(self, settings: DelegateSettings, services: ToolServices) -> None:
        self._wait = settings.wait
        self._agent = services.agent
        self._tasks = services.tasks

    async def run(self, params: DelegateParams, ctx: ToolContext) -> ToolResult:
        """Raises ToolFailed: why it was not started, or why it failed."""
        try:
            parent = await self._parent(ctx)
            if params.background and not ctx.goes_on:
                raise ToolFailed(_NO_RETURN)
            task = await self._tasks.delegate(self._new(params, ctx, parent))
            if params.background:
                return self._started(task)
            return await self._waited(task, ctx)
        except (ModelNotFound, TaskConflict, TaskNotFound, StoreUnavailable) as error:
            raise ToolFailed(error.message) from None

    async def _parent(self, ctx: ToolContext) -> Task | None:
        """The task whose helper calls. Raises ToolFailed where that may not delegate."""
        if not ctx.session.startswith(TASK_SESSION):
            return None
        parent = await self._tasks.get(ctx.owner, ctx.session.removeprefix(TASK_SESSION))
        if parent.new.depth >= DEEPEST:
            raise ToolFailed("Not started: a helper's helper does its work itself.")
        return parent

    def _new(self, params: DelegateParams, ctx: ToolContext, parent: Task | None) -> NewTask:
        chosen = None if params.tools is None else {*params.tools}
        allowed = chosen if ctx.only_tools is None else ctx.only_tools if chosen is None else ctx.only_tools & chosen
        return NewTask(
            id=derived_id("task", ctx.turn_id, ctx.call_place),
            owner=ctx.owner,
            text=params.task,
            session=ctx.session,
            turn_id=ctx.turn_id,
            agent=params.agent or self._agent,
            within=(*ctx.within, self._agent),
            only_tools=None if allowed is None else tuple(sorted(allowed)),
            parent_tools=None if ctx.only_tools is None else tuple(sorted(ctx.only_tools)),
            inherits=tuple(sorted(ctx.inherits)),
            address=ctx.address,
            caller=ctx.caller,
            asker=ctx.asker,
            background=params.background,
            depth=parent.new.depth + 1 if parent else 1,
        )

    async def _waited(self, task: Task, ctx: ToolContext) -> ToolResult:
        try:
            async with asyncio.timeout(self._wait if ctx.goes_on else _LONGEST_WAIT):
                task = await self._tasks.wait(ctx.owner, task.id)
        except TimeoutError:
            if not ctx.goes_on:
                await self._tasks.stop(ctx.owner, task.id)
                raise ToolFailed(f"The helper's task {task.id} took too long and is stopped. Tell the user so, or do without it.") from None
            task = await self._tasks.leave(ctx.owner, task.id)
        if task.state not in ENDED_TASK:
            return self._started(task, f"It takes longer than {self._wait:g} s. ")
        if task.state != "done":
            raise ToolFailed(f"The helper's task {task.id} {task.state}: {task.outcome.error}. Tell the user so, or do without it.")
        return ToolResult(text=task.outcome.answer or "The helper ended without words.", effects=task.outcome.effects)

    def _started(self, task: Task, why: str = "") -> ToolResult:
        words = " ".join(task.new.text.split())
        effect = Effect(kind="started", text=f"task · {words if len(words) <= 80 else f'{words[:80]}…'}", ref=task.id)
        text = f"{why}Started in the background as {task.id}. Its result comes by itself: say that it runs, not what it finds, and do not wait."
        return ToolResult(text=text, effects=(effect,), provenance="system")


KINDS: Final = (ToolKind(name=Delegate.name, open=Delegate, settings=DelegateSettings),)
"""The kinds of tools."""

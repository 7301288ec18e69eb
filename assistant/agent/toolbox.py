"""The toolbox: runs what the model asks for and puts every outcome, good or bad, into words that it can act on."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cache, partial
from itertools import groupby
from operator import is_not
from typing import Any, Final, cast

import orjson
from pydantic import BaseModel, ValidationError

from assistant.contracts.approvals import ApprovalDesk, waits_text
from assistant.contracts.errors import InvalidRequest, StoreUnavailable, ToolFailed, traceback_location
from assistant.contracts.gate import ALLOWED, READS, Gate, NamesSubject, OpenGate, PlannedCall, Ruling, actions_of, brought_by
from assistant.contracts.messages import Json, ToolCall, ToolMessage
from assistant.contracts.metrics import TOOL_SECONDS, TOOLS, Metrics
from assistant.contracts.models import ToolSpec
from assistant.contracts.records import record
from assistant.contracts.sessions import SessionFiles
from assistant.contracts.tools import (
    ChangingTool,
    ClosableTool,
    HappensOnce,
    HasSpec,
    ReportsEffects,
    RunsBeside,
    SessionTools,
    Tool,
    ToolContext,
    ToolResult,
    TurnTool,
)
from assistant.contracts.turns import Emit, ToolFinished, ToolStarted
from assistant.contracts.util import new_id

log = logging.getLogger(__name__)

MAX_CALLS: Final = 32
"""Calls of one step that are run; the others get a refusal."""


class Toolbox:
    """The tools of one agent."""

    def __init__(
        self,
        tools: Sequence[Tool[Any]],
        attachments: SessionFiles,
        *,
        result_chars: int = 20_000,
        metrics: Metrics | None = None,
        gate: Gate | None = None,
        desk: ApprovalDesk | None = None,
        more: SessionTools | None = None,
    ) -> None:
        """`result_chars`: how much of a result the model is given at once; the rest is kept as an attachment of the session. `gate`: decides which
        calls may run; None: all may. `desk`: asks the person about those that the gate wants asked; None: they are refused.
        `more`: what a session has besides; asked before a turn, and behind each of its steps."""
        self._tools = {tool.name: tool for tool in tools}
        self._brought: dict[str, TurnTool] = {}
        self.client_specs: tuple[ToolSpec, ...] = ()
        """The last of `specs`, for tools that the client runs: `run` does not know them."""
        self._attachments = attachments
        self._result_chars = result_chars
        self._metrics = metrics or Metrics()
        self._gates: tuple[Gate, ...] = (gate or OpenGate(),)
        self._desk = desk
        self._more = more
        self._asked = _Asked()
        self._all = [(tool, _spec(tool)) for tool in tools]
        self._changing = [(place, tool, spec) for place, (tool, spec) in enumerate(self._all) if isinstance(tool, ChangingTool)]
        self._offered = [spec for _, _, spec in self._changing]
        self._own: list[tuple[Tool[Any], ToolSpec]] = self._all
        self.specs = tuple([spec for _, spec in self._own])
        self.renew()

    def renew(self) -> None:
        """Offer the tools as they are now. Turns that run keep what they began with. `specs` is another object only where something changed."""
        offered = [tool.offered(spec) for _, tool, spec in self._changing]
        if any(map(is_not, offered, self._offered)):
            self._offered = offered
            now: dict[int, ToolSpec | None] = {place: spec for (place, _, _), spec in zip(self._changing, offered, strict=True)}
            self._own = [(tool, spec) for place, (tool, own) in enumerate(self._all) if (spec := now.get(place, own))]
            self.specs = tuple([spec for _, spec in self._own])

    @property
    def session_specs(self) -> tuple[ToolSpec, ...]:
        """Those of the tools that the session has besides the agent's own."""
        return tuple([_spec(tool) for tool in self._asked.there if self._tools.get(tool.name) is tool])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple([spec.name for spec in self.specs])

    def may_repeat(self, name: str) -> bool:
        """Whether a call that was cut off may be made again at the same place of the same turn."""
        tool = self._tools.get(name)
        return tool is None or tool.reads_only or isinstance(tool, HappensOnce)

    def tells_all(self, name: str) -> bool:
        """Whether the effects of a call of this tool are all that it changed."""
        tool = self._tools.get(name)
        return name not in self._brought and tool is not None and (tool.reads_only or isinstance(tool, ReportsEffects))

    def for_turn(self, only: Collection[str] | None, brought: Sequence[TurnTool], client: Sequence[ToolSpec] = ()) -> "Toolbox":
        """What one turn may use: of these tools `only` those named (None: all), those that it brings along, and those that the `client` runs,
        each in place of one of the same name.

        Raises InvalidRequest where one that it brings along is called like a tool of the agent, or like another.
        """
        if only is None and not brought and not client:
            return self
        names = [tool.spec.name for tool in brought]
        if taken := set(self.names).intersection(names) or {name for name in names if names.count(name) > 1}:
            raise InvalidRequest(f"There is a tool called '{min(taken)}' already: give yours another name.", param="tools")
        box = copy(self)
        theirs = frozenset([spec.name for spec in client])
        box._brought = {tool.spec.name: tool for tool in brought if tool.spec.name not in theirs}
        box.client_specs = tuple(client)
        box._asked = replace(self._asked, only=only, theirs=theirs)
        box._choose()
        return box

    def guarded(self, others: Sequence["Toolbox"]) -> "Toolbox":
        """These tools, behind the gates of other agents' toolboxes, too."""
        box = copy(self)
        box._gates = (*self._gates, *(gate for other in others for gate in other._gates))
        return box

    async def in_session(self, owner: str, session: str) -> "Toolbox":
        """With what the session has besides the agent's own tools."""
        if self._more is None:
            return self
        box = copy(self)
        box._asked = _Asked(owner=owner, session=session)
        await box._look_again()
        return box

    async def _look_again(self) -> None:
        """Take over what the session has by now. One that is called like a tool of the agent's is left out."""
        asked = self._asked
        if self._more is None or asked.session is None:
            return
        there = await self._more(asked.owner, asked.session)
        if there is not asked.there:
            self._asked = replace(asked, there=there)
            self._choose()

    def _choose(self) -> None:
        """Make `specs` and the tools of what there is and what was asked for."""
        asked, own = self._asked, {tool.name for tool, _ in self._own}
        there = [*self._own, *[(tool, _spec(tool)) for tool in asked.there if tool.name not in own]]
        chosen = [(tool, spec) for tool, spec in there if (asked.only is None or tool.name in asked.only) and tool.name not in asked.theirs]
        self._tools = {tool.name: tool for tool, _ in chosen if tool.name not in self._brought}
        specs = [spec for tool, spec in chosen if tool.name in self._tools]
        self.specs = (*specs, *[tool.spec for tool in self._brought.values()], *self.client_specs)

    def of_client(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """Those of tools that the client runs."""
        names = {spec.name for spec in self.client_specs}
        return tuple([call for call in calls if call.name in names]) if names else ()

    async def run(self, calls: Sequence[ToolCall], ctx: ToolContext, emit: Emit, *, step: int = 0) -> list[ToolMessage]:
        """Run the calls; one message each, in the order of the calls. Neighbours that only read, or say so, run side by side. Never raises
        for what a tool or the model did wrong; cancelling it cancels the running tools. `step`: of the turn, from 0."""
        refusal = f"Not run: at most {MAX_CALLS} calls are run at once. Ask again for what is still needed."
        refused = [_message(call, refusal, ok=False) for call in calls[MAX_CALLS:]]
        placed = [(call, replace(ctx, call_id=call.id, call_place=f"{step}.{number}")) for number, call in enumerate(calls[:MAX_CALLS])]
        done: list[ToolMessage] = []
        for beside, group in groupby(placed, lambda pair: self._runs_beside(pair[0])):
            if beside:
                async with asyncio.TaskGroup() as side_by_side:
                    tasks = [side_by_side.create_task(self._run_one(call, its, emit)) for call, its in group]
                done += [task.result() for task in tasks]
            else:
                done += [await self._run_one(call, its, emit) for call, its in group]
        await self._look_again()
        return done + refused

    def _runs_beside(self, call: ToolCall) -> bool:
        return self._reads_only(call) or isinstance(self._tools.get(call.name), RunsBeside)

    def _reads_only(self, call: ToolCall) -> bool:
        tool = self._tools.get(call.name)
        return call.name not in self._brought and (tool is None or tool.reads_only)

    async def _run_one(self, call: ToolCall, ctx: ToolContext, emit: Emit) -> ToolMessage:
        emit(ToolStarted(call_id=call.id, name=call.name, arguments=call.arguments, reads_only=self._reads_only(call)))
        began = time.monotonic()
        message = await self._outcome(call, ctx)
        name = call.name if call.name in self._tools else "other"  # names of clients' tools and of models' inventions are theirs
        self._metrics.add(TOOLS, name, "ok" if message.ok else "failed")
        self._metrics.took(TOOL_SECONDS, time.monotonic() - began, name)
        emit(
            ToolFinished(
                call_id=call.id, name=call.name, text=message.text, ok=message.ok, effects=message.effects, pending=message.pending
            )
        )
        return message

    async def _outcome(self, call: ToolCall, ctx: ToolContext) -> ToolMessage:
        timeout = 0.0
        brings = brought_by(self._tools[call.name]) if call.name in self._tools else "tool"
        try:
            tool, params = self._validated(call)
            if tool is not None and (waits := await self._checked(call, tool, params, ctx)):
                return waits
            timeout, run = self._prepared(call, tool, params, ctx)
            async with asyncio.timeout(timeout):
                result = await run()
                made = _message(call, await self._capped(call.name, result.text, ctx), ok=True)
                return replace(made, effects=result.effects, images=result.images[: ctx.pictures], provenance=result.provenance or brings)
        except (ToolFailed, StoreUnavailable) as error:
            return replace(_message(call, str(error), ok=False), provenance=brings)
        except TimeoutError:
            return _message(call, f"No result: {call.name} did not end within {timeout:g} s and was stopped.", ok=False)
        except Exception as bug:  # noqa: BLE001 - a tool's fault must not end the turn: the log gets its place, the model a message
            log.error("tool.bug tool=%s turn=%s call=%s error=%s", call.name, ctx.turn_id, call.id, traceback_location(bug))  # noqa: TRY400 - no words
            return _message(call, f"{call.name} failed by a fault of its own; the log has the details. Do without it.", ok=False)

    def _validated(self, call: ToolCall) -> tuple[Tool[Any] | None, Any]:
        """(The tool of ours, its arguments); (None, an object) for one that the turn brings along. Raises ToolFailed for a tool that is not there and
        arguments that are not valid."""
        if call.name in self._brought:
            return None, _object(call.arguments)
        tool = self._tools.get(call.name)
        if tool is None:
            raise ToolFailed(f"There is no tool {call.name!r}. The tools are: {', '.join(spec.name for spec in self.specs) or 'none'}.")
        try:
            return tool, tool.params.model_validate_json(call.arguments or "{}")
        except ValidationError as error:
            faults = [f"\n- {'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}" for fault in error.errors(include_url=False)]
            raise ToolFailed(f"Not run: the arguments are not valid.{''.join(faults[:10])}") from None

    async def _checked(self, call: ToolCall, tool: Tool[Any], params: BaseModel, ctx: ToolContext) -> ToolMessage | None:
        """The result of a call that waits for a person's yes; None: it may run. Raises ToolFailed where it must not, and StoreUnavailable."""
        actions = actions_of(tool, params)
        if actions <= READS and not ctx.approval:
            return None
        subject = tool.subject(params, ctx) if isinstance(tool, NamesSubject) else ""
        arguments, repeats = params.model_dump(mode="json"), self.may_repeat(tool.name)
        planned = PlannedCall(tool=tool.name, actions=actions, arguments=arguments, subject=subject, repeats=repeats)
        ruling = ALLOWED if actions <= READS else await self._ruled(planned, ctx)
        if ruling.verdict == "allow" and not ctx.approval:
            return None
        if ruling.verdict == "refuse" or self._desk is None:
            raise ToolFailed(ruling.why if ruling.why.startswith("Not ") else f"Not run: {ruling.why}")
        if await self._desk.granted(planned, ctx):
            return None
        if ctx.approval:
            raise ToolFailed("Not run: this is not the call that was approved. Ask the person again if it is still needed.")
        pending = await self._desk.ask(planned, ctx, ruling.why)
        return replace(_message(call, waits_text(pending), ok=False), pending=pending, provenance="system")

    def read(self, call: ToolCall) -> Mapping[str, Json] | None:
        """The arguments of a call as the tool takes them, with the defaults; None: there is no such tool, or it does not take them."""
        try:
            tool, params = self._validated(call)
        except ToolFailed:
            return None
        return None if tool is None else params.model_dump(mode="json")

    async def _ruled(self, planned: PlannedCall, ctx: ToolContext) -> Ruling:
        """What the gates say: the strictest counts."""
        ruling = ALLOWED
        for gate in self._gates:
            ruled = await gate.rule(planned, ctx)
            if ruled.verdict == "refuse":
                return ruled
            ruling = ruled if ruling.verdict == "allow" else ruling
        return ruling

    def _prepared(
        self, call: ToolCall, tool: Tool[Any] | None, params: Any, ctx: ToolContext
    ) -> tuple[float, Callable[[], Awaitable[ToolResult]]]:
        """(Seconds that the call may take, what makes it.)"""
        if tool is None:
            brought = self._brought[call.name]
            return brought.timeout, partial(brought.run, params, ctx)
        return tool.timeout, partial(tool.run, params, ctx)

    async def _capped(self, name: str, text: str, ctx: ToolContext) -> str:
        if len(text) <= self._result_chars:
            return text
        kept = await self._attachments.keep_text(ctx.owner, ctx.session, f"result of {name}", text)
        more = f'read_attachment(id="{kept}", offset={self._result_chars}) goes on.'
        return f"{text[: self._result_chars]}\n[{len(text) - self._result_chars:,} of {len(text):,} characters are not shown. {more}]"


@record
class _Asked:
    """What a turn chose. `session`: None: of the agent alone. `there`: what the session had besides."""

    owner: str = ""
    session: str | None = None
    there: Sequence[Tool[Any]] = ()
    only: Collection[str] | None = None
    theirs: frozenset[str] = frozenset()


def _spec(tool: Tool[Any]) -> ToolSpec:
    if isinstance(tool, HasSpec):
        return tool.spec
    return ToolSpec(name=tool.name, description=tool.description, parameters=LazySchema(tool.params))


class LazySchema(Mapping[str, Json]):
    """The JSON Schema of a model, made when it is first read: those of all tools take a twentieth of the server's start."""

    def __init__(self, params: type[BaseModel]) -> None:
        self._params = params

    def __getitem__(self, name: str) -> Json:
        return _schema(self._params)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_schema(self._params))

    def __len__(self) -> int:
        return len(_schema(self._params))

    def __repr__(self) -> str:
        return repr(_schema(self._params))


@cache
def _schema(params: type[BaseModel]) -> dict[str, Json]:
    """Made once: a session's tools are described in each turn."""
    return cast("dict[str, Json]", _untitled(params.model_json_schema()))


async def close_tool(tool: Tool[Any]) -> None:
    """Close a tool that holds something open. No call may run any more. One that fails to close is logged."""
    if isinstance(tool, ClosableTool):
        try:
            async with asyncio.timeout(5):
                await tool.close()
        except Exception as bug:  # noqa: BLE001 - one tool's fault must not keep the others open
            log.error("tool.not_closed tool=%s error=%s", tool.name, traceback_location(bug))  # noqa: TRY400 - no words


def _message(call: ToolCall, text: str, *, ok: bool) -> ToolMessage:
    return ToolMessage(id=new_id("msg"), call_id=call.id, name=call.name, text=text, ok=ok)


def _object(arguments: str) -> dict[str, Json]:
    """The arguments of a tool that has no model of them. Raises ToolFailed."""
    try:
        value: object = orjson.loads(arguments or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ToolFailed("Not run: the arguments are not valid.\n- arguments: must be a JSON object")
    return cast("dict[str, Json]", value)


def _untitled(value: Json) -> Json:
    """A schema as models like it: without the titles that pydantic adds to everything."""
    if isinstance(value, dict):
        return {key: _untitled(item) for key, item in value.items() if not (key == "title" and isinstance(item, str))}
    return [_untitled(item) for item in value] if isinstance(value, list) else value

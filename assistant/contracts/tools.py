"""The port to a tool: what the model can do besides talking."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from assistant.contracts.addresses import Address
from assistant.contracts.models import ToolSpec

P = TypeVar("P", bound=BaseModel, contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """Who calls, and in which turn. A tool keeps no state of a session between calls."""

    owner: str
    session: str
    turn_id: str
    call_id: str
    """The model's own id of the call."""
    call_place: str = ""
    """The call's place in the turn, "<step>.<number>". It stays the same when a step that a crash cut off is repeated, whatever ids the model
    gives then, so (turn_id, call_place) identifies an effect that must happen once."""
    address: Address | None = None
    """The chat that the turn answers; None: a caller of the API, or no one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the model reads. Of a text longer than the toolbox allows, the beginning is passed on; the rest is kept and can be paged through."""

    text: str


@runtime_checkable
class HappensOnce(Protocol):
    """A tool that changes something and may still be called again: it identifies its effect by (turn_id, call_place)."""

    happens_once: ClassVar[Literal[True]]


@runtime_checkable
class ClosableTool(Protocol):
    """A tool that holds something open, such as an HTTP session."""

    async def close(self) -> None:
        """Called once, when the assistant stops and no call runs any more."""
        ...


class Tool(Protocol[P]):
    """One thing that the model can do. How it is opened: `assistant.contracts.tool_kinds`. A `ClosableTool` is closed at the end.

    `params` is a pydantic model: its JSON Schema, with the field descriptions, is what the model sees, and its validation runs before `run`.
    `reads_only`: it changes nothing, so calls may run side by side and be repeated. `timeout`: seconds, after which the call is cancelled.
    `run` raises ToolFailed with words for the model; anything else it raises is a bug, logged, and told to the model as "failed".
    """

    name: ClassVar[str]
    description: ClassVar[str]
    params: ClassVar[type[BaseModel]]
    reads_only: ClassVar[bool]
    timeout: ClassVar[float]

    async def run(self, params: P, ctx: ToolContext) -> ToolResult: ...


class TurnTool(Protocol):
    """A tool that a single turn brings along; the caller runs it. It counts as one that changes something.

    The arguments are the model's, an unchecked object. `timeout` and what `run` raises are as in `Tool`.
    """

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def timeout(self) -> float: ...

    async def run(self, arguments: dict[str, Any], ctx: ToolContext) -> ToolResult: ...

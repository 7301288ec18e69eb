"""The gate in front of each call of a tool: what the call does, and whether it may. Outside of the model, which can't talk it over."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Protocol, runtime_checkable

from assistant.contracts.messages import Json
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.contracts.tools import Tool, ToolContext

Action = Literal["reads", "writes workspace", "network", "sends", "spends", "remembers", "schedules", "changes itself"]
"""What a call does. "reads": within what the person may see. "network": something leaves for another machine, if only a URL. "sends": a person
gets it. "spends": it costs more than the turn. "remembers" and "schedules": it is there in later turns. "changes itself": the assistant's own
instructions, skills, settings, permissions."""

READS: Final[frozenset[Action]] = frozenset({"reads"})


@runtime_checkable
class DeclaresActions(Protocol):
    """A tool that says what its calls do, and whose words its results are. One that does not is taken to send if it is not `reads_only`, and to
    bring words of others ("tool")."""

    actions: ClassVar[frozenset[Action]]
    brings: ClassVar[Provenance]


@runtime_checkable
class ActionsByCall(Protocol):
    """A tool whose calls differ in what they do. `DeclaresActions.actions` is then the least."""

    def actions_of_call(self, params: Any) -> frozenset[Action]:
        """What the call with these arguments does."""
        ...


@runtime_checkable
class NamesSubject(Protocol):
    """A tool whose calls act on something that rules can name: a host, an address, a command, a path."""

    def subject(self, params: Any, ctx: ToolContext) -> str:
        """Of these arguments, in one form whatever the model wrote: "example.org", "telegram:42", "ls -la", "reports/week.md"."""
        ...


@record
class PlannedCall:
    """A call with valid arguments that has not run."""

    tool: str
    actions: frozenset[Action]
    arguments: Mapping[str, Json]
    """As validated, with the defaults."""
    subject: str = ""
    repeats: bool = False
    """Whether it may run again at the same place where it was cut off."""


@record
class Ruling:
    """`why`: for "ask", what the person is told; for "refuse", words for the model, with what to do instead."""

    verdict: Literal["allow", "ask", "refuse"]
    why: str = ""


ALLOWED = Ruling(verdict="allow")


class Gate(Protocol):
    """Decides about calls of one agent's tools."""

    async def rule(self, call: PlannedCall, ctx: ToolContext) -> Ruling:
        """Whether the call may run now. Not asked of a call that only reads. Raises StoreUnavailable."""
        ...


class OpenGate:
    """Allows everything: for tools that are tried without a server."""

    async def rule(self, call: PlannedCall, ctx: ToolContext) -> Ruling:
        return ALLOWED


def actions_of(tool: Tool[Any], params: Any = None) -> frozenset[Action]:
    """What its calls do; what this one does, where its arguments are given."""
    if params is not None and isinstance(tool, ActionsByCall):
        return tool.actions_of_call(params)
    if isinstance(tool, DeclaresActions):
        return tool.actions
    return READS if tool.reads_only else frozenset({"sends"})


def brought_by(tool: Tool[Any]) -> Provenance:
    """Whose words its results are."""
    return tool.brings if isinstance(tool, DeclaresActions) else "tool"

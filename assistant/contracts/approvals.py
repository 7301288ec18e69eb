"""Approvals: a call that waits in the store for a person's yes, with its exact arguments.

waiting ──yes──▶ approved ──▶ done      its turn ran the call, once
   │                └──────▶ void       that turn could not run it
   └──▶ denied | expired | void         void: the call is not what was asked for any more
"""

from datetime import datetime
from typing import Literal, Protocol

from assistant.contracts.addresses import Address
from assistant.contracts.effects import PendingApproval
from assistant.contracts.errors import NanobotError, NotFound
from assistant.contracts.gate import PlannedCall
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.contracts.tools import ToolContext
from assistant.contracts.util import derived_id

ApprovalState = Literal["waiting", "approved", "denied", "expired", "void", "done"]
ApprovalWord = Literal["once", "session", "deny"]
"""A person's answer. "session": the same tool with the same subject may run in this session without another question."""


class ApprovalNotFound(NotFound, code="approval_not_found"):
    """There is no such question. `nanobot approvals list --all` shows those there are."""


class ApprovalConflict(NanobotError, status=409, type="conflict_error", code="approval_conflict"):
    """This was answered already, or it is too late for an answer."""


@record
class Approval:
    """A question whether one call may run, and its answer."""

    id: str
    code: str
    """What `/approve` takes."""
    owner: str
    session: str
    person: str
    """Who may answer: the owner of the session; in a group the one who asked."""
    agent: str
    tool: str
    arguments: str
    """JSON, with the defaults, by which `digest` knows them again."""
    digest: str
    """SHA-256 of the tool, its arguments, the agent and the folder that it works in; 64 hex digits."""
    like: str
    """What "this session" allows: the call's subject and its actions; of a tool without a subject, `digest`."""
    text: str
    """The whole call, for people."""
    why: str
    turn_id: str
    place: str
    """Of the call, in its turn."""
    address: Address | None
    """The chat that gets the answer; None: it stays in the session."""
    asked: Address | None
    """The chat in which the person is asked."""
    caller: str
    created: datetime
    expires_at: datetime
    state: ApprovalState = "waiting"
    answer: ApprovalWord | None = None
    ended: datetime | None = None
    only_tools: tuple[str, ...] | None = None
    """Of the turn that called, as are `within` and `inherits`: the turn that follows the answer is bound by them, too."""
    within: tuple[str, ...] = ()
    inherits: tuple[Provenance, ...] = ()

    @property
    def question(self) -> str:
        """The id of the event that asks."""
        return derived_id("evt", self.id, "ask")

    @property
    def pending(self) -> PendingApproval:
        return PendingApproval(id=self.id, code=self.code, tool=self.tool, text=self.text, why=self.why, expires_at=self.expires_at)


class ApprovalDesk(Protocol):
    """Where the toolbox asks for a person's yes."""

    async def granted(self, call: PlannedCall, ctx: ToolContext) -> bool:
        """Whether a person said yes to this: to this very call (`ToolContext.approval`), or to its like in this session. Raises StoreUnavailable;
        ToolFailed for a call that was approved, and was cut off when it ran, unless it `repeats`."""
        ...

    async def ask(self, call: PlannedCall, ctx: ToolContext, why: str) -> PendingApproval:
        """Store the question, once for (turn, place of the call), and have the person asked. Raises StoreUnavailable, ToolFailed where there is
        no one to ask."""
        ...


def waits_text(pending: PendingApproval) -> str:
    """The result of a call that waits, for the model."""
    until = f"{pending.expires_at:%Y-%m-%d %H:%M} UTC"
    return (
        f"Not run yet: it waits for the person's yes ({pending.code}, until {until}), who is asked now: {pending.why} "
        "Say in one sentence what waits, do not claim that it was done, and do not call it again: it runs by itself when they approve."
    )

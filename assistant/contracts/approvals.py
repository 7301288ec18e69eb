"""Approvals: a call that waits in the store for a person's yes, with its exact arguments.

waiting ──yes──▶ approved ──▶ done      its turn ran the call, once
   └──▶ denied | expired | void         void: the call is not what was asked for any more
"""

from typing import Literal, Protocol

from assistant.contracts.effects import PendingApproval
from assistant.contracts.gate import PlannedCall
from assistant.contracts.tools import ToolContext

ApprovalState = Literal["waiting", "approved", "denied", "expired", "void", "done"]
Answer = Literal["once", "session", "deny"]
"""A person's. "session": the same tool with the same subject may run in this session without another question."""


class ApprovalDesk(Protocol):
    """Where the toolbox asks for a person's yes."""

    async def granted(self, call: PlannedCall, ctx: ToolContext) -> bool:
        """Whether a person said yes to this: to this very call (`ToolContext.approval`), or to its like in this session. Raises StoreUnavailable."""
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

"""Continuations: what makes a session go on by itself: a person's yes, a background task's end. Stored, handed over once, kept until it can be.

waiting ──▶ taken ──▶ done      with the end of its turn, in one transaction
"""

from assistant.contracts.addresses import Address
from assistant.contracts.causes import Cause
from assistant.contracts.messages import ToolCall
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record


@record
class Continuation:
    """A turn to be run in a session as soon as its lane is free. `store.continuations.add_continuation` writes it in its cause's transaction."""

    id: str
    """Derived from its cause, so that it exists once."""
    owner: str
    session: str
    agent: str
    cause: Cause
    text: str
    """What the model reads as the newest message."""
    provenance: Provenance
    """Of `text`: "system" for a person's press, "assistant" or "tool" for what a task found."""
    call: ToolCall | None = None
    """Run first, before the model is asked: the approved one."""
    approval: str = ""
    """Of `call`."""
    address: Address | None = None
    """The chat that gets the answer; None: it stays in the session."""
    caller: str = ""
    """As in `TurnRequest`, as is `asker`."""
    asker: str = ""
    only_tools: tuple[str, ...] | None = None
    """As in `TurnRequest`, as are `within` and `inherits`: what goes on in a helper's session may do no more than the helper."""
    within: tuple[str, ...] = ()
    inherits: tuple[Provenance, ...] = ()
    note: bool = False
    """`text` is only noted in the session, as words of the assistant's: no model is asked."""


@record
class TakenContinuation:
    """A continuation that this process runs, and the turn that it becomes: the same one each time."""

    turn_id: str
    continuation: Continuation

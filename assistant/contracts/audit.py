"""The journal of effects, as it is read: what was done, and by whose word."""

from datetime import datetime
from typing import Literal

from assistant.contracts.causes import Cause
from assistant.contracts.effects import EffectKind
from assistant.contracts.errors import NotFound
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record

DeedKind = EffectKind | Literal["asked"]


class DeedNotFound(NotFound, code="audit_entry_not_found"):
    """There is no such entry."""


@record
class Deed:
    """An effect of a tool's call, or ("asked") a call that waits for a person's yes."""

    id: str
    """`aud_…`"""
    at: datetime
    owner: str
    session: str
    """The session's key; it may be deleted by now."""
    turn_id: str
    agent: str
    cause: Cause
    caller: str
    """Who asked: a credential or a sender; the owner where nothing else was known."""
    tool: str
    kind: DeedKind
    text: str
    """As the tool told it; of one that waits, the whole call."""
    ref: str
    """As in `Effect`; of one that waits, the approval."""
    read: tuple[Provenance, ...]
    """Whose words the conversation held when it was done, sorted; empty: the person's alone."""
    approval: str
    """The approval under which it was done, or for which it waits; empty: none was needed, or "session"."""

"""What a turn really did, as its tools report it, and what waits for a person; never what the model says it did."""

from datetime import datetime
from typing import Final, Literal, get_args

from assistant.contracts.records import record

EffectKind = Literal[
    "sent", "queued", "scheduled", "cancelled", "remembered", "forgotten", "stopped",
    "written", "moved", "deleted", "ran", "fetched", "called", "started",
]  # fmt: skip
EFFECT_KINDS: Final[frozenset[EffectKind]] = frozenset(get_args(EffectKind))


@record
class Effect:
    """Something that was done and stored."""

    kind: EffectKind
    text: str
    """One line for the person, without a mark: "reminder · tomorrow 09:00 Europe/Berlin"."""
    ref: str
    """The id of what was made or changed: of the delivery, schedule, memory."""


@record
class PendingApproval:
    """A call that waits for a person's yes, as answers show it."""

    id: str
    """`apr_…`"""
    code: str
    """What `/approve` takes."""
    tool: str
    text: str
    """The whole call, for the person."""
    why: str
    expires_at: datetime

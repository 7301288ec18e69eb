"""Why a turn or a model call happens, and who pays for it."""

from typing import Final, Literal

from assistant.contracts.records import record

CauseKind = Literal["message", "schedule", "task", "job", "memory", "compaction", "approval", "voice"]


@record
class Cause:
    """`id`: of the schedule, task, job or approval; empty for a message."""

    kind: CauseKind
    id: str = ""


MESSAGE: Final = Cause(kind="message")


@record
class Payer:
    """To whom a model call is charged."""

    owner: str
    """The space: a person or a group."""
    caller: str
    """The credential's principal (`key:<id>`) or the sender that asked; the same as `owner` where nothing else is known."""
    session: str = ""
    agent: str = ""
    cause: Cause = MESSAGE

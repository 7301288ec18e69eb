"""The rules of retries: what follows when a part was not sent. Pure."""

from datetime import datetime, timedelta
from typing import Final, Literal

from assistant.contracts.channels import SendFailed, SendLater, SendUnclear, SendUndecided
from assistant.contracts.outbox import Settlement
from assistant.contracts.records import record
from assistant.contracts.util import backoff

LONGEST_UNREACHED: Final = 30.0
_LEAST_WAIT: Final = 0.2
"""Seconds. A platform that asks to wait for no time at all is not asked again in a tight loop."""
_MOST_EXTRA: Final = 0.5
"""Seconds that are added to a platform's own wait at most, so that not everybody comes back in the same instant."""


def obeyed(retry_after: float, jitter: float) -> float:
    """Seconds to wait where the platform said how long: never less, and hardly more."""
    wait = min(max(_LEAST_WAIT, retry_after), 30 * 86_400.0)
    return wait + min(_MOST_EXTRA, wait * 0.05) * jitter


@record
class Trial:
    """One try to send a part, which failed."""

    held: int
    """How many earlier attempts at the event counted (`Claim.held`)."""
    unreached: int
    """How often in a row this lane has met no connection, this time included, should it be that."""
    repeatable: bool
    """Whether the part can be sent again without harm: the platform tells repeats by the key, or it is an edit."""
    uncertain: bool
    """Whether an earlier try of the part may have arrived."""
    ambiguous: Literal["resend", "hold"]


@record
class RetryPause:
    """A wait in memory: due events are left alone until it ends."""

    seconds: float
    whole_channel: bool = False
    until_connected: bool = False
    """A connection that is made ends it early."""


@record
class Next:
    """What to do after a failure."""

    settlement: Settlement
    unstart: bool
    """Forget that the part was started: no try of it has arrived."""
    rest: RetryPause | None = None
    twice: bool = False
    """The next try may send it a second time: mark the delivery `maybe_duplicate`."""


def after(failure: SendFailed, trial: Trial, now: datetime, jitter: float) -> Next:
    """`jitter`: from 0 to 1."""
    trouble, unstart = failure.trouble, not trial.uncertain
    delay = backoff(trial.held + 1, jitter)
    rest: RetryPause | None = None
    if isinstance(failure, SendUnclear):
        undecided = isinstance(failure, SendUndecided)
        if trial.ambiguous == "hold" and (undecided or not trial.repeatable):
            return Next(settlement=Settlement(state="unknown", trouble=trouble), unstart=False)
        settlement = Settlement(state="queued", trouble=trouble, due=now + timedelta(seconds=delay))
        return Next(settlement=settlement, unstart=False, twice=undecided and trial.ambiguous == "resend")
    if not isinstance(failure, SendLater):
        return Next(settlement=Settlement(state="failed", trouble=trouble), unstart=unstart)
    if failure.retry_after is not None:
        delay = obeyed(failure.retry_after, jitter)
        rest = RetryPause(seconds=delay, whole_channel=failure.whole_channel)
    elif not failure.counts:
        # Due at once: a connection that comes back finds it so. Until then it rests.
        seconds = backoff(trial.unreached, jitter, longest=LONGEST_UNREACHED)
        rest = RetryPause(seconds=seconds, whole_channel=failure.whole_channel, until_connected=True)
        delay = 0.0
    elif failure.whole_channel:
        rest = RetryPause(seconds=delay, whole_channel=True)
    due = now + timedelta(seconds=delay)
    return Next(settlement=Settlement(state="queued", trouble=trouble, due=due, counts=failure.counts), unstart=unstart, rest=rest)

"""Exponential backoff with jitter."""

_MOST_STEPS = 32


def backoff(failures: int, jitter: float = 1.0, *, first: float = 1.0, longest: float = 300.0, spread: float = 0.25) -> float:
    """Seconds to wait after `failures` failures in a row (from 1): `first`, doubled each time, at most `longest`.

    `jitter`, from 0 to 1, shortens the wait by up to the part `spread` of it, so that callers that failed together do not return together;
    `spread=1` is full jitter.
    """
    steps = min(max(failures, 1) - 1, _MOST_STEPS)
    return min(longest, first * 2**steps) * (1 - spread * (1 - jitter))

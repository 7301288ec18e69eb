"""What an adapter knows of its calls: rate limits as answers tell them, and whether a repeat is in doubt."""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

from channels.kit.answers import seconds_until
from channels.kit.http import Answered, PlatformError, Unanswered

V = TypeVar("V")
_LONGEST_SLEEP: Final = 1.0
"""Seconds that a call sleeps for a rate limit; for a longer one it fails, and the outbox waits."""
_LONGEST_LIMIT: Final = 3600.0
"""Seconds after which a call is tried again, whatever the last answer said."""
_AGAIN: Final = frozenset({500, 502, 504, 524})


class HeaderLimit:
    """The limit of one kind of call, by the headers X-RateLimit-Remaining and X-RateLimit-Reset-After of its answers."""

    left, until = math.inf, 0.0

    async def take(self) -> None:
        """Raises Answered (429) where it is used up for more than a second: the platform need not be asked."""
        wait = self.until - time.monotonic()
        if self.left <= 0 and wait > _LONGEST_SLEEP:
            raise Answered(429, "the limit is used up", retry_after=wait, body={"retry_after": wait})
        if self.left <= 0:
            await asyncio.sleep(max(wait, 0.0))
        if self.until <= time.monotonic():
            self.left = math.inf
        self.left -= 1

    def note(self, headers: Mapping[str, str]) -> None:
        """`headers`: by lower-case name."""
        wait = seconds_until(headers.get("x-ratelimit-reset-after"), datetime.now(UTC))
        with contextlib.suppress(KeyError, ValueError):
            self.left = int(headers["x-ratelimit-remaining"]) if wait is not None else math.inf
            self.until = time.monotonic() + min(wait or 0.0, _LONGEST_LIMIT)


async def repeated(call: Callable[[], Awaitable[V]], *, tries: int, pause: float) -> V:
    """Make a call that may be repeated: after an error of the server, and where the platform asks to wait a second at most. Raises PlatformError;
    Unanswered where an earlier try may have been carried out."""
    doubt = False
    for left in reversed(range(tries)):
        try:
            return await call()
        except Answered as error:
            wait = error.retry_after
            if left and error.status == 429 and wait is not None and wait <= _LONGEST_SLEEP:
                await asyncio.sleep(wait)
            elif left and error.status in _AGAIN:
                doubt = True
                await asyncio.sleep(pause)
            elif doubt and error.status < 500:
                raise Unanswered("an error of the server came first") from error
            else:
                raise
        except PlatformError as error:
            raise (Unanswered(str(error)) if doubt else error) from None
    raise AssertionError("the last try returns or raises")

"""A platform that is asked again and again: its failures are told and waited out, longer each time."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from assistant.contracts.channels import ChannelFailed, ChannelLink
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.util import backoff
from channels.kit.http import Answered, PlatformError
from channels.kit.intake import NOT_KEPT

log = logging.getLogger(__name__)
_LONGEST_PAUSE: Final = 30.0
_LONGEST_OBEYED: Final = 3600.0
"""The longest wait that is obeyed: one request an hour is harmless, a month without messages is not."""


class PollRounds:
    def __init__(self, channel: str, link: ChannelLink, detail: str) -> None:
        """`detail`: for `link.connected`."""
        self._channel = channel
        self._link = link
        self._detail = detail
        self._failures = 0

    async def run(self, poll: Callable[[bool], Awaitable[float]], failure: Callable[[PlatformError], ChannelFailed]) -> NoReturn:
        """Until cancelled. `poll` takes what came and returns the seconds to wait before the next round; it is told whether to answer at once: after
        an error, to see soon that it is over. `failure`: what an error means. Raises a ChannelFailed that is fatal."""
        while True:
            try:
                pause = await poll(self._failures > 0)
            except PlatformError as error:
                failed = failure(error)
                if failed.fatal:
                    raise failed from error
                await self._wait(str(failed), error.retry_after if isinstance(error, Answered) else None)
            except StoreUnavailable:
                await self._wait(NOT_KEPT, None)
            else:
                if self._failures:
                    self._failures = 0
                    self._link.connected(self._detail)
                if pause:  # else the next call, which acknowledges, goes out at once
                    await asyncio.sleep(pause)

    async def _wait(self, why: str, least: float | None) -> None:
        self._failures += 1
        self._link.degraded(why)
        delay = backoff(self._failures, random.random(), longest=_LONGEST_PAUSE, spread=0.5)  # noqa: S311 - no secret
        pause = max(min(least or 0.0, _LONGEST_OBEYED), delay)
        log.warning("channel.poll_failed channel=%s failures=%d pause=%.1f", self._channel, self._failures, pause)
        await asyncio.sleep(pause)

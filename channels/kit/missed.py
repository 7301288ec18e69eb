"""Messages that came while there was no connection, on platforms that tell a chat's messages since a place."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from assistant.contracts.util import backoff
from channels.kit.http import Answered, PlatformError

T = TypeVar("T")
C = TypeVar("C")
log = logging.getLogger(__name__)
_MOST_CHATS, _SIDE_BY_SIDE, _MOST_PAGES, _TRIES = 500, 8, 50, 4
_LONGEST_WAIT: Final = 60.0


class MissedMessages:
    """Reads many chats, a few at once. A chat that can't be read after several tries, or in time, is left out and logged: it holds up no other, nor
    what comes now."""

    def __init__(self, channel: str, *, pause: float = 1.0, seconds: float = 300.0) -> None:
        """`pause`: seconds before the first retry of a failed request. `seconds`: for all chats together."""
        self._channel = channel
        self._pause = pause
        self._seconds = seconds

    async def of_chats(self, chats: Sequence[C], read: Callable[[C], Awaitable[Sequence[T]]]) -> list[T]:
        """What `read` finds in each of the first 500 chats."""
        gate, until = asyncio.Semaphore(_SIDE_BY_SIDE), asyncio.get_running_loop().time() + self._seconds

        async def one(chat: C) -> Sequence[T] | None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until), gate:
                    return await read(chat)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(chat)) for chat in chats[:_MOST_CHATS]]
        results = [got for task in tasks if (got := task.result()) is not None]
        found = [message for result in results for message in result]
        if len(results) < len(chats):
            log.warning("channel.missed_unread channel=%s chats=%d", self._channel, len(chats) - len(results))
        if chats:
            log.info("channel.caught_up channel=%s chats=%d messages=%d", self._channel, len(chats), len(found))
        return found

    async def since(
        self, chat: str, after: int, page: Callable[[int], Awaitable[Sequence[Any]]], *, size: int, place: Callable[[Any], int]
    ) -> list[Any]:
        """The messages after a place, the oldest first. `page`: up to `size` of them after a place, the newest first. `place`: of a message."""
        found: list[Any] = []
        for _ in range(_MOST_PAGES):
            messages = await self.ask(chat, lambda after=after: page(after)) or []
            found += reversed(messages)
            if len(messages) < size or (last := place(messages[0])) <= after:
                return found
            after = last
        log.warning("channel.missed_unread channel=%s chat=%s after=%d", self._channel, chat, after)
        return found

    async def ask(self, chat: str, question: Callable[[], Awaitable[T]]) -> T | None:
        """The answer; None: forbidden, not found, or no answer."""
        wait = 0.0
        for attempt in range(1, _TRIES + 1):
            await asyncio.sleep(wait)
            wait = backoff(attempt, first=self._pause)
            try:
                return await question()
            except Answered as error:
                if error.status in (403, 404):
                    return None
                wait = min(error.retry_after or wait, _LONGEST_WAIT)
            except PlatformError as error:
                log.info("channel.asked_in_vain channel=%s chat=%s error=%s", self._channel, chat, type(error).__name__)
        log.warning("channel.missed_unread channel=%s chat=%s", self._channel, chat)
        return None

"""The side of a platform that calls /channels/<name>: in order, and each call again until it is taken."""

import asyncio
from collections import deque
from collections.abc import Callable

from assistant.contracts.channels import CalledChannel, PlatformCall, PlatformReply
from assistant.contracts.errors import StoreUnavailable


class PlatformCaller:
    """`channel` gives the one that runs now: after a restart another. `again`: the lowest status after which a call comes again."""

    def __init__(self, channel: Callable[[], CalledChannel], *, again: int = 300) -> None:
        self._channel, self._again = channel, again
        self._waiting: deque[PlatformCall] = deque()
        self._task: asyncio.Task[None] | None = None
        self.replies: list[PlatformReply] = []

    def put(self, call: PlatformCall) -> None:
        self._waiting.append(call)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def idle(self) -> bool:
        """Whether no call waits for its answer."""
        return not self._waiting

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._waiting:
            try:
                reply = await self._channel().called(self._waiting[0])
            except StoreUnavailable:
                reply = PlatformReply(status=503)
            self.replies.append(reply)
            if reply.status < self._again:
                self._waiting.popleft()
            else:
                await asyncio.sleep(0.01)

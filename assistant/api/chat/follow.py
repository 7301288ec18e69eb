"""The stream of a turn for those that did not ask for it: what was said so far, and what comes."""

import asyncio
import time
from collections import Counter
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.api.chat.stream import Chunks, write_events
from assistant.api.middleware.request import principal, state_of
from assistant.api.sse import EventStream, disconnected
from assistant.contracts.errors import RateLimited, ShuttingDown
from assistant.contracts.turns import FollowedTurn

MOST_STREAMS: Final = 16
"""Of a person."""
_MODEL: Final = "nanobot"
"""In every chunk: which agent answers is its caller's to know."""


class FollowStream(Response):
    """The events of a turn as chunks, with its steps and its usage, from the first on. It begins at once. A client that reads slowly delays
    neither the turn nor others, and one that leaves ends nothing."""

    media_type = "text/event-stream"

    def __init__(self, turn: FollowedTurn, following: Counter[str], *, keep_alive: float) -> None:
        """`following`: how many such streams each person has open."""
        super().__init__()
        self._turn = turn
        self._following = following
        self._keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        person = principal(scope).person
        if self._following[person] >= MOST_STREAMS:
            raise RateLimited(f"This person follows {MOST_STREAMS} turns at once: end one of these streams.")
        self._following[person] += 1
        gone = asyncio.create_task(disconnected(receive))
        try:
            async with asyncio.timeout(None) as here:

                def leave(_: object) -> None:
                    here.reschedule(0)

                gone.add_done_callback(leave)
                try:
                    await self._tell(scope, send)
                finally:
                    gone.remove_done_callback(leave)
        except (TimeoutError, ClientDisconnect):
            return
        finally:
            gone.cancel()
            self._following[person] -= 1

    async def _tell(self, scope: Scope, send: Send) -> None:
        state = state_of(scope)
        await state.admission.end()  # it is counted, and takes no place among those at once
        chunks = Chunks(self._turn.id, created=int(time.time()), model=_MODEL, with_usage=True)
        with EventStream(send, keep_alive=self._keep_alive, begin=chunks.begin) as stream:
            try:
                await stream.write(b"")
                async for batch in self._turn.follow():
                    await write_events(batch, stream, chunks, chunks.step)
            except asyncio.CancelledError:  # on shutdown, because the key has ended, or the client is gone
                if not stream.started:
                    raise
                await stream.write(chunks.failure(state.cut_off or ShuttingDown()), last=True)

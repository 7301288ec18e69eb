"""Typing, and a preview of the answer, while a turn runs; and `attempt`, by which a channel's failures cost the turn nothing."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from assistant.contracts.channels import Conversation, Preview, SendFailed
from assistant.contracts.errors import traceback_location
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.outbox import DeliveryError
from assistant.contracts.turns import TextDelta
from assistant.turns.handle import RunningTurn

log = logging.getLogger(__name__)

T = TypeVar("T")
BUG: Final = "internal_error"
"""The error code of a bug in the adapter: another try would meet it again."""


async def attempt(what: str, doing: Coroutine[Any, Any, T], *, within: float) -> T | DeliveryError:
    """The result of something a channel does for a turn, or why there is none: it failed, took longer than `within` seconds or met a bug in the
    adapter (logged). The turn goes on either way. Cancelling this cancels it."""
    task = asyncio.create_task(doing, name=what)
    task.add_done_callback(lambda task: task.cancelled() or task.exception())  # read, so that the loop does not report it as never read
    try:
        await asyncio.wait([task], timeout=within)
    finally:
        task.cancel()
    if not task.done() or task.cancelled():
        log.info("inbound.late what=%s within=%.1f", what, within)
        return DeliveryError(code="timeout", words=f"it took longer than {within:g} s")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, SendFailed):
        log.debug("inbound.not_done what=%s code=%s", what, error.trouble.code)
        return error.trouble
    log.error("inbound.bug what=%s error=%s", what, traceback_location(error))
    return DeliveryError(code=BUG, words="the channel failed by a fault of its own")


_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 5.0
_SHORTEST: Final = 1.0
_LONGEST_TURN: Final = 86_400.0


class TypingAndPreview:
    """Shows a chat that its turn runs, from `begin` to `finish` or the end of the block."""

    def __init__(
        self,
        conversation: Conversation | None,
        message: InboundMessage,
        *,
        reply_to: str | None,
        posted: str | None,
        note: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        """`message`: the last one that is answered. `posted`: the preview that an earlier try left. `note`: keeps the id of a new one."""
        self._conversation = conversation
        self._address = message.address
        self._reply_to = reply_to
        self._note = note
        self._preview: Preview | None = None
        self._tasks: list[asyncio.Task[object]] = []
        self._notes: list[asyncio.Task[object]] = []
        self._finished: asyncio.Task[None] | None = None
        self.posted = posted
        """The platform's id of the preview in the chat."""

    async def __aenter__(self) -> "TypingAndPreview":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.finish()

    async def begin(self) -> None:
        """Type, and open a preview where the channel's settings want one."""
        if self._conversation is not None:
            self._tasks.append(asyncio.create_task(attempt("typing", self._type(self._conversation), within=_LONGEST_TURN)))
            opened = await attempt("preview", self._open(self._conversation), within=_SECONDS)
            self._preview = None if isinstance(opened, DeliveryError) else opened

    @property
    def listens(self) -> bool:
        """Whether the turn should stream its words."""
        return self._preview is not None

    def follow(self, turn: RunningTurn) -> None:
        """Show the answer as it grows."""
        if self._preview is not None:
            self._tasks.append(asyncio.create_task(attempt("preview", self._show(turn, self._preview), within=_LONGEST_TURN)))

    async def finish(self) -> str | None:
        """Show nothing more. Returns the id of the preview in the chat, if there is one. Bounded; may be called again."""
        if self._finished is None:
            self._finished = asyncio.create_task(self._finish())
        # The reply and the end of the block both wait for it; when one of them is cancelled, the other still gets the whole of it.
        await asyncio.shield(self._finished)
        return self.posted

    async def _finish(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)
            self._tasks.clear()  # their errors hold frames, and those this: a cycle, which would wait for the collector
        if self._preview is not None:
            closed = await attempt("preview", self._preview.close(), within=_CLOSE_SECONDS)
            if isinstance(closed, str):
                self.posted = closed
        if self._notes:
            await asyncio.wait(self._notes, timeout=_CLOSE_SECONDS)

    async def _open(self, conversation: Conversation) -> Preview | None:
        return conversation.preview(self._address, reply_to=self._reply_to, posted=self.posted, note=self._noted)

    def _noted(self, message_id: str) -> None:
        self.posted = message_id
        self._notes.append(asyncio.create_task(attempt("note", self._note(message_id), within=_SECONDS)))

    async def _type(self, conversation: Conversation) -> None:
        while True:
            shown = await attempt("typing", conversation.typing(self._address), within=_SECONDS)
            if isinstance(shown, DeliveryError) and shown.code == BUG:
                return
            await asyncio.sleep(max(_SHORTEST, conversation.typing_seconds))

    async def _show(self, turn: RunningTurn, preview: Preview) -> None:
        said: list[str] = []
        async for batch in turn.events():
            new = [event.text for event in batch if isinstance(event, TextDelta)]
            if new:
                said += new
                preview.update("".join(said))

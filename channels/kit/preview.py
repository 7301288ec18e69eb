"""The preview of an answer: one message that is posted, then edited while the answer is made."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from assistant.contracts.channels import SendFailed, SendLater, SendRefused, SendUnclear

log = logging.getLogger(__name__)
_AFTER_FAILURE: Final = 5.0

Show = Callable[[str | None, str], Awaitable[str | None]]
"""(id of the message to edit, or None for a new one; its text) → its id. None: a person has deleted it. Raises SendFailed."""


class EditedPreview:
    """See `contracts.channels.Preview`. Makes one call at a time; while it waits, only the latest text is kept."""

    def __init__(
        self,
        show: Show,
        render: Callable[[str], str],
        *,
        interval: float,
        posted: str | None,
        note: Callable[[str], object],
        remove: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        """`render`: as much of the answer as one message holds. `interval`: the least seconds between two calls.

        `remove` deletes the message, for platforms on which a call that got no answer may still be carried out after `close`: the answer then
        becomes a new message. None: repeating a call is harmless.
        """
        self._show = show
        self._render = render
        self._interval = interval
        self._message_id = posted
        self._note = note
        self._remove = remove
        self._text = self._shown = ""
        self._unclear = False
        """Whether the last call got no answer."""
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def update(self, text: str) -> None:
        if self._closing.is_set():
            return
        self._text = text
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="preview")

    async def close(self) -> str | None:
        """Waits for the call that runs, so that nothing is edited afterwards."""
        self._closing.set()
        self._changed.set()
        if self._task is not None:
            await self._task
        if self._unclear and self._remove is not None and self._message_id is not None and await self._remove(self._message_id):
            return None
        return self._message_id

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self._changed.wait()
            self._changed.clear()
            text = self._render(self._text)
            if self._closing.is_set() or not text.strip():
                continue
            pause = await self._show_text(text) if text != self._shown else 0.0
            if self._unclear and self._remove is not None and self._message_id is None:
                return  # it may be posted: another could be a second one
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._interval, pause)):
                    await self._closing.wait()

    async def _show_text(self, text: str) -> float:
        """Returns the seconds that the platform is left alone."""
        try:
            shown_as = await self._show(self._message_id, text)
        except SendFailed as error:
            log.info("preview.not_shown code=%s", error.trouble.code)
            self._unclear = isinstance(error, SendUnclear)
            if not isinstance(error, SendRefused):
                self._changed.set()
            return (isinstance(error, SendLater) and error.retry_after) or _AFTER_FAILURE
        self._unclear = False
        self._shown = text
        if shown_as is None:
            self._closing.set()
        elif shown_as != self._message_id:
            self._note(shown_as)
        self._message_id = shown_as
        return 0.0

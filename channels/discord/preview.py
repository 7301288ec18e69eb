"""An answer shown while it is made, by editing one message."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final

from assistant.contracts.channels import SendFailed, SendLater
from channels.discord.outbound import MOST_CHARS
from channels.text.discord import discord_parts

log = logging.getLogger(__name__)
EVERY: Final = 1.0
"""Seconds between two edits, at least."""
_MOST_READ: Final = 3 * MOST_CHARS

Show = Callable[[str | None, str, str], Awaitable[str]]
"""(the message to edit, or None for a new one; its text; the key of a new one) → its id. Raises SendFailed."""


class Preview:
    """Shows the beginning of the answer, as far as one message holds it."""

    def __init__(self, show: Show, *, posted: str | None, note: Callable[[str], object]) -> None:
        self._show = show
        self._posted = posted
        self._note = note
        self._text = ""
        self._shown: str = ""
        self._key = secrets.token_hex(12)
        self._changed = asyncio.Event()
        self._closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def update(self, text: str) -> None:
        if self._closed.is_set():
            return
        self._text = text
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> str | None:
        self._closed.set()
        self._changed.set()
        if self._task is not None:
            await self._task
        return self._posted

    async def _run(self) -> None:
        """Each turn of the loop shows once; `close` waits for the one that is under way, so that nothing is edited after it."""
        while not self._closed.is_set():
            self._changed.clear()
            begun = time.monotonic()
            pause = max(await self._show_now(), EVERY - (time.monotonic() - begun))
            try:
                await asyncio.wait_for(self._closed.wait(), pause)
            except TimeoutError:
                await self._changed.wait()

    async def _show_now(self) -> float:
        """Show what there is, if it is new; seconds to leave Discord alone."""
        parts = discord_parts(self._text[:_MOST_READ], MOST_CHARS)
        text = parts[0].text if parts else ""
        if not text or text == self._shown:
            return 0
        try:
            message_id = await self._show(self._posted, text, self._key)
        except SendFailed as error:
            log.info("discord.preview_not_shown code=%s", error.trouble.code)
            return (error.retry_after or 5) if isinstance(error, SendLater) else 5
        self._shown = text
        if message_id != self._posted:
            self._posted = message_id
            self._note(message_id)
        return 0

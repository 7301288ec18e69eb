"""An answer shown while it is made: one message, edited as the answer grows, until the real one takes its place."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

from telegram import LinkPreviewOptions
from telegram.error import TelegramError

from assistant.contracts.text import whole
from channels.telegram.api import Api
from channels.telegram.errors import is_gone, is_unchanged
from channels.telegram.wire import Answered

log = logging.getLogger(__name__)
_UNITS: Final = 4000
_SECONDS: Final = 2.0
"""For one call to be answered: what is shown late is not worth the wait, and the answer waits for `close`."""


class EditedPreview:
    """One task posts and edits, one call at a time; while it waits, only the latest text is kept."""

    def __init__(
        self, api: Api, where: dict[str, Any], *, interval: float, posted: int | None, note: Callable[[str], object], link_previews: bool
    ) -> None:
        """`where`: the parameters that say where a new one goes. `posted`: the message that an earlier try of the turn had posted."""
        self._api = api
        self._where = where
        self._interval = interval
        self._message_id = posted
        self._note = note
        self._link_preview = LinkPreviewOptions(is_disabled=not link_previews)
        self._text = ""
        self._shown = ""
        self._unclear = False
        """Whether the last call ended without an answer: it may still be carried out."""
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._show(), name="telegram preview")

    def update(self, text: str) -> None:
        self._text = text
        self._news.set()

    async def close(self) -> str | None:
        """Waits for the call that is on its way, so that nothing is edited afterwards. Where that can't be known, the message is removed, and
        the answer becomes a new one."""
        self._closing.set()
        self._news.set()
        await self._task
        if self._message_id is None:
            return None
        if self._unclear and await self._removed(self._message_id):
            return None
        return str(self._message_id)

    async def _show(self) -> None:
        while not self._closing.is_set() and not (self._unclear and self._message_id is None):
            await self._news.wait()
            self._news.clear()
            text = _cut(self._text)
            if self._closing.is_set() or not text.strip() or text == self._shown:
                continue
            pause = await self._put(text)
            if text != self._shown:
                self._news.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._interval, pause)):
                    await self._closing.wait()

    async def _put(self, text: str) -> float:
        """Post or edit. Returns the seconds that Telegram asks to wait."""
        try:
            if self._message_id is None:
                sent = await self._api.send_message(
                    text=text, link_preview_options=self._link_preview, read_timeout=_SECONDS, **self._where
                )
                self._message_id = sent.message_id
                self._note(str(sent.message_id))
            else:
                await self._api.edit_message_text(
                    text,
                    chat_id=self._where["chat_id"],
                    message_id=self._message_id,
                    link_preview_options=self._link_preview,
                    read_timeout=_SECONDS,
                )
        except Answered as error:
            self._unclear = False
            if is_gone(error):  # somebody deleted it: they want none
                self._message_id = None
                self._closing.set()
            elif not is_unchanged(error):
                log.info("telegram.preview_refused status=%d", error.status)
                return error.retry_after or 5.0
        except TelegramError as error:
            self._unclear = True
            log.info("telegram.preview_unclear reason=%s", type(error).__name__)
            return 5.0
        else:
            self._unclear = False
            self._shown = text
        return 0.0

    async def _removed(self, message_id: int) -> bool:
        try:
            await self._api.delete_message(self._where["chat_id"], message_id, read_timeout=_SECONDS)
        except TelegramError as error:
            log.info("telegram.preview_stays message=%d reason=%s", message_id, type(error).__name__)
            return False
        return True


def _cut(text: str) -> str:
    """Within what a message holds, counted in UTF-16 units, without half a character at its end."""
    text = whole(text).replace("\x00", "")
    units = text.encode("utf-16-le")
    if len(units) > 2 * _UNITS:
        text = units[: 2 * _UNITS].decode("utf-16-le", "ignore") + " …"
    return text

"""Asking Telegram for updates: the offset, which tells it what is safe here, moves after every message of an answer was accepted."""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Final

from telegram.error import TelegramError

from assistant.contracts.backoff import backoff
from assistant.contracts.channels import Link
from assistant.contracts.errors import StoreUnavailable
from channels.telegram.api import Api
from channels.telegram.errors import channel_failure, unreachable
from channels.telegram.intake import ALBUM_QUIET, AlbumKey, Intake, batch_of, id_of
from channels.telegram.wire import Answered

log = logging.getLogger(__name__)
_WAIT: Final = 25
"""Seconds that Telegram holds a request while there is nothing."""
_LONGEST_PAUSE: Final = 30.0
_LONGEST_OBEYED: Final = 3600.0
"""Seconds that Telegram may ask to wait: asking once an hour does no harm, and not hearing people for a month does."""
_ANOTHER: Final = (
    "Another program asks for this bot's messages with the same token; Telegram gives them to one only. Stop the other one, or make a bot of "
    "its own for it."
)
_WEBHOOK: Final = (
    "Another program has set a webhook for this bot, so Telegram does not give its messages here. Stop it, and restart this one."
)


class Polling:
    def __init__(self, api: Api, intake: Intake, link: Link, detail: str) -> None:
        """`detail`: as whom it is connected."""
        self._api = api
        self._intake = intake
        self._link = link
        self._detail = detail
        self._offset: int | None = None
        self._growing: Mapping[AlbumKey, int] = {}
        self._done: set[int] = set()
        """Updates that are accepted and not acknowledged, because one before them is held."""
        self._failures = 0

    async def run(self) -> None:
        """Until cancelled. Raises ChannelFailed when the token is refused; everything else it waits out."""
        while True:
            try:
                moved = await self._round()
            except Answered as error:
                if error.status in (401, 404):
                    raise channel_failure(error) from error
                await self._pause(_words(error), error.retry_after)
            except TelegramError as error:
                await self._pause(unreachable(error))
            except StoreUnavailable:
                await self._pause("Messages wait at Telegram, because the store can't keep them now.")
            else:
                if self._failures:
                    self._failures = 0
                    self._link.connected(self._detail)
                if self._growing or not moved:
                    await asyncio.sleep(ALBUM_QUIET)

    async def _round(self) -> bool:
        """Ask once and take in what comes. False: there was something, and none of it could be acknowledged."""
        at_once = self._growing or self._failures  # after trouble, it is to be known soon that it is over
        answer = await self._api.updates(self._offset, 0 if at_once else _WAIT)
        numbers = [number for raw in answer if (number := id_of(raw)) is not None]
        fresh = [raw for raw in answer if id_of(raw) not in self._done]
        batch = batch_of([update for raw in fresh if (update := self._intake.parse(raw)) is not None], self._growing)
        for updates in batch.ready:
            await self._intake.take(updates)
            self._done |= {update.update_id for update in updates}
        self._growing = batch.growing
        if not numbers:
            return not answer
        before, self._offset = self._offset, max(numbers) + 1 if batch.first_held is None else batch.first_held
        self._done = {number for number in self._done if number >= self._offset}
        return before != self._offset  # else it told again what was acknowledged, and would, as fast as it is asked

    async def _pause(self, why: str, least: float | None = None) -> None:
        """Say what is in the way, and wait, longer each time."""
        self._failures += 1
        self._link.degraded(why)
        delay = backoff(self._failures, random.random(), longest=_LONGEST_PAUSE, spread=0.5)  # noqa: S311 - no secret
        pause = max(min(least or 0.0, _LONGEST_OBEYED), delay)
        log.warning("telegram.poll_failed failures=%d pause=%.1f", self._failures, pause)
        await asyncio.sleep(pause)


def _words(error: Answered) -> str:
    if error.status == 409:
        return _WEBHOOK if "webhook" in error.description else _ANOTHER
    return f"Telegram answered: {error.description}."

"""Zulip as a channel: sends by REST, reads its event queue by long polls, and fetches what it missed."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit
from channels.kit.chats import ChatChannel
from channels.kit.http import Answered
from channels.kit.refusals import connecting
from channels.kit.values import list_at, number_at, objects_at, text_at, value_at
from channels.zulip.inbound import ZulipReader
from channels.zulip.settings import ZulipSettings
from channels.zulip.wire import PLATFORM, RULES, ZulipWire, code_of, connection_failure

log = logging.getLogger(__name__)
_NEWEST: Final = "newest"
"""The note with the id of the newest message when a queue was registered: what is older was read, or is none of ours."""
_PAGE: Final = 500
_MOST_PAGES: Final = 10
_POLL_SECONDS: Final = 90
_LONGEST_POLL: Final = 600
_MORE_SECONDS: Final = 10.0
"""Behind the server's own time for a poll."""
_ID: Final = re.compile("[0-9]{1,14}(?=:|$)")
_QUEUE_GONE: Final = "BAD_EVENT_QUEUE_ID"


@dataclass(slots=True)
class _Queue:
    id: str
    last: int
    """Of the last event that was read; the server forgets it, and those before it, at the next poll."""
    seconds: float


class ZulipChannel(ChatChannel):
    """See `contracts.channels.Channel`."""

    name = "zulip"
    keyed = False
    """`local_id` is for the echo of one's own client, and keeps no message from being posted twice."""

    def __init__(self, settings: ZulipSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        """`pause`: also behind a poll that brought nothing."""
        self._settings = settings
        self._wire = wire = ZulipWire(settings, context)
        channels = [f"c{each}" for each in settings.allow_channels]
        super().__init__(settings, context, wire, RULES, closes=wire.http, channels=channels, pause=pause)
        self._pause = pause
        self._queue: _Queue | None = None

    def limits(self, address: Address) -> Sequence[Limit]:
        """https://zulip.com/api/rest-error-handling#rate-limit-exceeded: 200 requests a minute, unless the server is configured otherwise."""
        return (Limit(key=self.name, amount=180, seconds=60),)

    async def identity(self) -> str:
        bot = await self._wire.bot()
        return f"{bot.name} ({bot.id}) on {self._settings.site}"

    async def run(self, link: ChannelLink) -> None:
        bot = await self._wire.bot()
        reader = ZulipReader(self._wire, self._hearing, bot)
        with connecting(failure=connection_failure):
            while True:
                if self._queue is None:
                    self._queue = await self._register(link, reader)
                link.connected(f"{bot.name} ({bot.id}) on {self._settings.site}")
                try:
                    await self._read(link, reader, self._queue)
                except Answered as error:
                    if code_of(error) != _QUEUE_GONE:
                        raise
                    self._queue = None  # it was not read for ten minutes, or the server was started anew

    async def _register(self, link: ChannelLink, reader: ZulipReader) -> _Queue:
        """https://zulip.com/api/register-queue. The queue is there first, then what came before it is read: what is in both has one id."""
        events = ["message", "update_message"]
        found = await self._wire.call("POST", "/register", event_types=events, fetch_event_types=["message"], apply_markdown=False)
        newest = number_at(found, "max_message_id")
        seen = [int(id[0]) for each in (await link.last_seen()).values() if (id := _ID.match(each))]
        noted = await self._notes.get(_NEWEST)
        if noted is not None:
            await self._missed(link, reader, max([int(noted), *seen]))
        await self._notes.keep(_NEWEST, str(newest))
        seconds = min(number_at(found, "event_queue_longpoll_timeout_seconds") or _POLL_SECONDS, _LONGEST_POLL)
        if not (queue := text_at(found, "queue_id")):
            raise ChannelFailed(f"{PLATFORM} gives no queue of events.")
        return _Queue(queue, number_at(found, "last_event_id") or -1, seconds + _MORE_SECONDS)

    async def _read(self, link: ChannelLink, reader: ZulipReader, queue: _Queue) -> None:
        """https://zulip.com/api/get-events"""
        while True:
            found = await self._wire.call("GET", "/events", queue_id=queue.id, last_event_id=queue.last, seconds=queue.seconds)
            last = queue.last
            for event in objects_at(found, "events"):
                await self._take(link, reader, event)
                queue.last = max(queue.last, number_at(event, "id"))
            if queue.last == last:  # a poll that waited for nothing
                await asyncio.sleep(self._pause)

    async def _take(self, link: ChannelLink, reader: ZulipReader, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "message":
                message = await reader.message(event.get("message"), list_at(event, "flags"))
            case "update_message" if isinstance(event.get("content"), str) and event.get("rendering_only") is not True:
                message = await self._edited(reader, event)
            case _:
                message = None
        await self._intake.keep(link, message)

    async def _edited(self, reader: ZulipReader, event: Mapping[str, Any]) -> Any:
        """An edit of the words; its event does not tell all of the message. https://zulip.com/api/get-events#update_message"""
        try:
            found = await self._wire.call("GET", f"/messages/{number_at(event, 'message_id')}", apply_markdown=False)
        except Answered as error:
            if error.status not in (400, 403, 404):  # it was deleted meanwhile
                raise
            return None
        message = value_at(found, "message")
        return await reader.message(message, list_at(event, "flags"), edited=number_at(event, "edit_timestamp"))

    async def _missed(self, link: ChannelLink, reader: ZulipReader, after: int) -> None:
        """https://zulip.com/api/get-messages"""
        for _ in range(_MOST_PAGES):
            found = await self._wire.call(
                "GET", "/messages", anchor=str(after), num_before=0, num_after=_PAGE, include_anchor=False, apply_markdown=False
            )
            for message in objects_at(found, "messages"):
                await self._intake.keep(link, await reader.message(message, list_at(message, "flags")))
                after = max(after, number_at(message, "id"))
            if value_at(found, "found_newest") is not False:
                return
        log.warning("zulip.not_caught_up platform=%s after=%d", PLATFORM, after)

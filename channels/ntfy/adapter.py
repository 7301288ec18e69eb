"""ntfy as a channel: publishes to topics, and reads the topics of replies as a stream."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit
from assistant.contracts.inbox import InboundFile, InboundMessage, Sender
from assistant.contracts.outbox import OutboundEvent, OutboundPart
from channels.kit.chats import ChatChannel, Manners
from channels.kit.commands import command_of, pressed
from channels.kit.files import inbound_file
from channels.kit.http import PlatformHttp, stream_lines
from channels.kit.planning import plan_message
from channels.kit.refusals import connecting
from channels.kit.values import id_at, loads, number_at, text_at, time_at, value_at
from channels.ntfy.settings import NtfySettings
from channels.ntfy.wire import ONE_WAY, PLATFORM, RULES, SETTING, NtfyWire
from channels.settings import revealed

_QUIET: Final = 100.0
"""Seconds without a line after which the connection is dead: the server sends one every 45."""
_MOST_LINE: Final = 1_000_000
_OLDEST: Final = "12h"
"""How long ntfy.sh keeps messages."""


class NtfyChannel(ChatChannel):
    """See `contracts.channels.Channel`."""

    name = "ntfy"

    def __init__(self, settings: NtfySettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        [token] = revealed(settings.token)
        self._settings = settings
        self._http = http = PlatformHttp(self.name, version=context.version, proxy=settings.proxy, bearer=token, base=settings.server)
        super().__init__(Manners(), context, NtfyWire(http, settings), RULES, plan=self._planned, closes=http, pause=pause)
        self._topics = {each.replies: name for name, each in settings.topics.items() if each.replies is not None}

    def limits(self, address: Address) -> Sequence[Limit]:
        """60 at once, then one in 5 s. https://docs.ntfy.sh/publish/#limitations"""
        return (Limit(key=self.name, amount=60, seconds=300),)

    def _planned(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        topic = self._settings.topics.get(event.address.chat_id)
        return plan_message(event, ONE_WAY if topic is not None and topic.replies is None else RULES)

    async def identity(self) -> str:
        with connecting(PLATFORM, setting=SETTING):
            await self._http.call("GET", "/v1/account" if self._settings.token else "/v1/health")
        return f"{self._settings.server}, topics: {', '.join(sorted(self._settings.topics))}"

    async def run(self, link: ChannelLink) -> None:
        detail = await self.identity()
        if not self._topics:
            link.connected(detail)
            await asyncio.Event().wait()
        topics = ",".join(sorted(self._topics))
        seen = await link.last_seen()
        since = max((seen[name] for name in self._topics.values() if name in seen), key=_time_of, default="")
        after = str(int(_time_of(since)) - 1) if since else _OLDEST
        with connecting(PLATFORM, setting=SETTING):
            async with (
                self._http.stream("GET", f"/{topics}/json", params={"since": after}, quiet=_QUIET) as stream,
                aclosing(stream_lines(stream, _MOST_LINE)) as lines,
            ):
                async for line in lines:
                    await self._take(link, line, detail)
        raise ChannelFailed(f"{PLATFORM} ended the stream.")

    async def _take(self, link: ChannelLink, line: bytes, detail: str) -> None:
        try:
            event = loads(line)
        except ValueError:
            return
        match value_at(event, "event"):
            case "open":
                link.connected(detail)
            case "message" if (message := self._read(event)) is not None:
                await self._intake.keep(link, message)
            case _:
                pass

    def _read(self, event: Mapping[str, Any]) -> InboundMessage | None:
        """None: it is not of a topic of ours, or says nothing. https://docs.ntfy.sh/subscribe/api/#json-message-format"""
        name = self._topics.get(text_at(event, "topic"))
        id, time, text = id_at(event, "id"), number_at(event, "time"), text_at(event, "message")
        if name is None or not id or not time:
            return None
        files = _files(event)
        press = pressed(text)
        words = press[0] if press else text
        if files and text in ("", f"You received a file: {files[0].name}"):
            words = ""
        if not (words.strip() or files):
            return None
        return InboundMessage(
            external_id=f"{id}@{time}",
            address=Address(channel="ntfy", chat_id=name),
            sender=Sender(id=name, name=name),
            private=True,
            text=words,
            files=files,
            command=press[1] if press else command_of(text),
            chosen=press is not None,
            message_id=id,
            at=time_at(event, "time"),
        )


def _time_of(external_id: str) -> float:
    _, _, time = external_id.rpartition("@")
    return float(time) if time.isdecimal() else 0.0


def _files(event: Mapping[str, Any]) -> tuple[InboundFile, ...]:
    about = value_at(event, "attachment")
    url, media_type = text_at(about, "url"), text_at(about, "type")
    return (inbound_file(text_at(about, "name"), url, media_type=media_type, size=value_at(about, "size")),) if url else ()

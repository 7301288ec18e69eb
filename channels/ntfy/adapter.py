"""ntfy as a channel: publishes to topics, and reads the topics of replies as a stream."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit
from assistant.contracts.inbox import InboundFile, InboundMessage, Sender
from assistant.contracts.util import display_name
from channels.kit.commands import command_of, pressed
from channels.kit.conversation import ChatConversation
from channels.kit.http import PlatformError, PlatformHttp, value_at
from channels.kit.intake import Intake
from channels.kit.planning import plan_message
from channels.kit.refusals import channel_failure
from channels.kit.sender import PartSender
from channels.ntfy.settings import NtfySettings
from channels.ntfy.wire import PLATFORM, RULES, NtfyWire

_QUIET: Final = 100.0
"""Seconds without a line after which the connection is dead: the server sends one every 45."""
_OLDEST: Final = "12h"
"""How long ntfy.sh keeps messages."""


class NtfyChannel:
    """See `contracts.channels.Channel`."""

    name = "ntfy"
    keyed = False
    plan = staticmethod(partial(plan_message, rules=RULES))

    def __init__(self, settings: NtfySettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        """`pause`: seconds before the first retry where the store can't be written."""
        token = settings.token.get_secret_value() if settings.token else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._settings = settings
        self._http = PlatformHttp(
            self.name, version=context.version, proxy=settings.proxy, secrets=[token], headers=headers, base=settings.server
        )
        wire = NtfyWire(self._http, settings)
        self.send = PartSender(wire, context.files, channel=self.name).send
        self.conversation = ChatConversation(wire=wire)
        self._intake = Intake(self.name, pause=pause)
        self._names = {each.replies: name for name, each in settings.topics.items() if each.replies is not None}

    def limits(self, address: Address) -> Sequence[Limit]:
        """60 at once, then one in 5 s. https://docs.ntfy.sh/publish/#limitations"""
        return (Limit(key=self.name, amount=60, seconds=300),)

    async def identity(self) -> str:
        try:
            await self._http.call("GET", "/v1/account" if self._settings.token else "/v1/health")
        except PlatformError as error:
            raise channel_failure(error, PLATFORM, setting="channels.ntfy.token") from error
        return f"{self._settings.server}, topics: {', '.join(sorted(self._settings.topics))}"

    async def run(self, link: ChannelLink) -> None:
        detail = await self.identity()
        if not self._names:
            link.connected(detail)
            await asyncio.Event().wait()
        topics = ",".join(sorted(self._names))
        seen = await link.last_seen()
        since = max((seen[name] for name in self._names.values() if name in seen), key=_time_of, default="")
        after = str(int(_time_of(since)) - 1) if since else _OLDEST
        try:
            async with self._http.stream("GET", f"/{topics}/json", params={"since": after}, quiet=_QUIET) as lines:
                async for line in lines:
                    await self._take(link, line, detail)
        except PlatformError as error:
            raise channel_failure(error, PLATFORM, setting="channels.ntfy.token") from error
        raise ChannelFailed(f"{PLATFORM} ended the stream.")

    async def close(self) -> None:
        await self._http.close()

    async def _take(self, link: ChannelLink, line: bytes, detail: str) -> None:
        try:
            event: Any = orjson.loads(line)
        except orjson.JSONDecodeError:
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
        name = self._names.get(str(value_at(event, "topic")))
        id, time, text = value_at(event, "id"), value_at(event, "time"), value_at(event, "message") or ""
        if name is None or not isinstance(id, str) or not isinstance(time, int) or not isinstance(text, str):
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
            at=datetime.fromtimestamp(time, UTC),
        )


def _time_of(external_id: str) -> float:
    _, _, time = external_id.rpartition("@")
    return float(time) if time.isdigit() else 0.0


def _files(event: Mapping[str, Any]) -> tuple[InboundFile, ...]:
    url, name = value_at(event, "attachment", "url"), value_at(event, "attachment", "name")
    if not isinstance(url, str):
        return ()
    size = value_at(event, "attachment", "size")
    media_type = str(value_at(event, "attachment", "type") or "application/octet-stream")
    kind = "image" if media_type.startswith("image/") else "document"
    shown = display_name(str(name or "file"), "file")
    return (InboundFile(name=shown, kind=kind, media_type=media_type, size=size if isinstance(size, int) else None, ref=url),)

"""Slack as a channel: by Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode) or by signed calls."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit, PlatformCall, PlatformReply
from assistant.contracts.inbox import InboundMessage
from channels.kit.calls import DONE, FORBIDDEN, NOT_NOW, header, hmac_hex, is_recent, same
from channels.kit.chats import ChatChannel
from channels.kit.http import PlatformError
from channels.kit.sockets import JsonSocket, json_socket
from channels.kit.values import Latest, loads, text_at, value_at
from channels.slack.api import PLATFORM, SlackApi
from channels.slack.inbound import SlackReader
from channels.slack.missed import missed_events
from channels.slack.settings import SlackSettings
from channels.slack.wire import RULES, SlackWire, plan

log = logging.getLogger(__name__)
_QUIET_SECONDS: Final = 600.0
"""Between two hints to one stranger."""
_MOST_HINTED: Final = 1000
_HINT: Final = "I answer only people I know. Write to me in a direct message, and I say how you are let in."
_CUT: Final = PlatformReply(status=400, body=b"not readable", media_type="text/plain")

Accept = Callable[[ChannelLink, InboundMessage], Awaitable[str]]


class SlackChannel(ChatChannel):
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`."""

    name = "slack"
    keyed = False
    """Slack documents no key: `client_msg_id` is of its own clients."""

    def __init__(
        self, settings: SlackSettings, context: ChannelContext, *, pause: float = 1.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._api = SlackApi(settings, context)
        self._wire = wire = SlackWire(self._api, settings)
        closes, channels = self._api.http, settings.allow_channels
        super().__init__(settings, context, wire, RULES, plan=plan, closes=closes, channels=channels, pause=pause)
        self.conversation = replace(self.conversation, typing_seconds=60.0, preview_seconds=1.5)
        self._clock = clock
        self._reader: SlackReader | None = None
        self._hinted = Latest[float](_MOST_HINTED)
        self._hints: set[asyncio.Task[None]] = set()

    def limits(self, address: Address) -> Sequence[Limit]:
        """One a second in a chat, short bursts allowed. https://docs.slack.dev/apis/web-api/rate-limits"""
        return (Limit(key=f"slack:{address.chat_id}", amount=5, seconds=5),)

    async def identity(self) -> str:
        me = await self._api.me()
        if self._settings.mode == "socket":
            await self._api.socket_url()
        return me.detail

    def attach(self, link: ChannelLink | None) -> None:
        super().attach(link if self._settings.mode == "events" else None)

    async def run(self, link: ChannelLink) -> None:
        me = await self._api.me()
        reader = self._reader = SlackReader(self._settings, self._api, self._hearing, me)
        seen = await link.last_seen()
        if self._settings.mode == "events":
            await self._catch_up(link, reader, seen)
            self.attach(link)
            link.connected(me.detail)
            await asyncio.Event().wait()
        while True:
            async with json_socket(self._api.http, await self._api.socket_url(), PLATFORM) as socket:
                await self._serve(socket, link, reader, seen, me.detail)
            seen = {}  # a connection that Slack asks to renew has missed nothing

    async def called(self, call: PlatformCall) -> PlatformReply:
        """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
        secret = self._settings.secrets[2]
        stamp = header(call, "x-slack-request-timestamp")
        if not (secret and is_recent(stamp, self._clock())):
            return FORBIDDEN
        if not same("v0=" + hmac_hex(secret, b"v0:" + stamp.encode() + b":" + call.body), header(call, "x-slack-signature")):
            return FORBIDDEN
        read = _read_call(call.body)
        if read is None:
            return _CUT
        kind, payload = read
        if kind == "url_verification":
            return PlatformReply(body=orjson.dumps({"challenge": text_at(payload, "challenge")}))
        if (link := self._link.now) is None:
            return NOT_NOW
        if self._reader is None:  # another server runs the channel
            try:
                self._reader = SlackReader(self._settings, self._api, self._hearing, await self._api.me())
            except ChannelFailed:
                return NOT_NOW
        await self._take(link, self._reader, kind, payload, self._intake.accept)
        return DONE

    async def close(self) -> None:
        for hint in self._hints:
            hint.cancel()
        await super().close()

    async def _serve(self, socket: JsonSocket, link: ChannelLink, reader: SlackReader, seen: Any, detail: str) -> None:
        """Until Slack asks to connect anew. An envelope is acknowledged when what it brings is stored; else Slack sends it again."""
        while True:
            frame = await socket.receive()
            match text_at(frame, "type"):
                case "hello":
                    await self._catch_up(link, reader, seen)
                    link.connected(detail)
                case "disconnect":
                    if text_at(frame, "reason") == "link_disabled":
                        raise ChannelFailed('Socket Mode is switched off for the app: switch it on, or use mode "events".', fatal=True)
                    return
                case kind:
                    await self._take(link, reader, kind, value_at(frame, "payload"), self._intake.keep)
                    if envelope := text_at(frame, "envelope_id"):
                        await socket.send({"envelope_id": envelope})

    async def _take(self, link: ChannelLink, reader: SlackReader, kind: str, payload: Any, accept: Accept) -> None:
        event = value_at(payload, "event")
        if kind == "events_api" and text_at(event, "type") == "channel_id_changed":
            old, new = text_at(event, "old_channel_id"), text_at(event, "new_channel_id")
            if old and new:
                self._api.renamed(old, new)
                await link.moved(old, new)
            return
        match kind:
            case "events_api":
                message = await reader.event(event)
            case "interactive":
                message = await reader.press(payload)
            case "slash_commands":
                message = await reader.slash(payload, datetime.fromtimestamp(self._clock(), UTC))
            case _:
                message = None
        if message is not None and not await accept(link, message) and not message.private:
            self._hint(message)

    def _hint(self, message: InboundMessage) -> None:
        """Tell a stranger in a channel, and no one else there, how to be let in: codes are for direct messages. The acknowledgement does not wait for
        it."""
        id, now = message.sender.id, self._clock()
        last = self._hinted.get(id)
        if not message.trusted or (last is not None and now - last < _QUIET_SECONDS):
            return
        self._hinted.put(id, now)
        hint = asyncio.create_task(self._whisper(message.address, id))
        self._hints.add(hint)
        hint.add_done_callback(self._hints.discard)

    async def _whisper(self, address: Address, member: str) -> None:
        try:
            await self._wire.whisper(address, member, _HINT)
        except PlatformError as error:
            log.info("slack.hint_not_shown error=%s", error)

    async def _catch_up(self, link: ChannelLink, reader: SlackReader, seen: Any) -> None:
        async for event in missed_events(self._api, seen):
            await self._intake.keep(link, await reader.event(event))


def _read_call(body: bytes) -> tuple[str, Any] | None:
    """(the kind of an envelope of Socket Mode, its payload): events come as JSON, presses and commands as a form. None: not readable."""
    try:
        if body.lstrip()[:1] == b"{":
            payload = loads(body)
            kind = text_at(payload, "type")
            return ("events_api" if kind == "event_callback" else kind, payload)
        form = {name: values[0] for name, values in parse_qs(body.decode(), max_num_fields=100).items()}
        return ("interactive", loads(form["payload"])) if "payload" in form else ("slash_commands", form)
    except ValueError:
        return None

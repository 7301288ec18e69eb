"""LINE as a channel: it calls /channels/line with what people write."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit, PlatformCall, PlatformReply
from assistant.contracts.inbox import Sender
from channels.kit.calls import DONE, FORBIDDEN, NOT_NOW, HeldLink, header, hmac_base64, same
from channels.kit.conversation import ChatConversation
from channels.kit.hearing import Hearing
from channels.kit.http import PlatformError, PlatformHttp
from channels.kit.intake import Intake
from channels.kit.planning import plan_message
from channels.kit.refusals import connecting
from channels.kit.sender import PartSender
from channels.kit.values import Latest, list_at, loads, text_at
from channels.line.inbound import LineEvent, LineReader, event_of
from channels.line.settings import LineSettings
from channels.line.wire import PLATFORM, RULES, SETTING, LineWire

log = logging.getLogger(__name__)
_MOST_NAMES: Final = 1000
_MOST_NAME: Final = 128
_NAME_SECONDS: Final = 1.0
"""LINE waits two seconds for the answer to a call."""


class LineChannel:
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`."""

    name = "line"
    keyed = True
    plan = staticmethod(partial(plan_message, rules=RULES))

    def __init__(self, settings: LineSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        """`pause`: seconds before a retry where the store can't be written."""
        self._secret = settings.secret
        self._http = PlatformHttp(
            self.name,
            version=context.version,
            proxy=settings.proxy,
            secrets=[settings.token, self._secret],
            headers={"Authorization": f"Bearer {settings.token}"},
            base=settings.api_base,
        )
        self._wire = LineWire(self._http, settings, context.notes)
        self.send = PartSender(self._wire, context.files, channel=self.name).send
        self.conversation = ChatConversation(wire=self._wire, typing_seconds=15.0)
        self._intake = Intake(self.name, pause=pause)
        self._reader = LineReader(Hearing(settings.groups), self._wire.memory)
        self._names: Latest[str] = Latest(_MOST_NAMES)
        self._link = HeldLink()
        self.attach = self._link.attach

    def limits(self, address: Address) -> Sequence[Limit]:
        """2,000 a second. https://developers.line.biz/en/reference/messaging-api/#rate-limits"""
        return (Limit(key=self.name, amount=2000, seconds=1),)

    async def identity(self) -> str:
        with connecting(PLATFORM, setting=SETTING):
            found = await self._http.json("GET", "/v2/bot/info")
        return f"{text_at(found, 'displayName')} ({text_at(found, 'basicId')})"

    async def run(self, link: ChannelLink) -> None:
        link.connected(await self.identity())
        await self._link.hold(link)

    async def close(self) -> None:
        await self._http.close()

    async def called(self, call: PlatformCall) -> PlatformReply:
        """https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/"""
        if call.method != "POST" or not same(hmac_base64(self._secret, call.body), header(call, "x-line-signature")):
            return FORBIDDEN
        try:
            body: Any = loads(call.body)
        except ValueError:
            log.warning("line.call_unreadable bytes=%d", len(call.body))
            return DONE
        if self._link.now is None:
            return NOT_NOW
        for event in list_at(body, "events"):
            about = event_of(event)
            if about is None:
                continue
            reply = await self._link.take(about.chat, partial(self._take, about, event))
            if reply is not DONE:
                return reply
        return DONE

    async def _take(self, about: LineEvent, event: Any, link: ChannelLink) -> None:
        message = self._reader.read(about, event)
        if message is None:
            return
        if about.reply_token:
            self._wire.token_came(about.chat, about.reply_token)
        await self._intake.accept(link, replace(message, sender=Sender(id=about.person, name=await self._name(about))))

    async def _name(self, about: LineEvent) -> str:
        """As LINE shows the person; empty where it does not tell."""
        key = f"{about.chat} {about.person}"
        if (name := self._names.get(key)) is None:
            place = {"C": f"group/{about.chat}/member/", "R": f"room/{about.chat}/member/"}.get(about.chat[0], "profile/")
            try:
                async with asyncio.timeout(_NAME_SECONDS):
                    found = await self._http.json("GET", f"/v2/bot/{place}{about.person}")
            except (PlatformError, TimeoutError):
                return ""
            name = text_at(found, "displayName")[:_MOST_NAME]
            self._names[key] = name
        return name

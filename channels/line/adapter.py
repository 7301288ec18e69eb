"""LINE as a channel: it calls /channels/line with what people write."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit, PlatformCall, PlatformReply
from assistant.contracts.inbox import Sender
from channels.kit.calls import DONE, FORBIDDEN, NOT_NOW, header, hmac_base64, same
from channels.kit.chats import ChatChannel, Manners
from channels.kit.http import PlatformHttp
from channels.kit.names import KnownNames
from channels.kit.refusals import connecting
from channels.kit.values import json_in, list_at, text_at
from channels.line.inbound import LineEvent, LineReader, event_of
from channels.line.settings import LineSettings
from channels.line.wire import PLATFORM, RULES, SETTING, LineWire

log = logging.getLogger(__name__)
_NAME_SECONDS: Final = 1.0
"""LINE waits two seconds for the answer to a call."""


class LineChannel(ChatChannel):
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`."""

    name = "line"
    keyed = True

    def __init__(self, settings: LineSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        self._secret = settings.secret
        self._http = http = PlatformHttp(
            self.name, version=context.version, proxy=settings.proxy, bearer=settings.token, secrets=[self._secret], base=settings.api_base
        )
        self._wire = wire = LineWire(http, settings, context.notes)
        super().__init__(Manners(groups=settings.groups), context, wire, RULES, closes=http, typing_seconds=15.0, pause=pause)
        self._reader = LineReader(self._hearing, wire.memory)
        self._names = KnownNames(self._name, seconds=_NAME_SECONDS)

    def limits(self, address: Address) -> Sequence[Limit]:
        """2,000 a second. https://developers.line.biz/en/reference/messaging-api/#rate-limits"""
        return (Limit(key=self.name, amount=2000, seconds=1),)

    async def identity(self) -> str:
        with connecting(PLATFORM, setting=SETTING):
            found = await self._http.json("GET", "/v2/bot/info")
        return f"{text_at(found, 'displayName')} ({text_at(found, 'basicId')})"

    async def called(self, call: PlatformCall) -> PlatformReply:
        """https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/"""
        if call.method != "POST" or not same(hmac_base64(self._secret, call.body), header(call, "x-line-signature")):
            return FORBIDDEN
        if (body := json_in(call.body)) is None:
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
        name = await self._names.of(f"{about.chat} {about.person}", otherwise="")
        await self._intake.accept(link, replace(message, sender=Sender(id=about.person, name=name)))

    async def _name(self, key: str) -> str:
        chat, person = key.split(" ")
        place = {"C": f"group/{chat}/member/", "R": f"room/{chat}/member/"}.get(chat[0], "profile/")
        return text_at(await self._http.json("GET", f"/v2/bot/{place}{person}"), "displayName")

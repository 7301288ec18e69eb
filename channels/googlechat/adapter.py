"""Google Chat as a channel."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import (
    ChannelContext,
    ChannelFailed,
    ChannelLink,
    Limit,
    PlatformCall,
    PlatformReply,
    SendFailed,
)
from channels.googlechat.inbound import read_event
from channels.googlechat.settings import GoogleChatSettings
from channels.googlechat.tokens import SETTING, AppToken, CallCheck
from channels.googlechat.wire import PLATFORM, RULES, GoogleChatWire, first_part
from channels.kit.calls import FORBIDDEN, NOT_NOW, HeldLink, header
from channels.kit.conversation import ChatConversation
from channels.kit.hearing import Hearing
from channels.kit.http import PlatformError, PlatformHttp, loads
from channels.kit.intake import Intake
from channels.kit.planning import plan_message
from channels.kit.refusals import channel_failure
from channels.kit.sender import PartSender

_SECONDS: Final = 25.0
"""Chat waits 30 for an answer, and does not promise to call again: the store has this long to come back."""
_TAKEN: Final = PlatformReply(status=200, body=b"{}")


class GoogleChatChannel:
    """See `contracts.channels.Channel` and `CalledChannel`."""

    name = "googlechat"
    keyed = True
    """requestId: the same one again returns the message that it made."""
    plan = staticmethod(partial(plan_message, rules=RULES))

    def __init__(self, settings: GoogleChatSettings, context: ChannelContext, *, pause: float = 1.0, seconds: float = _SECONDS) -> None:
        """`pause`: seconds before the first retry where the store can't be written; `seconds`: for all of them."""
        self._http = PlatformHttp(self.name, version=context.version, proxy=settings.proxy, secrets=[settings.secret], base=settings.server)
        self._token = AppToken(self._http, settings)
        self._check = CallCheck(self._http, settings)
        wire = GoogleChatWire(self._http, self._token)
        self.send = PartSender(wire, context.files, channel=self.name, keyed=True).send
        self.conversation = ChatConversation(wire=wire, previews=settings.preview == "edit", first_part=first_part, preview_seconds=2.0)
        self._hearing = Hearing(settings.groups)
        self._intake = Intake(self.name, pause=pause)
        self._seconds = seconds
        self._link = HeldLink()
        self._order = asyncio.Lock()

    def limits(self, address: Address) -> Sequence[Limit]:
        """https://developers.google.com/workspace/chat/limits: of a space, and of the project."""
        return (Limit(key=address.lane, amount=1, seconds=1), Limit(key=self.name, amount=3000, seconds=60))

    async def identity(self) -> str:
        try:
            await self._token.headers()
        except PlatformError as error:
            raise channel_failure(error, PLATFORM, setting=SETTING) from error
        except SendFailed as error:
            raise ChannelFailed(str(error), fatal=True) from error
        return self._token.account

    async def run(self, link: ChannelLink) -> None:
        who = await self.identity()
        link.connected(f"{who}, called at /channels/googlechat")
        await self._link.hold(link)

    async def called(self, call: PlatformCall) -> PlatformReply:
        if call.method != "POST":
            return PlatformReply(status=405, body=b"POST", media_type="text/plain")
        try:
            genuine = await self._check.is_genuine(header(call, "authorization"))
        except PlatformError:
            return NOT_NOW
        if not genuine:
            return FORBIDDEN
        try:
            event: Any = loads(call.body)
        except ValueError:
            return PlatformReply(status=400, body=b"not JSON", media_type="text/plain")
        link = self._link.now
        if link is None:
            return NOT_NOW
        message = read_event(event, self._hearing) if isinstance(event, dict) else None  # pyright: ignore[reportUnknownArgumentType]
        if message is None:
            return _TAKEN
        try:
            async with asyncio.timeout(self._seconds), self._order:
                await self._intake.keep(link, message)
        except TimeoutError:
            return NOT_NOW
        return _TAKEN

    async def close(self) -> None:
        await self._http.close()

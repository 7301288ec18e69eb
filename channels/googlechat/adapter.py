"""Google Chat as a channel."""

from collections.abc import Sequence
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, Limit, PlatformCall, PlatformReply
from channels.googlechat.inbound import read_event
from channels.googlechat.settings import GoogleChatSettings
from channels.googlechat.tokens import AppToken, CallCheck
from channels.googlechat.wire import RULES, GoogleChatWire, first_part
from channels.kit.calls import FORBIDDEN, NOT_JSON, NOT_NOW, ONLY_POST, TAKEN, HeldLink, header
from channels.kit.chats import ChatChannel, Manners
from channels.kit.http import PlatformError, PlatformHttp
from channels.kit.values import json_in

_SECONDS: Final = 25.0
"""Chat waits 30 for an answer, and does not promise to call again: the store has this long to come back."""


class GoogleChatChannel(ChatChannel):
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`."""

    name = "googlechat"
    keyed = True
    """requestId: the same one again returns the message that it made."""

    def __init__(self, settings: GoogleChatSettings, context: ChannelContext, *, pause: float = 1.0, seconds: float = _SECONDS) -> None:
        """`seconds`: for all tries of a message that the store can't take."""
        http = PlatformHttp(self.name, version=context.version, proxy=settings.proxy, secrets=[settings.secret], base=settings.server)
        self._token = AppToken(http, settings)
        self._check = CallCheck(http, settings)
        manners = Manners(groups=settings.groups, preview=settings.preview)
        wire = GoogleChatWire(http, self._token)
        super().__init__(manners, context, wire, RULES, closes=http, first_part=first_part, preview_seconds=2.0, pause=pause)
        self._link = HeldLink(seconds=seconds)
        self.attach = self._link.attach

    def limits(self, address: Address) -> Sequence[Limit]:
        """https://developers.google.com/workspace/chat/limits: of a space, and of the project."""
        return (Limit(key=address.lane, amount=1, seconds=1), Limit(key=self.name, amount=3000, seconds=60))

    async def identity(self) -> str:
        await self._token.check()
        return self._token.account

    async def called(self, call: PlatformCall) -> PlatformReply:
        if call.method != "POST":
            return ONLY_POST
        try:
            genuine = await self._check.is_genuine(header(call, "authorization"))
        except PlatformError:
            return NOT_NOW
        if not genuine:
            return FORBIDDEN
        if (event := json_in(call.body)) is None:
            return NOT_JSON
        if self._link.now is None:
            return NOT_NOW
        message = read_event(event, self._hearing)
        if message is None:
            return TAKEN
        return await self._link.take(message.address.chat_id, lambda link: self._intake.keep(link, message), reply=TAKEN)

"""Microsoft Teams as a channel."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit, PlatformCall, PlatformReply
from channels.kit.calls import FORBIDDEN, NOT_JSON, NOT_NOW, ONLY_POST, header
from channels.kit.chats import ChatChannel, Manners
from channels.kit.http import PlatformError, PlatformHttp
from channels.kit.values import json_in, text_at
from channels.msteams.inbound import address_of_activity, read_activity
from channels.msteams.settings import TeamsSettings
from channels.msteams.tokens import CallerCheck, bot_token
from channels.msteams.wire import RULES, TeamsWire, first_part


class TeamsChannel(ChatChannel):
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`. Each conversation's service is noted from its first call, for messages of
    our own."""

    name = "msteams"

    def __init__(self, settings: TeamsSettings, context: ChannelContext) -> None:
        self._settings = settings
        http = PlatformHttp(self.name, version=context.version, proxy=settings.proxy, secrets=[settings.secret])
        self._token = bot_token(http, settings)
        self._check = CallerCheck(http, settings)
        wire = TeamsWire(http, context, self._token, in_thread=settings.reply_to_message)
        manners = Manners(groups=settings.groups, preview=settings.preview)
        super().__init__(manners, context, wire, RULES, closes=http, first_part=first_part, preview_seconds=1.5)

    def limits(self, address: Address) -> Sequence[Limit]:
        """https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit: of one conversation."""
        lane = address.lane
        return (Limit(key=lane, amount=7, seconds=1), Limit(key=f"{lane}:30s", amount=60, seconds=30))

    async def identity(self) -> str:
        await self._token.check()
        return f"the bot {self._settings.app_id}"

    async def called(self, call: PlatformCall) -> PlatformReply:
        if call.method != "POST":
            return ONLY_POST
        if (activity := json_in(call.body)) is None:
            return NOT_JSON
        try:
            genuine = await self._check.is_genuine(header(call, "authorization"), activity)
        except PlatformError:
            return NOT_NOW
        if not genuine:
            return FORBIDDEN
        address = address_of_activity(activity, in_thread=self._settings.reply_to_message)
        return await self._link.take(address.chat_id if address else "", partial(self._take, activity, address))

    async def _take(self, activity: Any, address: Address | None, link: ChannelLink) -> None:
        """Raises StoreUnavailable: Teams calls again."""
        if address is None:
            return
        key, service = f"service:{address.chat_id}", text_at(activity, "serviceUrl")
        if await self._notes.get(key) != service:
            await self._notes.keep(key, service)
        message = read_activity(activity, address, self._settings.app_id, self._hearing)
        if message is not None:
            await self._intake.accept(link, message)

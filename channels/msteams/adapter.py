"""Microsoft Teams as a channel."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson

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
from channels.kit.calls import DONE, FORBIDDEN, NOT_NOW, header
from channels.kit.conversation import ChatConversation
from channels.kit.hearing import Hearing
from channels.kit.http import PlatformError, PlatformHttp
from channels.kit.intake import Intake
from channels.kit.planning import plan_message
from channels.kit.refusals import channel_failure
from channels.kit.sender import PartSender
from channels.msteams.inbound import address_of_activity, read_activity
from channels.msteams.settings import TeamsSettings
from channels.msteams.tokens import BotToken, CallerCheck
from channels.msteams.wire import PLATFORM, RULES, SETTING, TeamsWire, first_part


class TeamsChannel:
    """See `contracts.channels.Channel` and `CalledChannel`. Each conversation's service is noted from its first call, for messages of our own."""

    name = "msteams"
    keyed = False
    plan = staticmethod(partial(plan_message, rules=RULES))

    def __init__(self, settings: TeamsSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._notes = context.notes
        self._http = PlatformHttp(self.name, version=context.version, proxy=settings.proxy, secrets=[settings.secret])
        self._token = BotToken(self._http, settings)
        self._check = CallerCheck(self._http, settings)
        wire = TeamsWire(self._http, context, self._token, in_thread=settings.reply_to_message)
        self.send = PartSender(wire, context.files, channel=self.name).send
        self.conversation = ChatConversation(wire=wire, previews=settings.preview == "edit", first_part=first_part, preview_seconds=1.5)
        self._hearing = Hearing(settings.groups)
        self._intake = Intake(self.name)
        self._link: ChannelLink | None = None
        self._order = asyncio.Lock()

    def limits(self, address: Address) -> Sequence[Limit]:
        """https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit: of one conversation."""
        lane = address.lane
        return (Limit(key=lane, amount=7, seconds=1), Limit(key=f"{lane}:30s", amount=60, seconds=30))

    async def identity(self) -> str:
        try:
            await self._token.headers()
        except PlatformError as error:
            raise channel_failure(error, PLATFORM, setting=SETTING) from error
        except SendFailed as error:
            raise ChannelFailed(str(error), fatal=True) from error
        return f"the bot {self._settings.app_id}"

    async def run(self, link: ChannelLink) -> None:
        who = await self.identity()
        self._link = link
        try:
            link.connected(f"{who}, called at /channels/msteams")
            await asyncio.Event().wait()
        finally:
            self._link = None

    async def called(self, call: PlatformCall) -> PlatformReply:
        link = self._link
        if call.method != "POST":
            return PlatformReply(status=405, body=b"POST", media_type="text/plain")
        try:
            activity: Any = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            return PlatformReply(status=400, body=b"not JSON", media_type="text/plain")
        if not isinstance(activity, dict):
            return PlatformReply(status=400, body=b"no activity", media_type="text/plain")
        try:
            genuine = await self._check.is_genuine(header(call, "authorization"), activity)  # pyright: ignore[reportUnknownArgumentType]
        except PlatformError:
            return NOT_NOW
        if not genuine:
            return FORBIDDEN
        if link is None:
            return NOT_NOW
        async with self._order:
            await self._take(link, activity)  # pyright: ignore[reportUnknownArgumentType]
        return DONE

    async def close(self) -> None:
        await self._http.close()

    async def _take(self, link: ChannelLink, activity: Mapping[str, Any]) -> None:
        """Raises StoreUnavailable: Teams calls again."""
        address, service = address_of_activity(activity), activity.get("serviceUrl")
        if address is not None and isinstance(service, str):
            key = f"service:{address.chat_id}"
            if await self._notes.get(key) != service:
                await self._notes.keep(key, service)
        message = read_activity(activity, self._settings.app_id, self._hearing)
        if message is not None:
            await self._intake.accept(link, message)

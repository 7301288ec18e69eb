"""Microsoft Teams as a channel."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit, PlatformCall, PlatformReply
from channels.kit.calls import FORBIDDEN, NOT_JSON, NOT_NOW, ONLY_POST, HeldLink, header
from channels.kit.conversation import ChatConversation
from channels.kit.hearing import Hearing
from channels.kit.http import PlatformError, PlatformHttp
from channels.kit.intake import Intake
from channels.kit.planning import plan_message
from channels.kit.sender import PartSender
from channels.kit.values import loads, text_at
from channels.msteams.inbound import address_of_activity, read_activity
from channels.msteams.settings import TeamsSettings
from channels.msteams.tokens import CallerCheck, bot_token
from channels.msteams.wire import RULES, TeamsWire, first_part


class TeamsChannel:
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`. Each conversation's service is noted from its first call, for messages of
    our own."""

    name = "msteams"
    keyed = False
    plan = staticmethod(partial(plan_message, rules=RULES))

    def __init__(self, settings: TeamsSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._notes = context.notes
        self._http = PlatformHttp(self.name, version=context.version, proxy=settings.proxy, secrets=[settings.secret])
        self._token = bot_token(self._http, settings)
        self._check = CallerCheck(self._http, settings)
        wire = TeamsWire(self._http, context, self._token, in_thread=settings.reply_to_message)
        self.send = PartSender(wire, context.files, channel=self.name).send
        self.conversation = ChatConversation(wire=wire, previews=settings.preview == "edit", first_part=first_part, preview_seconds=1.5)
        self._hearing = Hearing(settings.groups)
        self._intake = Intake(self.name)
        self._link = HeldLink()
        self.attach = self._link.attach

    def limits(self, address: Address) -> Sequence[Limit]:
        """https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit: of one conversation."""
        lane = address.lane
        return (Limit(key=lane, amount=7, seconds=1), Limit(key=f"{lane}:30s", amount=60, seconds=30))

    async def identity(self) -> str:
        await self._token.check()
        return f"the bot {self._settings.app_id}"

    async def run(self, link: ChannelLink) -> None:
        link.connected(f"{await self.identity()}, called at /channels/msteams")
        await self._link.hold(link)

    async def called(self, call: PlatformCall) -> PlatformReply:
        if call.method != "POST":
            return ONLY_POST
        try:
            activity: Any = loads(call.body)
        except ValueError:
            return NOT_JSON
        try:
            genuine = await self._check.is_genuine(header(call, "authorization"), activity)
        except PlatformError:
            return NOT_NOW
        if not genuine:
            return FORBIDDEN
        address = address_of_activity(activity, in_thread=self._settings.reply_to_message)
        return await self._link.take(address.chat_id if address else "", partial(self._take, activity, address))

    async def close(self) -> None:
        await self._http.close()

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

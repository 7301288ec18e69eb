"""Signal as a channel: signal-cli tells what people write, and sends what the assistant writes."""

from collections.abc import Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit
from assistant.contracts.errors import StoreUnavailable
from channels.kit.chats import ChatChannel, Manners
from channels.kit.http import Answered, PlatformError
from channels.kit.refusals import channel_failure, connecting
from channels.kit.values import number_at, text_at, value_at
from channels.signal.inbound import SignalReader
from channels.signal.rpc import rpc_of
from channels.signal.settings import SignalSettings
from channels.signal.wire import RULES, SignalWire, message_id

_LAST: Final = "event"
"""The note that holds the id of the last event that was taken in."""
_MOST_RECEIPTS: Final = 100
"""Of one envelope."""
_NONE: Final = "0"
"""An id that no event has: signal-cli sends all that it kept."""


class SignalChannel(ChatChannel):
    """See `contracts.channels.Channel`."""

    name = "signal"

    def __init__(self, settings: SignalSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        self._settings = settings
        self._rpc = rpc_of(settings.daemon, context.version)
        self._wire = SignalWire(self._rpc, settings)
        manners = Manners(groups=settings.groups, react_emoji=settings.react_emoji)
        super().__init__(manners, context, self._wire, RULES, closes=self._rpc, typing_seconds=10.0, pause=pause)
        self._reader = SignalReader(self._hearing, settings.account)

    def limits(self, address: Address) -> Sequence[Limit]:
        """Signal names no rates; this is less than what it was seen to slow down."""
        return (Limit(key=self.name, amount=60, seconds=60),)

    async def identity(self) -> str:
        try:
            version = await self._wire.call("version")
            found = await self._wire.call("getUserStatus", recipient=[self._settings.account])
        except PlatformError as error:
            if isinstance(error, Answered) and error.code:
                raise ChannelFailed(f"signal-cli does not know channels.signal.account: {error.words}.", fatal=True) from None
            raise channel_failure(error, "signal-cli") from error
        self._reader.me = text_at(found, 0, "uuid")
        self._wire.me = self._reader.me or self._settings.account
        return f"{self._settings.account} by signal-cli {text_at(version, 'version')}".strip()

    async def run(self, link: ChannelLink) -> None:
        detail = await self.identity()
        after = await self._notes.get(_LAST) or _NONE
        with connecting("signal-cli"):
            async with aclosing(self._rpc.events(after)) as events:
                async for id, notification in events:
                    if notification is None:
                        if self._settings.subscribe:
                            await self._wire.call("subscribeReceive")
                        link.connected(detail)
                    elif await self._take(link, notification) and id:
                        with suppress(StoreUnavailable):  # it only comes again
                            await self._notes.keep(_LAST, id)
        raise ChannelFailed("signal-cli ended the connection.")

    async def _take(self, link: ChannelLink, notification: Any) -> bool:
        """Whether it brought a message, or the state of one."""
        found = notification if value_at(notification, "method") is None else value_at(notification, "params")
        found = found if value_at(found, "result") is None else value_at(found, "result")
        account, envelope = text_at(found, "account"), value_at(found, "envelope")
        if account and account not in (self._settings.account, self._reader.me):
            return False
        if (receipt := value_at(envelope, "receiptMessage")) is not None:
            return await self._reached(link, receipt)
        message = self._reader.read(envelope)
        if message is None:
            return False
        await self._intake.keep(link, message)
        if message.message_id is not None:
            self._wire.remember(message.message_id, message.text)
        return True

    async def _reached(self, link: ChannelLink, receipt: Any) -> bool:
        read = value_at(receipt, "isRead") is True
        if not read and value_at(receipt, "isDelivery") is not True:
            return False
        for place in range(_MOST_RECEIPTS):
            if timestamp := number_at(receipt, "timestamps", place):
                await self._intake.until_stored(link, partial(link.delivered, message_id(timestamp), read=read))
        return True

"""The base of an adapter whose platform has chats: by its wire and its rules, the kit plans, sends, shows, hears and takes in."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Literal, Protocol

from assistant.contracts.channels import ChannelContext, ChannelLink, Sending
from assistant.contracts.outbox import OutboundEvent, OutboundPart
from assistant.contracts.records import record
from channels.kit.calls import HeldLink
from channels.kit.conversation import ChatConversation, ChatWire
from channels.kit.hearing import Hearing
from channels.kit.intake import Intake
from channels.kit.planning import MessageRules, plan_message
from channels.kit.sender import PartSender, Posting
from channels.settings import ChatSettings


class PlatformWire(Posting, ChatWire, Protocol):
    """Both halves of an adapter's calls."""


class Planning(Protocol):
    """See `contracts.channels.Channel.plan`."""

    def __call__(self, event: OutboundEvent) -> Sequence[OutboundPart]: ...


class Closing(Protocol):
    async def close(self) -> None: ...


@record
class Manners:
    """How the assistant behaves in chats, for settings that are not `ChatSettings`: what they leave out, the platform does not have."""

    groups: Literal["off", "mention", "all"] = "all"
    allow_bots: bool = False
    react_emoji: str = ""
    preview: Literal["off", "edit"] = "off"


class ChatChannel(ABC):
    """`contracts.channels.Channel`, but for `limits` and `identity`. As it is, it waits to be called (`CalledChannel`): a platform that is
    connected to has a `run` of its own."""

    name: str
    keyed = False

    def __init__(
        self,
        manners: ChatSettings | Manners,
        context: ChannelContext,
        wire: PlatformWire,
        rules: MessageRules,
        *,
        closes: Closing,
        channels: Collection[str] = (),
        plan: Planning | None = None,
        earlier: Callable[[Sending], Awaitable[str | None]] | None = None,
        first_part: Callable[[str], str] | None = None,
        typing_seconds: float = 8.0,
        preview_seconds: float = 1.0,
        pause: float = 1.0,
    ) -> None:
        """`closes`: what is closed with it. `channels`: see `Hearing`. `plan`: None: `plan_message`. `earlier`: see `PartSender`. `first_part`,
        `typing_seconds` and `preview_seconds`: see `ChatConversation`. `pause`: seconds before a retry where the store can't be written."""
        self.plan: Planning = plan or partial(plan_message, rules=rules)
        self.send = PartSender(wire, context.files, channel=self.name, keyed=self.keyed, earlier=earlier).send
        self.conversation = ChatConversation(
            wire=wire,
            react_emoji=manners.react_emoji,
            previews=manners.preview == "edit",
            first_part=first_part or rules.first,
            typing_seconds=typing_seconds,
            preview_seconds=preview_seconds,
        )
        self._closes = closes
        self._notes = context.notes
        self._hearing = Hearing(manners.groups, allow_bots=manners.allow_bots, channels=channels)
        self._intake = Intake(self.name, pause=pause)
        self._link = HeldLink()
        self._detail = ""

    def attach(self, link: ChannelLink | None) -> None:
        """See `TakesCalls`; without effect where no platform calls."""
        self._link.attach(link)

    @abstractmethod
    async def identity(self) -> str: ...

    async def run(self, link: ChannelLink) -> None:
        self._detail = f"{await self.identity()}, called at /channels/{self.name}"
        link.connected(self._detail)
        await self._link.hold(link)

    async def close(self) -> None:
        await self._closes.close()

"""A platform that lives in the test, with the adapter to it: it does what it was told to, and its ledger holds every message that it took."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, ChannelLink, Conversation, Limit, Sending, SendUndecided
from assistant.contracts.outbox import OutboundEvent, OutboundPart, Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What one send meets instead of success."""

    error: Exception | None = None
    """Raised; None: no answer comes until the send is cut off (or `Platform.answer` is called)."""
    accepted: bool = False
    """Whether the platform had taken the message by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A message that the platform took, as its users see it."""

    id: str
    address: Address
    text: str
    key: str
    at: datetime
    edited: bool = False


class Platform:
    """Implements Channel. The parts of an event are its text's pieces between "|". `ledger`: what was posted, in order; `tried`: every send.

    `gate`: while it is cleared, sends wait before the platform sees them. `planning`: called with each event that is planned, may raise.
    """

    def __init__(self, name: str = "telegram", *, keyed: bool = False, limits: Callable[[Address], Sequence[Limit]] | None = None) -> None:
        self.name = name
        self.keyed = keyed
        self.conversation: Conversation | None = None
        self.ledger: list[Posted] = []
        self.tried: list[Sending] = []
        self.at_work = 0
        """Sends that run now, and below the most there ever were."""
        self.most_at_work = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.planning: Callable[[OutboundEvent], None] = lambda _: None
        self.link: ChannelLink | None = None
        self.runs = 0
        self.closed = False
        self._limits = limits
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._run_faults: deque[Exception] = deque()
        self._drop: asyncio.Future[None] | None = None
        self._answer = asyncio.Event()
        self._more = asyncio.Condition()

    # What the test tells it.

    def fail(self, where: str, *errors: Exception, accepted: bool = False) -> None:
        """The next sends to this chat, or of this text, fail so, one after the other."""
        self._faults[where].extend([Fault(error=error, accepted=accepted) for error in errors])

    def fail_always(self, where: str, error: Exception | None) -> None:
        """Every send to this chat, or of this text, fails so; None: no more."""
        if error is None:
            self._always.pop(where, None)
        else:
            self._always[where] = Fault(error=error)

    def hang(self, where: str, *, accepted: bool) -> None:
        """The next send to this chat, or of this text, gets no answer, before or after the message was taken."""
        self._faults[where].append(Fault(accepted=accepted))

    def answer(self) -> None:
        """Sends that hang end well."""
        self._answer.set()

    def fail_run(self, *errors: Exception) -> None:
        """The next runs end so at once, before they are connected."""
        self._run_faults.extend(errors)

    def drop(self, error: Exception | None) -> None:
        """End the run that is connected: with an error, or (None) by itself."""
        assert self._drop is not None
        if error is None:
            self._drop.set_result(None)
        else:
            self._drop.set_exception(error)

    # What the test sees.

    def texts(self, chat_id: str | None = None) -> list[str]:
        """What a chat (or everybody) was sent, in order."""
        return [posted.text for posted in self.ledger if chat_id in (None, posted.address.chat_id)]

    async def posted(self, count: int, within: float = 30) -> None:
        """Wait until the ledger holds this many."""
        await self._until(lambda: len(self.ledger) >= count, within)

    async def was_tried(self, count: int, within: float = 30) -> None:
        """Wait until this many sends have begun."""
        await self._until(lambda: len(self.tried) >= count, within)

    async def ran(self, times: int, within: float = 30) -> None:
        """Wait until `run` was called this often."""
        await self._until(lambda: self.runs >= times, within)

    # The port.

    def limits(self, address: Address) -> Sequence[Limit]:
        return self._limits(address) if self._limits else ()

    def plan(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        self.planning(event)
        return [OutboundPart(text=text, plain=text) for text in event.text.split("|")]

    async def send(self, sending: Sending) -> Receipt:
        self.tried.append(sending)
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        await self._changed()
        try:
            await self.gate.wait()
            return await self._send(sending)
        finally:
            self.at_work -= 1

    async def run(self, link: ChannelLink) -> None:
        self.runs += 1
        self.link = link
        await self._changed()
        if self._run_faults:
            raise self._run_faults.popleft()
        self._drop = asyncio.get_running_loop().create_future()
        link.connected(f"@{self.name}_bot")
        await self._drop

    async def identity(self) -> str:
        if self._run_faults:
            raise ChannelFailed("The token was refused.", fatal=True)
        return f"@{self.name}_bot (1)"

    async def close(self) -> None:
        self.closed = True

    async def _send(self, sending: Sending) -> Receipt:
        fault = self._next_fault(sending)
        if fault is None:
            return await self._post(sending)
        receipt = await self._post(sending) if fault.accepted else None
        if fault.error is not None:
            raise fault.error
        await self._answer.wait()
        return receipt or await self._post(sending)

    def _next_fault(self, sending: Sending) -> Fault | None:
        places = (sending.part.text, sending.address.chat_id)
        told = next((self._faults[where] for where in places if self._faults[where]), None)
        return told.popleft() if told else next((self._always[where] for where in places if where in self._always), None)

    async def _post(self, sending: Sending) -> Receipt:
        known = next((posted for posted in self.ledger if self.keyed and posted.key == sending.key), None)
        if known is None:
            known = self._edited(sending) if sending.replaces is not None else self._new(sending)
            await self._changed()
        return Receipt(message_id=known.id, at=datetime.now(UTC))

    def _new(self, sending: Sending) -> Posted:
        number = str(len(self.ledger) + 1)
        posted = Posted(id=number, address=sending.address, text=sending.part.text, key=sending.key, at=datetime.now(UTC))
        self.ledger.append(posted)
        return posted

    def _edited(self, sending: Sending) -> Posted:
        place, posted = next(((place, posted) for place, posted in enumerate(self.ledger) if posted.id == sending.replaces), (0, None))
        if posted is None:  # as on a platform without keys: what it was to replace was removed
            if sending.again is not None and not sending.repeat:
                raise SendUndecided("preview_gone", "It is gone.")
            return self._new(sending)
        self.ledger[place] = replace(posted, text=sending.part.text, edited=True)
        return self.ledger[place]

    async def _changed(self) -> None:
        async with self._more:
            self._more.notify_all()

    async def _until(self, holds: Callable[[], bool], within: float) -> None:
        async with asyncio.timeout(within), self._more:
            await self._more.wait_for(holds)

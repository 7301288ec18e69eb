"""The contract of a channel, as tests: subclass `ChannelSuite` as `TestMine` and override its fixture.

Needs pytest and pytest-asyncio, which are no dependencies of the package. What the platform can't do is skipped.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, Protocol

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelKind, ChannelSettings, Sending, SendLater, SendRefused, SendUnclear
from assistant.contracts.errors import InvalidAddress, StoreUnavailable
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.outbox import Origin, OutboundEvent

WITHIN: float = 10
"""Seconds after which a test gives up waiting."""
LONG_TEXT = "\n\n".join(f"**w{line}0** " + " ".join(f"w{line}{place}" for place in range(1, 40)) for line in range(50))
Failure = Literal["refuse", "limit", "lose", "hold"]


class ChannelPlatform(Protocol):
    """A stand-in for the platform, and the channel under test that talks to it."""

    kind: ChannelKind
    settings: Any
    channel: Channel
    address: Address
    """A chat that the platform knows."""
    bad_addresses: Sequence[Address]
    """Addresses that `check_address` refuses."""
    receives: bool
    """Whether people can write to this channel."""

    def texts(self) -> Sequence[str]:
        """The messages that the platform has accepted, in order."""
        ...

    def fail(self, how: Failure) -> None:
        """The next send is refused for good; hits a rate limit of 30 s; is accepted, and its answer is lost; or gets no answer."""
        ...

    def say(self, text: str) -> None:
        """A person writes. The message comes again until it is acknowledged."""
        ...

    def acknowledged(self) -> bool:
        """Whether the channel has acknowledged what people wrote; False on a platform without acknowledgements."""
        ...


class RecordingLink:
    """A `ChannelLink` that records. `gate`: while it is cleared, `accept` waits. `unavailable`: how many more calls of `accept` fail."""

    def __init__(self) -> None:
        self.offered: asyncio.Queue[InboundMessage] = asyncio.Queue()
        self.kept: asyncio.Queue[InboundMessage] = asyncio.Queue()
        self.unavailable = 0
        self.up, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.reported: list[tuple[str, str]] = []
        """What the platform reported later: (message id, code of a failure, "delivered" or "read")."""

    async def accept(self, message: InboundMessage) -> str:
        self.offered.put_nowait(message)
        await self.gate.wait()
        if self.unavailable:
            self.unavailable -= 1
            raise StoreUnavailable
        self.kept.put_nowait(message)
        return f"inb_{message.external_id}"

    async def last_seen(self) -> Mapping[str, str]:
        return {}

    async def moved(self, chat_id: str, now: str) -> None: ...

    async def undelivered(self, message_id: str, code: str, words: str) -> None:
        self.reported.append((message_id, code))

    async def delivered(self, message_id: str, read: bool = False) -> None:
        self.reported.append((message_id, "read" if read else "delivered"))

    def connected(self, detail: str = "") -> None:
        self.up.set()

    def degraded(self, why: str) -> None: ...


@asynccontextmanager
async def running(channel: Channel) -> AsyncGenerator[RecordingLink]:
    """The channel, connected. At the end `run` is cancelled and has to end."""
    link = RecordingLink()
    run = asyncio.create_task(channel.run(link))
    try:
        async with asyncio.timeout(WITHIN):
            await link.up.wait()
            yield link
    finally:
        run.cancel()
        await asyncio.wait([run], timeout=WITHIN)
    assert run.cancelled(), "`run` must end with CancelledError when it is cancelled"


def event_to(address: Address, text: str) -> OutboundEvent:
    origin = Origin(kind="api", owner="local")
    return OutboundEvent(id="evt_1", address=address, text=text, expires_at=datetime.now(UTC) + timedelta(days=1), origin=origin)


async def send(platform: ChannelPlatform, text: str = "w1", key: str = "k") -> None:
    """All parts of a message, as the dispatcher sends them."""
    address = platform.address
    for place, part in enumerate(platform.channel.plan(event_to(address, text))):
        sending = Sending(address=address, part=part, place=place, key=f"{key}{place}", reply_to=None, replaces=None, again=None)
        assert (await platform.channel.send(sending)).at.tzinfo is not None


def words_in(texts: Sequence[str]) -> list[str]:
    return re.findall(r"w\d+", " ".join(texts))


class ChannelSuite:
    pytestmark: ClassVar = [pytest.mark.asyncio]

    @pytest.fixture
    def platform(self) -> ChannelPlatform:
        """Override this."""
        raise NotImplementedError

    async def test_an_address_has_one_spelling(self, platform: ChannelPlatform) -> None:
        checked = platform.kind.check_address(platform.settings, platform.address)
        assert platform.kind.check_address(platform.settings, checked) == checked
        for bad in platform.bad_addresses:
            with pytest.raises(InvalidAddress):
                platform.kind.check_address(platform.settings, bad)

    async def test_a_plan_is_pure_and_loses_no_word(self, platform: ChannelPlatform) -> None:
        event = event_to(platform.address, LONG_TEXT)
        parts = platform.channel.plan(event)
        assert list(parts) == list(platform.channel.plan(event))
        assert words_in([part.text for part in parts]) == words_in([part.plain for part in parts]) == words_in([LONG_TEXT])
        assert platform.texts() == []

    async def test_each_part_arrives_once_and_in_order(self, platform: ChannelPlatform) -> None:
        await send(platform, LONG_TEXT)
        assert words_in(platform.texts()) == words_in([LONG_TEXT])

    async def test_a_refusal_is_send_refused(self, platform: ChannelPlatform) -> None:
        platform.fail("refuse")
        with pytest.raises(SendRefused) as refused:
            await send(platform)
        assert refused.value.trouble.code
        assert not words_in([refused.value.trouble.words]), "an error must not quote the message"
        assert platform.texts() == []

    async def test_a_rate_limit_is_send_later_with_the_wait(self, platform: ChannelPlatform) -> None:
        platform.fail("limit")
        with pytest.raises(SendLater) as later:
            await send(platform)
        assert (later.value.retry_after, later.value.counts) == (30, False)
        assert platform.texts() == []

    async def test_a_lost_answer_is_send_unclear(self, platform: ChannelPlatform) -> None:
        platform.fail("lose")
        with pytest.raises(SendUnclear):
            await send(platform)
        assert words_in(platform.texts()) == ["w1"], "`send` must send a part once"
        if platform.channel.keyed:
            await send(platform)
            assert words_in(platform.texts()) == ["w1"], "`keyed`: the same key must give no second message"

    async def test_a_send_without_an_answer_holds_up_no_other_and_can_be_cancelled(self, platform: ChannelPlatform) -> None:
        platform.fail("hold")
        sends = [asyncio.create_task(send(platform, key=key)) for key in ("first", "second")]
        done, held = await asyncio.wait(sends, timeout=WITHIN, return_when=asyncio.FIRST_COMPLETED)
        assert [task.exception() for task in done] == [None]
        for task in held:
            task.cancel()
        _, stuck = await asyncio.wait(sends, timeout=WITHIN)
        assert not stuck, "`send` must end when it is cancelled"

    async def test_it_has_a_name_and_an_identity_and_closes_twice(self, platform: ChannelPlatform) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", platform.kind.name)
        assert isinstance(platform.settings, ChannelSettings)
        assert platform.channel.name == platform.kind.name
        assert await platform.channel.identity()
        await platform.channel.close()
        await platform.channel.close()

    async def test_run_connects_and_ends_when_cancelled(self, platform: ChannelPlatform) -> None:
        async with running(platform.channel):
            pass

    async def test_a_message_is_acknowledged_after_it_is_accepted(self, platform: ChannelPlatform) -> None:
        if not platform.receives:
            pytest.skip("this channel only sends")
        async with running(platform.channel) as link:
            link.gate.clear()
            platform.say("w1")
            await link.offered.get()
            await send(platform, LONG_TEXT)  # time in which a channel could acknowledge too early
            assert not platform.acknowledged()
            link.gate.set()
            message = await link.kept.get()
        assert (message.text, message.address.channel) == ("w1", platform.kind.name)
        assert message.external_id
        assert message.sender.id

    async def test_a_message_that_could_not_be_stored_comes_again(self, platform: ChannelPlatform) -> None:
        if not platform.receives:
            pytest.skip("this channel only sends")
        async with running(platform.channel) as link:
            link.unavailable = 1
            platform.say("w1")
            assert (await link.kept.get()).text == "w1"
            assert link.offered.qsize() == 2

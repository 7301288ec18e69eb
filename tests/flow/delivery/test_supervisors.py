"""Supervisors: a channel that fails is run again, and touches no other."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, ChannelLink, ChannelStatus
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundMessage, Sender
from assistant.delivery.supervisor import Supervisors
from tests.doubles.platform import Platform
from tests.flow.delivery.house import House, until


class Heard:
    """An `Inbound` that notes what it was given."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.reports: list[tuple[str, str, str]] = []

    async def accept(self, channel: str, message: InboundMessage) -> str:
        self.messages.append((channel, message.text))
        return "inb_1"

    async def last_seen(self, channel: str) -> Mapping[str, str]:
        return {channel: "7"}

    async def moved(self, channel: str, chat_id: str, now: str) -> None:
        raise NotImplementedError

    async def undelivered(self, channel: str, message_id: str, code: str, words: str) -> None:
        self.reports.append((channel, message_id, code))

    async def delivered(self, channel: str, message_id: str, *, read: bool) -> None:
        self.reports.append((channel, message_id, "read" if read else "delivered"))


class Written:
    """`ChannelStates` in memory; while `broken`, it can't be written."""

    def __init__(self) -> None:
        self.notes: list[ChannelStatus] = []
        self.broken = False

    async def note(self, status: ChannelStatus) -> None:
        if self.broken:
            raise StoreUnavailable
        self.notes.append(status)

    async def list(self) -> Sequence[ChannelStatus]:
        return self.notes


class Rig:
    def __init__(self) -> None:
        self.inbound = Heard()
        self.states = Written()
        self.connected: list[str] = []
        self.supervisors: Supervisors

    @asynccontextmanager
    async def running(self, *platforms: Platform, unopened: Mapping[str, str] | None = None) -> AsyncGenerator[Supervisors]:
        self.supervisors = Supervisors(
            platforms,
            inbound=self.inbound,
            reports=self.inbound,
            states=self.states,
            connected=self.connected.append,
            unopened=unopened,
            jitter=lambda: 0.0,
            shortest=0.01,
        )
        self.supervisors.start()
        try:
            yield self.supervisors
        finally:
            await self.supervisors.close()

    def said(self, name: str) -> tuple[str, str]:
        return next((status.state, status.detail) for status in self.supervisors.statuses() if status.name == name)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_first_connection_that_fails_is_tried_again_and_nobody_else_notices(rig: Rig) -> None:
    telegram, discord = Platform("telegram"), Platform("discord")
    telegram.fail_run(*[ChannelFailed("Telegram can't be reached.") for _ in range(3)])
    async with rig.running(telegram, discord):
        await until(lambda: rig.connected == ["discord", "telegram"])
        assert (telegram.runs, discord.runs) == (4, 1)
        assert rig.said("telegram") == ("connected", "@telegram_bot")


async def test_why_a_channel_is_not_connected_is_said_and_written_down(rig: Rig) -> None:
    telegram = Platform("telegram")
    telegram.fail_run(ChannelFailed("The token was refused.", fatal=True))
    async with rig.running(telegram, unopened={"matrix": "It has no token."}):
        await until(lambda: len(rig.states.notes) >= 2)
        assert rig.said("telegram") == ("stopped", "The token was refused; tried again in 5 min")
        assert rig.said("matrix") == ("stopped", "It has no token.")
    assert {(status.name, status.state) for status in rig.states.notes} >= {("matrix", "stopped"), ("telegram", "stopped")}


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (ChannelFailed("Another program polls."), "Another program polls"),
        (LookupError("private"), "fault of its own (LookupError)"),
        (None, "ended by itself"),
    ],
)
async def test_a_channel_that_ends_in_any_way_is_run_again(
    rig: Rig, end: Exception | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    telegram, discord = Platform("telegram"), Platform("discord")
    async with rig.running(telegram, discord):
        await until(lambda: len(rig.connected) == 2)
        telegram.drop(end)
        await telegram.ran(2)
        await until(lambda: rig.connected.count("telegram") == 2)
        await until(lambda: any(status.state == "degraded" and words in status.detail for status in rig.states.notes))
        assert discord.runs == 1
    assert "private" not in caplog.text


async def test_what_a_channel_receives_is_taken_in_under_its_name(rig: Rig) -> None:
    telegram = Platform("telegram")
    message = InboundMessage(
        external_id="1",
        address=Address(channel="telegram", chat_id="42"),
        sender=Sender(id="42", name="Anna"),
        private=True,
        text="hello",
        at=datetime.now(UTC),
    )
    async with rig.running(telegram):
        await until(lambda: telegram.link is not None)
        assert telegram.link is not None
        assert await telegram.link.accept(message) == "inb_1"
        assert await telegram.link.last_seen() == {"telegram": "7"}
        await telegram.link.undelivered("m1", "not_on_whatsapp", "They left.")
        await telegram.link.delivered("m2")
        await telegram.link.delivered("m2", read=True)
        telegram.link.degraded("The network is slow.")
        assert rig.said("telegram") == ("degraded", "The network is slow.")
    assert rig.inbound.messages == [("telegram", "hello")]
    assert rig.inbound.reports == [("telegram", "m1", "not_on_whatsapp"), ("telegram", "m2", "delivered"), ("telegram", "m2", "read")]


async def test_a_store_that_can_not_be_written_stops_no_channel(rig: Rig) -> None:
    telegram = Platform("telegram")
    rig.states.broken = True
    async with rig.running(telegram):
        await until(lambda: rig.connected == ["telegram"])
        rig.states.broken = False
    assert [(status.name, status.state) for status in rig.states.notes] == [("telegram", "stopped")]


async def test_a_stopped_channel_can_still_send_until_it_is_closed(rig: Rig) -> None:
    telegram = Platform("telegram")
    async with rig.running(telegram) as supervisors:
        await until(lambda: rig.connected == ["telegram"])
        await supervisors.stop(grace=5)
        assert (rig.said("telegram")[0], telegram.closed) == ("stopped", False)
    assert telegram.closed


class Stubborn(Platform):
    """Answers the end with an error of its own."""

    async def run(self, link: ChannelLink) -> None:
        try:
            await super().run(link)
        except asyncio.CancelledError as end:
            raise LookupError from end


async def test_an_adapter_that_fails_when_it_is_stopped_is_not_run_again(rig: Rig) -> None:
    telegram = Stubborn("telegram")
    async with rig.running(telegram) as supervisors:
        await until(lambda: rig.connected == ["telegram"])
        async with asyncio.timeout(5):
            await supervisors.stop(grace=100)
        assert (telegram.runs, rig.said("telegram")[0]) == (1, "stopped")


async def test_other_processes_see_how_channels_fare(rig: Rig, house: House) -> None:
    supervisors = Supervisors(
        [Platform("telegram")],
        inbound=rig.inbound,
        reports=rig.inbound,
        states=house.store.channel_states,
        connected=rig.connected.append,
    )
    supervisors.start()
    async with asyncio.timeout(10):
        while not await house.store.channel_states.list():  # noqa: ASYNC110 - another process would not tell either
            await asyncio.sleep(0.005)
    await supervisors.close()
    assert [(status.name, status.state) for status in await house.store.channel_states.list()] == [("telegram", "stopped")]


async def test_a_channel_that_becomes_held_while_it_is_replaced_runs_as_the_new_one(rig: Rig) -> None:
    old, new = Platform("telegram"), Platform("telegram")
    async with rig.running(old) as supervisors:
        await until(lambda: rig.connected == ["telegram"])
        supervisors.hold("telegram", False)
        replacing = asyncio.create_task(supervisors.replace("telegram", new))
        await asyncio.sleep(0)
        supervisors.hold("telegram", True)
        await replacing
        await until(lambda: rig.connected == ["telegram", "telegram"])
        assert (old.runs, new.runs) == (1, 1)

"""What PairingStore and ChannelStates promise, on SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from assistant.contracts.channels import ChannelStatus
from assistant.contracts.inbox import Pairing, Sender
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener
from .test_outbox_store import ODD

HOUR = timedelta(hours=1)


def pairing(clock: TurnedClock, sender: str = "7", code: str = "ABCD2345", channel: str = "telegram") -> Pairing:
    who = Sender(id=sender, name="Anna")
    return Pairing(channel=channel, sender=who, chat_id=sender, code=code, created=clock.now, expires_at=clock.now + HOUR)


async def test_a_code_is_approved_in_any_case_of_letters_once(store: Store, clock: TurnedClock) -> None:
    asked = pairing(clock, code="AbCd2345")
    assert await store.pairings.request(asked, most_open=3) == asked
    assert await store.pairings.list(clock.now) == [asked]
    assert not await store.pairings.paired("telegram", "7")
    assert await store.pairings.approve("WRONG234", clock.now) is None
    approved = replace(asked, code=None, expires_at=None)
    assert await store.pairings.approve("aBcD2345", clock.now) == approved
    assert await store.pairings.approve("AbCd2345", clock.now) is None
    assert await store.pairings.paired("telegram", "7")
    assert not await store.pairings.paired("discord", "7")
    clock.turn(9 * HOUR)
    assert await store.pairings.list(clock.now) == [approved]
    assert await store.pairings.request(pairing(clock, code="NEWCODE2"), most_open=3) == approved


async def test_a_sender_who_asks_again_keeps_the_code_until_it_expires(store: Store, clock: TurnedClock) -> None:
    first = pairing(clock)
    await store.pairings.request(first, most_open=1)
    clock.turn(HOUR / 2)
    assert await store.pairings.request(pairing(clock, code="OTHER234"), most_open=1) == first
    clock.turn(HOUR / 2)
    assert await store.pairings.approve("ABCD2345", clock.now) is None
    assert await store.pairings.list(clock.now) == []
    later = pairing(clock, code="OTHER234")
    assert await store.pairings.request(later, most_open=1) == later


async def test_no_more_are_open_on_a_channel_than_may_be(store: Store, clock: TurnedClock) -> None:
    for number in range(3):
        assert await store.pairings.request(pairing(clock, str(number), f"CODE{number}"), most_open=3) is not None
    assert await store.pairings.request(pairing(clock, "3", "CODE3"), most_open=3) is None
    assert await store.pairings.request(pairing(clock, "3", "CODE3", "discord"), most_open=3) is not None
    await store.pairings.approve("code1", clock.now)
    assert await store.pairings.request(pairing(clock, "4", "CODE4"), most_open=3) is not None
    assert await store.pairings.request(pairing(clock, "5", "CODE5"), most_open=3) is None
    clock.turn(HOUR)
    assert await store.pairings.request(pairing(clock, "5", "CODE5"), most_open=3) is not None


async def test_a_code_is_nobody_elses(store: Store, clock: TurnedClock) -> None:
    assert await store.pairings.request(pairing(clock, "1", "SAME2345"), most_open=3) is not None
    assert await store.pairings.request(pairing(clock, "2", "same2345"), most_open=3) is None


async def test_a_pairing_that_is_revoked_is_gone(store: Store, clock: TurnedClock) -> None:
    await store.pairings.request(pairing(clock), most_open=3)
    await store.pairings.approve("ABCD2345", clock.now)
    assert await store.pairings.revoke("telegram", "7")
    assert not await store.pairings.revoke("telegram", "7")
    assert not await store.pairings.paired("telegram", "7")


async def test_names_may_hold_anything(store: Store, clock: TurnedClock) -> None:
    asked = replace(pairing(clock), sender=Sender(id=ODD, name=ODD), chat_id=ODD)
    assert await store.pairings.request(asked, most_open=3) == asked
    assert await store.pairings.approve("ABCD2345", clock.now) is not None
    assert await store.pairings.paired("telegram", ODD)
    mended = await store.pairings.request(replace(pairing(clock, "8", "OTHER"), sender=Sender(id="8", name="\ud83d")), most_open=3)
    assert mended is not None
    assert mended.sender.name == "\ufffd"


async def test_the_states_of_channels_are_those_of_processes_that_live(open_again: Opener, clock: TurnedClock) -> None:
    server, asking = await open_again(), await open_again()
    starting = ChannelStatus(name="telegram", state="starting", detail="", since=clock.now)
    await server.channel_states.note(starting)
    connected = replace(starting, state="connected", detail=ODD)
    await server.channel_states.note(connected)
    stopped = replace(starting, name="discord", state="stopped", detail="no token")
    await server.channel_states.note(stopped)
    assert await asking.channel_states.list() == [stopped, connected]
    await server.close()
    # A server needs a moment to notice that a client has gone.
    for _ in range(500):
        if not await asking.channel_states.list():
            break
        await asyncio.sleep(0.02)
    assert await asking.channel_states.list() == []

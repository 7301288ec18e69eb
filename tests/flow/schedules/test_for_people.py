"""Reminders for people: in the chat that they prefer when it is due, on the next channel where that fails, and told where all fail."""

from datetime import timedelta
from typing import Any

import pytest

from assistant.contracts.addresses import parse_address
from assistant.contracts.inbox import InboundMessage, Sender, SessionRef
from assistant.contracts.outbox import Claim, DeliveryError, OutboundPart, Receipt, Settlement, ToPerson
from assistant.contracts.people import OWNER_ID
from assistant.contracts.schedules import Schedule
from tests.flow.schedules.rig import CHAT, Rig

HOUR = timedelta(hours=1)
TO_ANNA = ToPerson(id="chat:1", name="Anna")
GONE = DeliveryError(code="gone", words="They left.")


@pytest.fixture
async def home(rig: Rig) -> Rig:
    """Anna, on two channels; she wrote from `chat` last."""
    rig.people = rig.store.people
    for number, lane in enumerate(("far:9", "chat:1")):
        _, _, sender = lane.partition(":")
        person = await rig.store.people.of(lane, "Anna")
        message = InboundMessage(
            external_id=str(number),
            address=parse_address(lane),
            sender=Sender(id=sender, name="Anna"),
            private=True,
            text="hi",
            at=rig.clock(),
        )
        await rig.store.inbox.accept(message, SessionRef(owner=person, session=lane, role="user"), answered=True)
        rig.clock.turn(timedelta(seconds=1))
    await rig.store.links.join("far:9", "chat:1")
    return rig


async def went(rig: Rig, state: str = "sent") -> list[str]:
    return [str(event.address) for event in await rig.send(state)]


async def test_it_goes_where_they_are_reached_when_it_is_due(home: Rig) -> None:
    schedule = await home.add(address=None, person=TO_ANNA, owner=OWNER_ID)
    await home.run(HOUR)
    assert await went(home) == ["chat:1"]
    await home.store.people.change("chat:1", prefers=[parse_address("far:9")])
    await home.run(HOUR)
    assert await went(home) == ["far:9"]
    assert await home.ends(schedule) == ["delivered", "delivered"]


@pytest.mark.parametrize("named", [True, False])
async def test_the_next_channel_delivers_it(home: Rig, named: bool) -> None:
    to: dict[str, Any] = {"address": None, "person": TO_ANNA} if named else {"address": CHAT}
    schedule = await home.add(owner="chat:1", **to)
    await home.run(HOUR)
    first, second = await home.send("failed")
    assert [str(event.address) for event in (first, second)] == ["chat:1", "far:9"], "the second failed, too"
    assert "(Could not be delivered on Chat: no such chat.)" in second.text
    assert await home.ends(schedule) == ["failed"]
    await home.run(HOUR)
    assert (await sent_of(home, "chat:1", refused=True), await went(home)) == ("chat:1", ["far:9"])
    assert await home.ends(schedule) == ["failed", "delivered"]
    assert (await home.book.get(None, schedule.id)).failures == 0


async def sent_of(rig: Rig, lane: str, *, refused: bool = False, receipt: str = "m1") -> str:
    """Have one lane's next message end: with a receipt, or refused."""
    claim = await rig.store.outbox.claim(lane, timedelta(seconds=15))
    assert isinstance(claim, Claim)
    part = OutboundPart(text="x", plain="x")
    settled = Settlement(state="failed", trouble=GONE) if refused else Settlement(state="sent")
    got = None if refused else (0, Receipt(message_id=receipt, at=rig.clock()))
    assert await rig.store.outbox.note(claim, plan=[part], receipt=got, settle=settled)
    return lane


async def test_a_reminder_in_a_group_is_followed_nowhere(home: Rig) -> None:
    schedule = await home.add(address=parse_address("chat:-5"), owner="chat:1")
    await home.run(HOUR)
    assert await went(home, "failed") == ["chat:-5"]
    assert await home.ends(schedule) == ["failed"]


async def test_a_report_of_the_platform_sends_a_delivered_one_on(home: Rig) -> None:
    schedule = await home.add(owner="chat:1")
    await home.run(HOUR)
    await sent_of(home, "chat:1")
    assert await home.ends(schedule) == ["delivered"]
    await home.store.outbox.undelivered("chat", "m1", GONE)
    assert await home.ends(schedule) == ["claimed"]
    await sent_of(home, "far:9", receipt="m2")
    assert await home.ends(schedule) == ["delivered"]
    await home.store.outbox.undelivered("far", "m2", GONE)
    assert await home.ends(schedule) == ["failed"]
    assert (await home.book.get(None, schedule.id)).failures == 1


async def test_where_there_is_no_chat_it_has_failed_and_its_maker_is_told(home: Rig) -> None:
    schedule = await home.add(address=None, person=ToPerson(id="key:1", name="Bert"), owner="chat:1", home=CHAT)
    await home.run(HOUR)
    await home.run(HOUR)
    assert await home.ends(schedule) == ["failed", "failed"]
    await home.run()
    (told,) = await home.send()
    assert told.address == CHAT
    assert "failed 2 times in a row: there is no chat in which Bert can be reached. Next:" in told.text
    extra = await home.book.run(None, schedule.id)
    await home.run()
    assert (await home.book.occurrence(None, extra.id)).error == "there is no chat in which Bert can be reached"


async def test_an_answer_goes_to_the_person(home: Rig) -> None:
    schedule: Schedule = await home.add(kind="ask", text="the weather?", address=None, person=TO_ANNA, owner=OWNER_ID)
    await home.run(HOUR)
    assert await went(home) == ["chat:1"]
    assert await home.ends(schedule) == ["delivered"]

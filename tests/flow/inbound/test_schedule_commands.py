"""`/schedule`, `/snooze` and `/done`: written, or given by a button, in the chat of a person or a group."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.outbox import Claim, OutboundPart, Receipt, Settlement
from assistant.contracts.schedules import At, Cron, NewSchedule, Occurrence, Schedule
from assistant.schedule.plans import plan_due
from assistant.schedule.rules import zones_version
from assistant.schedule.spoken import reminder_buttons
from assistant.schedule.texts import EventWriter
from assistant.testing.scripted import ScriptedModel
from tests.doubles.people import Household
from tests.flow.inbound.chat import ALICE, BOB, said
from tests.flow.inbound.rig import Rig, Server

WRITER = EventWriter(expire_after=timedelta(days=1), buttons=reminder_buttons)
LEASE = timedelta(seconds=15)


def new(text: str, *, owner: str = "chat:1", chat: str = "1", cron: str = "0 9 * * *") -> NewSchedule:
    return NewSchedule(
        owner=owner, kind="reminder", rule=Cron(cron=cron), zone="UTC", text=text, address=Address(channel="chat", chat_id=chat)
    )


async def delivered(rig: Rig, schedule: NewSchedule) -> Occurrence:
    """An occurrence of a reminder that its chat has, as message 42."""
    later, store = rig.later(), rig.store
    made = await later.book.add(replace(schedule, rule=At(at=rig.clock() + timedelta(seconds=1))))
    rig.clock.now += timedelta(seconds=2)
    await store.occurrences.claim(lambda due, now: plan_due(due, now, None, WRITER), 10, zones_version())
    assert schedule.address is not None
    claim = await store.outbox.claim(schedule.address.lane, LEASE)
    assert isinstance(claim, Claim)
    part, receipt = OutboundPart(text=schedule.text, plain=schedule.text), Receipt(message_id="42", at=datetime.now(UTC))
    await store.outbox.note(claim, plan=[part], receipt=(0, receipt), settle=Settlement(state="sent"))
    (occurrence,) = await later.book.occurrences(None, made.id)
    assert occurrence.state == "delivered"
    return occurrence


def press(command: str, message: InboundMessage | None = None) -> InboundMessage:
    """A button of message 42 that gives the command."""
    return replace(message or said(command), chosen=True, message_id="42")


async def answer(server: Server, message: InboundMessage) -> str:
    before = len(await server.store.outbox.list(None, limit=1000))
    await server.hear(message)
    return (await server.told(before + 1))[-1].text


async def state(rig: Rig, schedule: Schedule) -> str:
    return (await rig.later().book.get(None, schedule.id)).state


async def test_what_is_planned_is_listed_the_soonest_first_and_ended_by_its_number(rig: Rig) -> None:
    book = rig.later().book
    later = await book.add(new("in a year", cron="0 9 1 1 *"))
    hourly = await book.add(new("every hour", cron="0 * * * *"))
    async with rig.server(ScriptedModel()) as server:
        listed = (await answer(server, said("/schedule"))).splitlines()
        assert [line.rpartition(" · ")[2] for line in listed[:2]] == ["every hour", "in a year"]
        assert (await answer(server, said("/schedule pause 1"))).startswith("Paused: reminder · cron 0 * * * *, UTC · paused · every hour")
        assert (await state(rig, hourly), await state(rig, later)) == ("paused", "active")
        assert (await answer(server, said(f"/schedule resume {hourly.id}"))).startswith("Goes on: reminder")
        assert (await answer(server, said("/schedule cancel 2"))).endswith("in a year")
        assert (await state(rig, hourly), await state(rig, later)) == ("active", "cancelled")


@pytest.mark.parametrize("words", ["cancel 7", "cancel 0", "cancel sch_x", "cancel ²", "dance", "cancel"])
async def test_what_is_not_in_the_list_is_refused_in_words(rig: Rig, words: str) -> None:
    schedule = await rig.later().book.add(new("every hour"))
    async with rig.server(ScriptedModel()) as server:
        assert "/schedule" in (told := await answer(server, said(f"/schedule {words}"))) or "no such schedule" in told
    assert await state(rig, schedule) == "active"


async def test_the_answer_to_a_press_replaces_the_message_and_an_error_does_not(rig: Rig) -> None:
    occurrence = await delivered(rig, new("stretch"))
    async with rig.server(ScriptedModel()) as server:
        await server.hear(press(f"/snooze 10m {occurrence.id}"), press(f"/done {occurrence.id}"), press(f"/snooze 1h {occurrence.id}"))
        snoozed, done, refused = (await server.told(4))[1:]
    assert (snoozed.replaces, snoozed.text.splitlines()[0]) == ("42", "stretch")
    assert (done.replaces, done.text) == ("42", "stretch\n\n✓ Done")
    assert (refused.replaces, refused.text) == (None, "It can't be put off: it is done.")
    states = [each.state for each in await rig.later().book.occurrences(None, occurrence.schedule)]
    assert states == ["skipped", "done"]


async def test_a_press_that_comes_twice_is_answered_once(rig: Rig) -> None:
    occurrence = await delivered(rig, new("stretch"))
    async with rig.server(ScriptedModel()) as server:
        message = press(f"/done {occurrence.id}")
        assert len(set(await server.hear(message, message))) == 1
        assert len(await server.told(2)) == 2


async def test_without_an_id_the_latest_reminder_of_the_chat_is_meant(rig: Rig) -> None:
    first, second = await delivered(rig, new("first")), await delivered(rig, new("second"))
    await delivered(rig, new("Bob's", owner="chat:2", chat="2"))
    async with rig.server(ScriptedModel()) as server:
        assert (await answer(server, said("/done"))).startswith("second")
        assert (await answer(server, said("/done"))).startswith("first")
        assert await answer(server, said("/done")) == "There is no reminder here that waits for an answer."
    assert {(await rig.later().book.occurrence(None, each.id)).state for each in (first, second)} == {"done"}


@pytest.mark.parametrize("command", ["/done {id}", "/snooze 10m {id}"])
async def test_only_the_owner_and_the_chat_that_was_reminded_may_answer(rig: Rig, command: str) -> None:
    occurrence = await delivered(rig, new("Alice's for Bob", owner="chat:1", chat="2"))
    async with rig.server(ScriptedModel()) as server:
        command = command.format(id=occurrence.id)
        assert await answer(server, press(command, said(command, BOB, group="-5"))) == "There is no reminder here that waits for an answer."
        assert (await answer(server, press(command, said(command, BOB)))).startswith("Alice's for Bob")
        assert (await answer(server, said(command, ALICE))).startswith("Alice's for Bob")


@pytest.mark.parametrize("words", ["/snooze", "/snooze soon", "/snooze every hour", "/snooze 2020-01-01T10:00", "/snooze in a while occ_x"])
async def test_a_snooze_without_a_time_to_come_says_how_to_write_it(rig: Rig, words: str) -> None:
    await delivered(rig, new("stretch"))
    async with rig.server(ScriptedModel()) as server:
        told = await answer(server, said(words))
    assert any(piece in told for piece in ("/snooze 10m", "in 10 minutes", "is past", "no such occurrence"))


async def test_tomorrow_is_a_day_of_the_persons_zone(rig: Rig) -> None:
    rig = replace(rig, people=Household({"chat:1": "Pacific/Auckland"}))
    occurrence = await delivered(rig, new("stretch"))
    async with rig.server(ScriptedModel()) as server:
        told = await answer(server, press(f"/snooze tomorrow {occurrence.id}"))
    assert "⏰ Again tomorrow, " in told
    assert "09:00 Pacific/Auckland (UTC+1" in told


async def test_a_person_is_reached_where_they_wrote(rig: Rig) -> None:
    words = rig.later().words
    assert await words.chat("chat:2") is None
    async with rig.server(ScriptedModel("hi", "hi")) as server:
        await server.hear(said("hello", BOB))
        await server.told(1)
    assert await words.chat("chat:2") == Address(channel="chat", chat_id="2")
    assert await words.chat("local") is None
    known = replace(rig, people=Household({"chat:2": "UTC", "local": "UTC"})).later().words
    assert await known.chat("chat:2") == Address(channel="chat", chat_id="2")
    assert await known.chat("chat:1") is None  # an identity from which nothing was written

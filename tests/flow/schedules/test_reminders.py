"""Reminders: they come when they are due, or it is said that they did not; late, put off, until done, in quiet hours."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.people import OWNER_ID, Person, QuietHours, UnknownPeople
from assistant.contracts.schedules import UNTIL_DONE_TIMES, At, Cron, Every, OnMiss, ScheduleConflict
from tests.flow.schedules.rig import CHAT, START, Rig

HOUR = timedelta(hours=1)


async def test_a_reminder_is_sent_once_at_its_time_and_ends_with_its_receipt(rig: Rig) -> None:
    made = await rig.add(At(at=START + HOUR))
    assert (await rig.run()).at == START + HOUR
    assert await rig.texts() == []
    assert (await rig.run(HOUR)).at is None
    assert await rig.ends(made) == ["claimed"]
    assert await rig.texts() == ["stretch"]
    (ended,) = await rig.history(made)
    assert (ended.state, ended.instant, ended.ended, ended.error) == ("delivered", START + HOUR, rig.clock.now, None)
    await rig.run(HOUR)
    assert (await rig.texts(), (await rig.book.get(None, made.id)).state) == ([], "done")


async def test_a_rule_goes_on(rig: Rig) -> None:
    made = await rig.add(Every(seconds=3600))
    for _ in range(3):
        await rig.run(HOUR)
        assert await rig.texts() == ["stretch"]
    assert await rig.ends(made) == ["delivered"] * 3
    assert (await rig.book.get(None, made.id)).next_at == START + 4 * HOUR


@pytest.mark.parametrize(
    ("on_miss", "late", "ends", "said"),
    [
        ("run", timedelta(seconds=59), ["delivered"], "stretch"),
        ("run", 3 * HOUR, ["delivered"], "stretch\n\n(It was due Mon 30 Nov 2026 09:00 UTC: 3 h late, because no server ran.)"),
        ("run", 25 * HOUR, ["missed"], 'Missed: the reminder "stretch" was due Mon 30 Nov 2026 09:00 UTC. No server ran then, and now'),
        ("tell", 3 * HOUR, ["missed"], 'Missed: the reminder "stretch" was due'),
        ("skip", 3 * HOUR, ["skipped"], None),
        ("skip", timedelta(seconds=59), ["delivered"], "stretch"),
    ],
)
async def test_what_was_due_while_no_server_ran(rig: Rig, on_miss: OnMiss, late: timedelta, ends: list[str], said: str | None) -> None:
    made = await rig.add(At(at=START + HOUR), on_miss=on_miss)
    await rig.run(HOUR + late)
    texts = await rig.texts()
    assert await rig.ends(made) == ends
    assert len(texts) == (said is not None)
    assert all(text.startswith(said or "") for text in texts)


@pytest.mark.parametrize(
    ("on_miss", "ends", "said"),
    [
        (
            "run",
            ["skipped", "skipped", "delivered"],
            "(It was due Wed 02 Dec 2026 20:00 UTC: 12 h late, because no server ran. 2 earlier ones were",
        ),
        ("tell", ["missed", "missed", "missed"], "Missed: the reminder"),
        ("skip", ["skipped"] * 3, None),
    ],
)
async def test_three_days_off_are_one_message_that_counts(rig: Rig, on_miss: OnMiss, ends: list[str], said: str | None) -> None:
    made = await rig.add(Cron(cron="0 20 * * *"), on_miss=on_miss)
    await rig.run(timedelta(days=3))
    texts = await rig.texts()
    assert await rig.ends(made) == ends
    assert (said is None and not texts) or (len(texts) == 1 and (said or "") in texts[0])
    assert (await rig.book.get(None, made.id)).next_at == datetime(2026, 12, 3, 20, tzinfo=UTC)


async def test_a_year_of_minutes_is_one_message(rig: Rig) -> None:
    made = await rig.add(Cron(cron="* * * * *"))
    await rig.run(timedelta(days=365, seconds=30))
    (text,) = await rig.texts()
    assert "5,000 or more earlier ones were missed" in text
    ends = await rig.ends(made)
    assert (ends[-1], set(ends[:-1]), len(ends)) == ("delivered", {"skipped"}, 200)


async def test_a_clock_set_forward_and_back_repeats_nothing(rig: Rig) -> None:
    made = await rig.add(Every(seconds=3600))
    await rig.run(timedelta(days=1))
    assert len(await rig.texts()) == 1
    await rig.run(timedelta(days=-1))
    for _ in range(24):
        await rig.run(HOUR)
    assert await rig.texts() == []
    await rig.run(HOUR)
    assert await rig.texts() == ["stretch"]
    assert len({each.instant for each in await rig.history(made)}) == 25


async def test_a_clock_that_runs_late_is_made_up_for(rig: Rig) -> None:
    await rig.add(Every(seconds=3600))
    await rig.run(timedelta(days=-1))
    assert await rig.texts() == []
    await rig.run(timedelta(days=1) + HOUR)
    assert await rig.texts() == ["stretch"]


async def test_put_off_and_done_act_on_one_occurrence(rig: Rig) -> None:
    made = await rig.add(At(at=START + HOUR))
    await rig.run(HOUR)
    await rig.send()
    (first,) = await rig.history(made)
    await rig.book.snooze(OWNER_ID, first.id, rig.clock.now + HOUR)
    later = await rig.book.snooze(OWNER_ID, first.id, rig.clock.now + timedelta(minutes=10))
    again = await rig.book.snooze(OWNER_ID, first.id, rig.clock.now + timedelta(minutes=10))
    assert (later, later.root) == (again, first.instant)
    assert (await rig.run(timedelta(minutes=10))).at is None
    assert await rig.texts() == ["stretch"]
    assert await rig.ends(made) == ["delivered", "delivered", "skipped"]
    for _ in range(2):
        assert (await rig.book.done(OWNER_ID, later.id)).state == "done"
    with pytest.raises(ScheduleConflict):
        await rig.book.snooze(OWNER_ID, later.id, rig.clock.now + HOUR)
    with pytest.raises(InvalidRequest):
        await rig.book.snooze(OWNER_ID, first.id, rig.clock.now)


async def test_until_done_comes_again_so_often_and_done_ends_it(rig: Rig) -> None:
    first, second = await rig.add(At(at=START + HOUR), until_done=5, text="a"), await rig.add(At(at=START + HOUR), until_done=5, text="b")
    await rig.run(HOUR)
    assert sorted(await rig.texts()) == ["a", "b"]
    await rig.book.done(None, (await rig.history(second))[0].id)
    for _ in range(UNTIL_DONE_TIMES - 1):
        await rig.run(timedelta(minutes=5))
        assert await rig.texts() == ["a"]
    assert (await rig.run(HOUR)).at is None
    assert await rig.ends(first) == ["delivered"] * UNTIL_DONE_TIMES
    assert await rig.ends(second) == ["done", "skipped"]
    assert [(await rig.book.get(None, each.id)).state for each in (first, second)] == ["done", "done"]


class _Sleeper(UnknownPeople):
    """One person, who sleeps from 22 to 7 in Berlin."""

    async def person(self, owner: str) -> Person | None:
        zone, quiet = ZoneInfo("Europe/Berlin"), QuietHours(start=time(22), end=time(7))
        return Person(id=owner, name="", role="owner", zone=zone, zone_chosen=True, quiet=quiet)

    async def zone(self, owner: str) -> ZoneInfo:
        return ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("at", "sent_at"),
    [
        (datetime(2026, 11, 30, 20, 59, tzinfo=UTC), None),
        (datetime(2026, 11, 30, 21, tzinfo=UTC), datetime(2026, 12, 1, 6, tzinfo=UTC)),
        (datetime(2026, 12, 1, 5, 59, tzinfo=UTC), datetime(2026, 12, 1, 6, tzinfo=UTC)),
        (datetime(2026, 12, 1, 6, tzinfo=UTC), None),
    ],
)
@pytest.mark.parametrize("urgent", [False, True])
async def test_quiet_hours_put_messages_off_unless_they_are_urgent(rig: Rig, at: datetime, sent_at: datetime | None, urgent: bool) -> None:
    rig.people = _Sleeper()
    await rig.add(At(at=at), urgent=urgent)
    await rig.run(at - START)
    waits = sent_at is not None and not urgent
    assert len(await rig.texts()) == (not waits)
    (delivery,) = await rig.store.outbox.list(None)
    assert delivery.event.not_before == (sent_at if waits else None)


async def test_a_message_that_cannot_be_delivered_has_failed_and_is_told_where_it_was_made(rig: Rig) -> None:
    made = await rig.add(At(at=START + HOUR), address=Address(channel="far", chat_id="9"), home=CHAT)
    await rig.run(HOUR)
    await rig.send("failed")
    (failed,) = await rig.history(made)
    assert (failed.state, failed.error) == ("failed", "the message could not be delivered")
    await rig.run()
    (event,) = await rig.send()
    assert (event.address, event.text) == (CHAT, 'The reminder "stretch" failed: the message could not be delivered.')
    await rig.run()
    assert await rig.send() == []


async def test_a_failing_rule_is_told_after_two_and_paused_after_ten(rig: Rig) -> None:
    made = await rig.add(Every(seconds=3600), address=Address(channel="far", chat_id="9"), home=CHAT)
    told: list[str] = []
    for _ in range(12):
        await rig.run(HOUR)
        await rig.send("failed")
        await rig.run()
        told += await rig.texts()
    assert len(told) == 2
    assert told[0].startswith(
        'The reminder "stretch" failed 2 times in a row: the message could not be delivered. Next: Mon 30 Nov 2026 11:00'
    )
    assert told[1].endswith("It is paused now; resume it when the cause is gone.")
    assert await rig.ends(made) == ["failed"] * 10
    assert (await rig.book.get(None, made.id)).state == "paused"
    await rig.book.resume(None, made.id)
    await rig.run(HOUR)
    await rig.send()
    assert (await rig.book.get(None, made.id)).failures == 0


async def test_expired_and_cancelled_messages_end_their_occurrence(rig: Rig) -> None:
    first, second = await rig.add(At(at=START + HOUR)), await rig.add(At(at=START + HOUR), address=Address(channel="far", chat_id="9"))
    await rig.run(HOUR)
    (waits,) = [each for each in await rig.store.outbox.list(None) if each.event.address == CHAT]
    await rig.store.outbox.cancel(None, waits.event.id)
    rig.clock.turn(timedelta(days=3))
    await rig.store.outbox.recover()
    assert (await rig.ends(first), await rig.ends(second)) == (["skipped"], ["failed"])


async def test_a_zone_that_changes_moves_what_is_to_come(rig: Rig) -> None:
    """As after an update of the time zones: the stored instant is of an older edition."""
    made = await rig.add(At(at=datetime(2026, 11, 30, 12)), zone="Africa/Casablanca")  # noqa: DTZ001 - by the zone's clock
    assert made.next_at == datetime(2026, 11, 30, 11, tzinfo=UTC)
    early = datetime(2026, 11, 30, 9, tzinfo=UTC)
    stale = {"id": made.id, "next_at": int(early.timestamp() * 1e6)}
    await rig.store.database.execute("UPDATE schedules SET next_at = :next_at WHERE id = :id", stale)
    await rig.run(HOUR)
    assert (await rig.texts(), (await rig.book.get(None, made.id)).next_at) == ([], made.next_at)
    await rig.store.database.execute(
        "UPDATE schedules SET next_at = :next_at, zones = 'older' WHERE id = :id",
        stale | {"next_at": int((START + 30 * 24 * HOUR).timestamp() * 1e6)},
    )
    service = rig.service()
    await service.start()
    await service.close(5)
    assert (await rig.book.get(None, made.id)).next_at == made.next_at

"""The rules of deliveries that need no store: delays, limits, words."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Limit, SendFailed, SendLater, SendRefused, SendUnclear
from assistant.contracts.outbox import Delivery, DeliveryError, DeliveryState, Origin, OutboundEvent, OutboundPart, PartState, Receipt
from assistant.contracts.util import backoff, utc_now
from assistant.delivery.retry import RetryPause, Trial, after, obeyed
from assistant.delivery.service import describe, span
from assistant.delivery.throttle import ChannelThrottle, Rates, Window
from tests.doubles.platform import Platform

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRIAL = Trial(held=0, unreached=1, repeatable=False, uncertain=False, ambiguous="resend")


def test_delays_grow_to_five_minutes() -> None:
    assert [backoff(failures, 1.0) for failures in range(1, 12)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert backoff(10_000, 0.0) == 225


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_a_delay_is_near_its_own_step(failures: int, jitter: float) -> None:
    assert 0.75 <= backoff(failures, jitter) <= 300


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1))
def test_a_platforms_wait_is_never_cut_short_and_never_endless(wait: float, jitter: float) -> None:
    obeys = obeyed(wait, jitter)
    assert 0.2 <= obeys <= 30 * 86_400 + 0.5
    assert not wait <= 30 * 86_400 or wait <= obeys <= max(wait, 0.2) + 0.5


@pytest.mark.parametrize(
    ("failure", "state", "counts", "unstart"),
    [
        (SendRefused("x", "No."), "failed", True, True),
        (SendLater("x", "Later."), "queued", True, True),
        (SendLater("x", "Later.", retry_after=5, counts=False), "queued", False, True),
        (SendUnclear("x", "Who knows."), "queued", True, False),
    ],
)
def test_what_follows_a_failure(failure: SendFailed, state: DeliveryState, counts: bool, unstart: bool) -> None:
    follows = after(failure, TRIAL, NOW, 0.5)
    assert (follows.settlement.state, follows.unstart) == (state, unstart)
    assert state == "failed" or follows.settlement.counts == counts
    uncertain = Trial(held=0, unreached=1, repeatable=False, uncertain=True, ambiguous="resend")
    assert not after(failure, uncertain, NOW, 0.5).unstart


def test_a_missing_connection_leaves_the_event_due_and_lets_its_lane_rest() -> None:
    follows = after(SendLater("x", "No connection.", counts=False), TRIAL, NOW, 1.0)
    assert (follows.settlement.due, follows.settlement.counts) == (NOW, False)
    assert follows.rest == RetryPause(seconds=1, whole_channel=False, until_connected=True)
    long_gone = Trial(held=0, unreached=50, repeatable=False, uncertain=False, ambiguous="resend")
    assert (rest := after(SendLater("x", "No connection.", counts=False), long_gone, NOW, 1.0).rest) is not None
    assert rest.seconds == 30


async def test_a_connection_ends_the_rests_that_waited_for_it_and_no_flood_wait() -> None:
    door = ChannelThrottle(Platform(), rate_limits=True, clock=utc_now)
    door.rest("telegram:1", RetryPause(seconds=30, whole_channel=False, until_connected=True))
    door.rest("telegram:2", RetryPause(seconds=30, whole_channel=True, until_connected=True))
    assert (door.rests_for("telegram:1") > 20, door.shut_for > 20) == (True, True)
    door.connected()
    assert (door.rests_for("telegram:1"), door.shut_for) == (0, 0)
    door.rest("telegram:1", RetryPause(seconds=3600, whole_channel=True, until_connected=False))
    door.connected()
    assert door.shut_for > 3000


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5), st.floats(0.1, 10))
def test_no_window_of_time_ever_holds_more_than_its_limit(pauses: list[float], amount: int, seconds: float) -> None:
    window, now, times = Window(Limit(key="x", amount=amount, seconds=seconds)), 0.0, list[float]()
    for pause in pauses:
        now += pause
        now += window.wait(now)
        window.take(now)
        times.append(now)
    gaps = [later - earlier for earlier, later in zip(times, times[amount:], strict=False)]
    assert all(gap >= seconds * (1 - 1e-9) for gap in gaps)


async def test_a_chat_that_waits_for_its_own_limit_is_in_nobodys_way() -> None:
    rates, slots = Rates(asyncio.get_running_loop().time), asyncio.Semaphore(1000)
    wide = Limit(key="all", amount=1000, seconds=1)
    slow = [wide, Limit(key="chat:1", amount=1, seconds=3600)]
    await rates.take(slow, slots)
    waits = asyncio.create_task(rates.take(slow, slots))
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        for number in range(2, 100):
            await rates.take([wide, Limit(key=f"chat:{number}", amount=1, seconds=3600)], slots)
    assert not waits.done()
    waits.cancel()
    await asyncio.wait([waits])


async def test_those_who_wait_for_one_limit_go_in_order_and_within_it() -> None:
    rates, slots, went = Rates(asyncio.get_running_loop().time), asyncio.Semaphore(1000), list[tuple[int, float]]()
    limits = [Limit(key="all", amount=2, seconds=0.02)]

    async def go(number: int) -> None:
        await rates.take(limits, slots)
        went.append((number, asyncio.get_running_loop().time()))

    async with asyncio.timeout(30), asyncio.TaskGroup() as everybody:
        for number in range(10):
            everybody.create_task(go(number))
    assert [number for number, _ in went] == list(range(10))
    assert all(later[1] - earlier[1] >= 0.019 for earlier, later in zip(went, went[2:], strict=False))


async def test_a_wait_for_a_slot_saves_up_no_room() -> None:
    rates, slots = Rates(asyncio.get_running_loop().time), asyncio.Semaphore(1)
    limits = [Limit(key="all", amount=1, seconds=3600)]
    await slots.acquire()
    waits = asyncio.create_task(rates.take(limits, slots))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.wait([waits])
    slots.release()
    async with asyncio.timeout(30):
        await rates.take(limits, slots)
    assert (slots.locked(), rates.take_now(limits)) == (True, False)


async def test_a_connection_that_many_miss_at_once_was_lost_once() -> None:
    door = ChannelThrottle(Platform(), rate_limits=True, clock=utc_now)
    for chat in range(100):
        door.rest(f"telegram:{chat}", RetryPause(seconds=30, whole_channel=True, until_connected=True))
    assert door.unreached("telegram:7") == 1
    door.reached("telegram:7")
    assert door.unreached("telegram:8") == 0


async def test_limits_of_idle_chats_are_forgotten() -> None:
    now = 0.0
    rates = Rates(lambda: now)
    for number in range(100):
        assert rates.take_now([Limit(key=f"chat:{number}", amount=1, seconds=1)])
    assert not rates.take_now([Limit(key="chat:1", amount=1, seconds=1)])
    rates.drop_idle()
    assert len(rates) == 100
    now = 1.5
    rates.drop_idle()
    assert len(rates) == 0


def test_what_was_not_sent_is_given_back() -> None:
    rates = Rates(lambda: 0.0)
    limits = [Limit(key="chat", amount=1, seconds=1)]
    assert rates.take_now(limits)
    rates.give_back(limits)
    assert rates.take_now(limits)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "1 s"), (30, "30 s"), (119, "119 s"), (300, "5 min"), (86_400, "24 h"), (10**6, "12 days")]
)
def test_a_span_is_told_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def _delivery(
    state: DeliveryState,
    *,
    trouble: DeliveryError | None = None,
    ids: tuple[str | None, ...] = (),
    maybe_duplicate: bool = False,
    doubtful: bool = False,
) -> Delivery:
    part = OutboundPart(text="x", plain="x")
    return Delivery(
        event=OutboundEvent(
            id="evt_1",
            address=Address(channel="telegram", chat_id="42"),
            text="x",
            expires_at=NOW + timedelta(hours=24),
            origin=Origin(kind="tool", owner="anna"),
        ),
        state=state,
        attempts=2,
        created=NOW,
        due=NOW + timedelta(seconds=30),
        ended=None,
        trouble=trouble,
        maybe_duplicate=maybe_duplicate,
        parts=(
            *[PartState(part=part, receipt=Receipt(message_id=each, at=NOW)) for each in ids],
            *([PartState(part=part, started=NOW)] if doubtful else []),
        ),
    )


REFUSED = DeliveryError(code="blocked", words="the user blocked the bot.")


@pytest.mark.parametrize(
    ("delivery", "words"),
    [
        (_delivery("sent", ids=("42",)), "sent (message 42)"),
        (_delivery("sent", ids=("42", "43")), "sent (messages 42, 43)"),
        (_delivery("sent", ids=(None,)), "sent (accepted by the service; it gives no receipt)"),
        (_delivery("failed", trouble=REFUSED), "failed: the user blocked the bot"),
        (_delivery("failed", trouble=REFUSED, ids=("42",)), "failed: the user blocked the bot (1 of 1 parts arrived)"),
        (_delivery("queued", trouble=REFUSED), "queued: attempt 2 failed (the user blocked the bot), next in 30 s"),
        (
            _delivery("queued", trouble=DeliveryError(code="flood_wait", words="Wait."), ids=("42",)),
            "queued: part 2 met a flood wait, next in 30 s (1 of 1 parts arrived)",
        ),
        (_delivery("expired", trouble=REFUSED), "expired: it could not be sent in time (the user blocked the bot)"),
        (_delivery("cancelled"), "cancelled before it was sent"),
        (
            _delivery("cancelled", doubtful=True),
            "cancelled before it was sent; but an earlier try ended without an answer, and may have arrived",
        ),
        (
            _delivery("failed", trouble=REFUSED, doubtful=True),
            "failed: the user blocked the bot; but an earlier try ended without an answer, and may have arrived",
        ),
        (_delivery("unknown"), "unknown: it may have arrived or not; it is not sent again unless you retry it"),
        (
            _delivery("sent", ids=("42",), maybe_duplicate=True),
            "sent (message 42); it may have arrived twice, because an earlier try ended without an answer",
        ),
    ],
)
def test_every_state_has_one_true_sentence(delivery: Delivery, words: str) -> None:
    assert describe(delivery, True, NOW) == words


def test_what_is_due_later_says_so_though_its_channel_is_off() -> None:
    delivery, due = _delivery("queued"), NOW + timedelta(hours=8)
    later = replace(delivery, due=due, event=replace(delivery.event, not_before=due))
    assert describe(later, False, NOW).startswith("scheduled in 8 h, but the telegram channel is not enabled: nothing will be delivered")
    assert describe(delivery, False, NOW).startswith("queued, but")


def test_no_sentence_of_what_was_not_sent_says_that_it_was() -> None:
    states: list[DeliveryState] = ["queued", "sending", "failed", "expired", "cancelled", "unknown"]
    for state in states:
        for enabled in (True, False):
            for maybe_duplicate in (True, False):
                assert not describe(_delivery(state, maybe_duplicate=maybe_duplicate), enabled, NOW).startswith("sent")

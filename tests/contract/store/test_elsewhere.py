"""A turn of another process on the store: followed from its first word to its end, and stopped, whatever becomes of letters and of its process."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assistant.contracts.effects import PendingApproval
from assistant.contracts.errors import NanobotError, ShuttingDown, TurnCancelled
from assistant.contracts.messages import ToolCall
from assistant.contracts.sessions import TurnState
from assistant.contracts.turns import (
    FollowedTurn,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnEvent,
    TurnFailed,
    TurnFinished,
)
from assistant.store.processes import Notifier
from assistant.store.store import Store
from assistant.turns.elsewhere import Elsewhere
from assistant.turns.handle import RunningTurn, RunningTurns
from tests.clocks import TurnedClock

from .conftest import Opener
from .processes import kill, line, other_process
from .said import answer, result, turn

PLACE = ("anna", "api:one")
LAPSED = timedelta(seconds=16)
PENDING = PendingApproval(id="apr_1", code="K7", tool="send", text="é" * 9, why="w", expires_at=datetime(2026, 1, 1, tzinfo=UTC))


class Here:
    """A process: its store, the turns that the test runs in it, and those of others."""

    def __init__(self, store: Store, notifier: Notifier | None = None) -> None:
        self.store = store
        self.running = RunningTurns()
        self.elsewhere = Elsewhere(store.open_turns, notifier or store.notifier, store.runner)
        self.elsewhere.serve(self.running)

    async def begin(self, name: str, *, stored: bool = True) -> RunningTurn:
        """A turn that is stored as running, or only waits in this process."""
        if stored:
            await self.store.sessions.begin_turn(turn(f"turn_{name}", name), None)
        running = RunningTurn(f"turn_{name}")
        running.awake = True
        return self.running.begin(running, self._run(running), PLACE)

    async def end(self, running: RunningTurn, text: str, state: TurnState = "finished", error: NanobotError | None = None) -> None:
        cut_off = None if state in ("finished", "running") else state
        await self.store.sessions.end_turn(running.id, state, [answer(text, cut_off=cut_off)], error=error and error.code)
        end = TurnFinished(turn_id=running.id, text=text, finish_reason="stop", usage=answer("").usage, model="m")
        running.emit(TurnFailed(turn_id=running.id, error=error, acted=False) if error else end)

    async def _run(self, running: RunningTurn) -> None:
        try:
            await running.result()
        except asyncio.CancelledError:
            await self.end(running, "", "cancelled", TurnCancelled())
        except NanobotError:
            return

    async def close(self) -> None:
        await self.elsewhere.close()
        await self.running.close(0)


class Two:
    """Two processes on a store: turns run in `one`, and `two` follows."""

    def __init__(self, one: Here, two: Here) -> None:
        self.one = one
        self.two = two

    async def followed(self) -> FollowedTurn:
        found = await self.two.elsewhere.follow(*PLACE)
        assert found is not None
        return found


@pytest.fixture
async def pair(open_again: Opener) -> AsyncIterator[Two]:
    pair = Two(Here(await open_again()), Here(await open_again()))
    yield pair
    for process in (pair.one, pair.two):
        await process.close()


def words_of(events: list[TurnEvent]) -> str:
    return "".join([event.text for event in events if isinstance(event, TextDelta)])


async def all_of(turn: FollowedTurn) -> list[TurnEvent]:
    async with asyncio.timeout(20):
        return [event async for batch in turn.follow() for event in batch]


async def until(stream: AsyncIterator[list[TurnEvent]], words: str) -> list[TurnEvent]:
    """What is told up to these words."""
    told: list[TurnEvent] = []
    async with asyncio.timeout(20):
        while words not in words_of(told):
            told += await anext(stream)
    return told


async def test_what_was_said_comes_first_then_what_comes_then_the_end(pair: Two) -> None:
    running = await pair.one.begin("a")
    running.emit(ReasoningDelta(text="hm"))
    running.emit(TextDelta(text="日本 "))
    running.emit(ToolStarted(call_id="c1", name="look", arguments='{"q": "ü\\n"}', reads_only=True))
    stream = (await pair.followed()).follow()
    told = await until(stream, "日本")
    running.emit(ToolFinished(call_id="c1", name="look", text="x" * 9_000, ok=False, pending=PENDING))
    for piece in ("and ", "so ", "on"):
        running.emit(TextDelta(text=piece))
    told += await until(stream, "on")
    await pair.one.end(running, "日本 and so on, to the end")
    told += [event async for batch in stream for event in batch]
    assert words_of(told) == "日本 and so on, to the end"
    assert [event for event in told if not isinstance(event, TextDelta)] == [
        ReasoningDelta(text="hm"),
        ToolStarted(call_id="c1", name="look", arguments='{"q": "ü\\n"}', reads_only=True),
        ToolFinished(call_id="c1", name="look", text="", ok=False, pending=PENDING),
        TurnFinished(turn_id="turn_a", text="日本 and so on, to the end", finish_reason="stop", usage=answer("").usage, model="m"),
    ]


async def test_a_long_turn_is_told_whole_to_each_of_many(pair: Two) -> None:
    running = await pair.one.begin("a")
    pieces = [f"{number} {'wört' * 20}\n" for number in range(1_500)]
    for piece in pieces[:700]:
        running.emit(TextDelta(text=piece))
    async with asyncio.TaskGroup() as group:
        followers = [group.create_task(all_of(await pair.followed())) for _ in range(3)]
        for piece in pieces[700:]:
            running.emit(TextDelta(text=piece))
            await asyncio.sleep(0)
        await pair.one.end(running, "".join(pieces))
    assert {words_of(follower.result()) for follower in followers} == {"".join(pieces)}


class Lossy:
    """A notifier that loses every fourth letter that it is to take."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._number = 0
        self.receive = notifier.receive
        self.notify, self.listen, self.announce, self.announced, self.close = (
            notifier.notify, notifier.listen, notifier.announce, notifier.announced, notifier.close,
        )  # fmt: skip

    def send(self, runner_id: str, letter: bytes) -> None:
        self._number += 1
        if self._number % 4:
            self._notifier.send(runner_id, letter)


async def test_letters_that_are_lost_are_asked_for_again_and_nothing_is_told_twice(open_again: Opener) -> None:
    one, two = await open_again(), await open_again()
    pair = Two(Here(one, Lossy(one.notifier)), Here(two))
    running = await pair.one.begin("a")
    text = "".join(f"{number} " for number in range(4_000))
    running.emit(TextDelta(text=text[:9_000]))
    stream = (await pair.followed()).follow()
    told = await until(stream, text[8_990:9_000])
    running.emit(TextDelta(text=text[9_000:]))
    await pair.one.end(running, text)
    told += [event async for batch in stream for event in batch]
    assert words_of(told) == text
    for process in (pair.one, pair.two):
        await process.close()


async def test_one_that_does_not_read_keeps_little_and_misses_nothing(pair: Two) -> None:
    running = await pair.one.begin("a")
    running.emit(TextDelta(text="first "))
    stream = (await pair.followed()).follow()
    told = await until(stream, "first")
    text = "first " + "0123456789" * 90_000
    running.emit(TextDelta(text=text[6:]))
    quick = asyncio.create_task(all_of(await pair.followed()))
    await pair.one.end(running, text)
    assert words_of(await quick) == text
    told += [event async for batch in stream for event in batch]
    assert words_of(told) == text


async def test_a_stop_reaches_what_runs_and_what_waits_and_says_how_many(pair: Two) -> None:
    running, waiting = await pair.one.begin("a"), await pair.one.begin("b", stored=False)
    running.emit(TextDelta(text="half"))
    following = asyncio.create_task(all_of(await pair.followed()))
    assert await pair.two.elsewhere.stop("anna", "api:other") == 0
    assert await pair.two.elsewhere.stop(*PLACE) == 2
    assert running.task is not None
    assert waiting.task is not None
    await asyncio.wait([running.task, waiting.task])
    told = await following
    assert isinstance(told[-1], TurnFailed)
    assert isinstance(told[-1].error, TurnCancelled)
    assert await pair.two.elsewhere.stop(*PLACE) == 0


async def test_an_answer_that_is_being_stored_is_not_stopped(pair: Two) -> None:
    running = await pair.one.begin("a")
    running.sealed = True
    assert await pair.two.elsewhere.stop(*PLACE) == 0
    await pair.one.end(running, "whole")


@pytest.mark.parametrize(
    ("state", "code", "told"),
    [
        ("failed", "provider_overloaded", "provider_overloaded"),
        ("failed", "of_another_version", "internal_error"),
        ("timeout", "turn_timeout", "turn_timeout"),
        ("cancelled", "turn_cancelled", "turn_cancelled"),
        ("interrupted", None, "shutting_down"),
    ],
)
async def test_a_turn_that_fails_is_told_as_its_caller_is(pair: Two, state: TurnState, code: str | None, told: str) -> None:
    running = await pair.one.begin("a")
    running.emit(TextDelta(text="half"))
    followed = await pair.followed()
    await pair.one.store.sessions.end_turn("turn_a", state, [answer("half", cut_off="failed")], error=code)
    running.emit(TurnFailed(turn_id="turn_a", error=NanobotError(), acted=False))
    *words, end = await all_of(followed)
    assert words_of(words) in ("", "half")
    assert isinstance(end, TurnFailed)
    assert end.error.code == told


async def test_the_end_holds_what_the_turn_did_and_what_its_client_is_to_do(pair: Two) -> None:
    running = await pair.one.begin("a")
    own, clients = ToolCall(id="c1", name="look", arguments="{}"), ToolCall(id="c2", name="theirs", arguments="{}")
    await pair.one.store.sessions.append_step("turn_a", [answer("one", calls=(own,), tokens=(5, 2, 0)), result("c1", "found")])
    followed = await pair.followed()
    last = [answer("two", calls=(clients,), tokens=(7, 3, 1), finish="tool_calls")]
    await pair.one.store.sessions.end_turn("turn_a", "finished", last)
    running.emit(TurnFailed(turn_id="turn_a", error=NanobotError(), acted=False))
    *words, end = await all_of(followed)
    assert isinstance(end, TurnFinished)
    assert words_of(words) == end.text == "one\n\ntwo"
    assert (end.usage.prompt_tokens, end.usage.completion_tokens, end.usage.cached_tokens) == (12, 5, 1)
    assert [each.tool_calls for each in end.answers] == [(clients,)]


async def test_a_process_that_is_killed_leaves_an_interrupted_turn(
    open_again: Opener, url: str, tmp_path: Path, clock: TurnedClock
) -> None:
    clock.now = datetime.now(UTC)  # that of the other process
    two = Here(await open_again())
    async with other_process("begin", url, tmp_path) as process:
        assert await line(process) == "begun"
        found = await two.elsewhere.follow(*PLACE)
        assert found is not None
        following = asyncio.create_task(all_of(found))
        await kill(process)
    (end,) = await following
    assert isinstance(end, TurnFailed)
    assert isinstance(end.error, ShuttingDown)
    assert await two.elsewhere.follow(*PLACE) is None
    assert await two.elsewhere.stop(*PLACE) == 0
    await two.close()


async def test_a_process_that_gives_no_sign_is_not_waited_for(open_again: Opener, clock: TurnedClock) -> None:
    one = await open_again()
    await one.sessions.begin_turn(turn("turn_a", "a"), None)
    await one.sessions.line.close()
    two = Here(await open_again())
    found = await two.elsewhere.follow(*PLACE)
    assert found is not None
    clock.turn(LAPSED)
    (end,) = await all_of(found)
    assert isinstance(end, TurnFailed)
    assert end.error.code == "shutting_down"
    await two.close()


async def test_a_turn_that_another_process_resumes_ends_for_those_that_follow(pair: Two, open_again: Opener) -> None:
    running = await pair.one.begin("a")
    running.emit(TextDelta(text="half"))
    followed = await pair.followed()
    stream = followed.follow()
    await until(stream, "half")
    third = await open_again()
    await third.sessions.resume_turn("turn_a", None)
    running.emit(TurnFailed(turn_id="turn_a", error=NanobotError(), acted=False))
    (end,) = [event async for batch in stream for event in batch]
    assert isinstance(end, TurnFailed)
    assert end.error.code == "shutting_down"
    assert await pair.followed()


async def test_a_process_that_ends_lets_go_of_what_it_follows(pair: Two) -> None:
    running = await pair.one.begin("a")
    following = asyncio.create_task(all_of(await pair.followed()))
    running.emit(TextDelta(text="half"))
    await asyncio.sleep(0)
    pair.two.elsewhere.leave()
    end = (await following)[-1]
    assert isinstance(end, TurnFailed)
    assert isinstance(end.error, ShuttingDown)
    await pair.one.end(running, "half")


@pytest.mark.parametrize(
    "letter", [b"", b"{}", b'{"kind":"follow"}', b"\xff\x00", b'{"kind":"piece","ask":"x","number":-1,"whole":true,"piece":"%"}']
)
async def test_letters_that_can_not_be_read_change_nothing(pair: Two, letter: bytes) -> None:
    running = await pair.one.begin("a")
    for process in (pair.one, pair.two):
        process.elsewhere._take_in(letter)  # pyright: ignore[reportPrivateUsage] - a database takes no such bytes
    running.emit(TextDelta(text="fine"))
    following = asyncio.create_task(all_of(await pair.followed()))
    await pair.one.end(running, "fine")
    assert words_of(await following) == "fine"

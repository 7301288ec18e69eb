"""Each message of a socket counts as a request: it is admitted, its tokens are reserved and settled, and its place is freed."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from assistant.access.authenticator import Authenticator
from assistant.access.principals import OpenAccess
from assistant.contracts.access import Limits, LimitStatus
from assistant.contracts.errors import ProviderFailed, RateLimited
from assistant.contracts.turns import TextDelta, TurnRequest
from assistant.turns.handle import RunningTurn

from .api_rig import USAGE, fail, finish, serving
from .socket_client import talking, words
from .socket_rig import closed


@dataclass
class Counted:
    """An admission, and what was done with it."""

    reserved: int = 0
    taken: int = 0
    ended: int = 0
    standing: LimitStatus = field(default_factory=LimitStatus)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def reserve(self, tokens: int) -> None:
        self.reserved = tokens

    def used(self, tokens: int) -> None:
        self.taken = tokens

    def broke_off(self, tokens: int) -> None:
        if not self.ended:
            self.taken = tokens

    async def end(self) -> None:
        self.ended = 1
        self.over.set()


@dataclass
class Counting:
    """Lets in `room` requests at a time."""

    room: int = 100
    admissions: list[Counted] = field(default_factory=list[Counted])

    async def admit(self, owner: str, limits: Limits) -> Counted:
        if sum(not each.ended for each in self.admissions) >= self.room:
            raise RateLimited(retry_after=3)
        self.admissions.append(Counted())
        return self.admissions[-1]

    async def spend(self, owner: str, limits: Limits, tokens: int) -> Counted:
        raise AssertionError("nothing is done here that is no request")

    @property
    def authenticator(self) -> Authenticator:
        return Authenticator(access=OpenAccess(), limiter=self, defaults=Limits(parallel=1))


async def test_each_message_is_admitted_reserved_and_settled_by_its_usage(tmp_path: Path) -> None:
    counting = Counting()
    async with serving(tmp_path, authenticator=counting.authenticator) as api, talking(api.port) as talk:
        assert counting.admissions == []  # an open socket is no request
        await talk.ask("hi")
        await talk.ask("again")
        took = USAGE.prompt_tokens + USAGE.completion_tokens
        assert [(each.reserved > 0, each.taken, each.ended) for each in counting.admissions] == [(True, took, 1)] * 2


async def test_over_the_limit_is_an_error_frame_and_the_socket_stays(tmp_path: Path) -> None:
    counting = Counting(room=0)
    async with serving(tmp_path, authenticator=counting.authenticator) as api, talking(api.port) as talk:
        assert (await talk.refused({"content": "hi"}))["error_type"] == "rate_limit_exceeded"
        assert api.turns.requests == []
        counting.room = 1
        assert words(await talk.ask("hi")) == "Hello there"


async def test_the_place_is_free_whatever_became_of_the_turn(tmp_path: Path) -> None:
    counting = Counting(room=1)

    async def fails(turn: RunningTurn, request: TurnRequest) -> None:
        fail(turn, ProviderFailed())

    async def never(turn: RunningTurn, request: TurnRequest) -> None:
        await asyncio.Event().wait()

    async def ends(turn: RunningTurn, request: TurnRequest) -> None:
        finish(turn, "")

    async with serving(tmp_path, play=fails, authenticator=counting.authenticator) as api:
        async with talking(api.port) as talk:
            await talk.refused({"content": "fails"})
            api.turns.refusal = ProviderFailed()
            await talk.refused({"content": "does not start"})
            api.turns.refusal = None
            api.turns.play = never
            await talk.say({"content": "is replaced"})
            await talk.say({"content": "is stopped"})
            await talk.say({"type": "stop"})
            await talk.until("generation_stopped")
            await talk.say({"content": "is left alone"})
            await talk.say({"type": "ping"})
            await talk.until("pong")
        api.turns.play = ends
        finish(api.turns.turns[-1], "")
        async with talking(api.port) as talk:
            while True:
                await talk.say({"content": "is let in"})
                if (await talk.hear())["type"] != "error":
                    break
    assert len(api.turns.requests) == 5
    assert all(each.ended for each in counting.admissions)


async def says_much_and_waits(turn: RunningTurn, request: TurnRequest) -> None:
    turn.emit(TextDelta(text="word" * 1_000))
    await asyncio.Event().wait()


async def test_an_answer_that_the_client_breaks_off_counts_what_was_said_of_it(tmp_path: Path) -> None:
    counting = Counting()
    async with serving(tmp_path, play=says_much_and_waits, authenticator=counting.authenticator) as api, talking(api.port) as talk:
        for breaks_off in ({"type": "stop"}, {"content": "something else"}):
            await talk.say({"content": "hi"})
            await talk.until("chunk")
            await talk.say(breaks_off)
            async with asyncio.timeout(30):
                await counting.admissions[-1].over.wait()
        assert [each.taken for each in counting.admissions[:2]] == [1_000, 1_000]


async def test_a_turn_whose_client_is_gone_keeps_its_place_and_counts_at_its_end(tmp_path: Path) -> None:
    """Its answer is in the session, for a client that returns."""
    counting = Counting(room=1)
    async with serving(tmp_path, play=says_much_and_waits, authenticator=counting.authenticator) as api:
        async with talking(api.port) as talk:
            await talk.say({"content": "hi"})
            await talk.until("chunk")
        async with talking(api.port) as talk:
            assert (await talk.refused({"content": "hi"}))["error_type"] == "rate_limit_exceeded"
            (counted,) = counting.admissions
            finish(api.turns.turns[0], "")
            async with asyncio.timeout(30):
                await counted.over.wait()
            assert counted.taken == USAGE.prompt_tokens + USAGE.completion_tokens


async def test_a_fault_of_the_server_keeps_no_place(tmp_path: Path) -> None:
    counting = Counting()
    async with serving(tmp_path, authenticator=counting.authenticator) as api, talking(api.port) as talk:
        api.turns.refusal = cast("ProviderFailed", ZeroDivisionError())
        await talk.say({"content": "hi"})
        assert await closed(talk.socket) == (1011, "internal_error")
        assert [each.ended for each in counting.admissions] == [1]

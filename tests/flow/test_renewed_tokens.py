"""A platform's tokens: one asks for all, and a server of tokens that is down is left alone for a moment."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping

import pytest

from assistant.contracts.channels import ChannelFailed, SendLater
from channels.kit import renewed
from channels.kit.http import Answered, PlatformError, Unanswered, Unreached
from channels.kit.renewed import RenewedToken


class Tokens:
    """A server of tokens; `fails`: what it answers instead of one, in order."""

    def __init__(self, *fails: Exception, seconds: float = 3600.0) -> None:
        self.asked, self.seconds, self.fails = 0, seconds, deque(fails)
        self.token = RenewedToken(self.ask, platform="Here", setting="channels.here.key")

    async def ask(self) -> tuple[str, float]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails.popleft()
        return f"t{self.asked}", self.seconds


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewed, "_FAILED_SECONDS", 0.0)


async def test_one_asks_for_all() -> None:
    server = Tokens()
    assert set(await asyncio.gather(*[server.token.get() for _ in range(100)])) == {"t1"}
    assert server.asked == 1


@pytest.mark.parametrize("error", [Unanswered("x"), Unreached("x"), Answered(503, "x"), Answered(400, "x")], ids=lambda error: repr(error))
async def test_all_who_wait_get_its_failure(error: PlatformError) -> None:
    server = Tokens(error)
    found = await asyncio.gather(*[server.token.get() for _ in range(100)], return_exceptions=True)
    assert {type(each) for each in found} == {SendLater}
    assert server.asked == 1


async def test_a_server_that_is_down_is_left_alone_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    server, begun = Tokens(Unanswered("x")), time.monotonic()
    monkeypatch.setattr("channels.kit.renewed.time.monotonic", lambda: begun)
    for _ in range(100):
        with pytest.raises(SendLater, match="nothing was sent"):
            await server.token.get()
    assert server.asked == 1
    monkeypatch.setattr("channels.kit.renewed.time.monotonic", lambda: begun + 3.0)
    assert await server.token.get() == "t2"


@pytest.mark.parametrize(
    ("error", "code", "wait", "fatal"),
    [
        (Unreached("x"), "network", None, False),
        (Unanswered("x"), "network", None, False),
        (Answered(502, "x"), "network", None, False),
        (Answered(302, "x"), "network", None, False),
        (Answered(429, "x", retry_after=7.0), "network", 7.0, False),
        (Answered(400, "x"), "unauthorized", 300.0, True),
        (Answered(401, "x"), "unauthorized", 300.0, True),
        (Answered(404, "x"), "unauthorized", 300.0, True),
        (SendLater("unauthorized", "a bad key", counts=False), "unauthorized", None, True),
    ],
    ids=["unreached", "unanswered", "gateway", "redirect", "limit", "bad request", "unauthorized", "no such tenant", "of the adapter"],
)
@pytest.mark.usefixtures("no_memory")
async def test_without_a_token_nothing_was_sent(error: Exception, code: str, wait: float | None, fatal: bool) -> None:
    server = Tokens(error, error)
    with pytest.raises(SendLater) as later:
        await server.token.get()
    assert (later.value.trouble.code, later.value.retry_after, later.value.counts) == (code, wait, False)
    with pytest.raises(ChannelFailed) as failed:
        await server.token.check()
    assert failed.value.fatal is fatal
    assert await server.token.get() == "t3"


@pytest.mark.parametrize("seconds", [0.0, 1.0, 7200.0, 1e300])
async def test_a_token_is_kept_for_its_time(seconds: float) -> None:
    server = Tokens(seconds=seconds)
    assert [await server.token.get() for _ in range(3)] == ["t1"] * 3


async def test_a_token_that_can_not_be_renewed_is_used_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    server, begun = Tokens(), time.monotonic()
    assert await server.token.get() == "t1"
    server.fails.extend([Unanswered("x"), Answered(400, "x")])
    for seconds in (3400.0, 3500.0):
        now = begun + seconds
        monkeypatch.setattr("channels.kit.renewed.time.monotonic", lambda now=now: now)
        assert await server.token.get() == "t1"
    server.fails.append(Unanswered("x"))
    monkeypatch.setattr("channels.kit.renewed.time.monotonic", lambda: begun + 3700.0)
    with pytest.raises(SendLater):
        await server.token.get()
    assert server.asked == 4


@pytest.mark.parametrize("token", ["", "a\r\nX: y", "a\x00", "é"], ids=["empty", "two lines", "a control", "no ASCII"])
async def test_a_token_that_no_header_takes_is_none(token: str) -> None:
    async def ask() -> tuple[str, float]:
        return token, 3600.0

    with pytest.raises(SendLater, match="no token"):
        await RenewedToken(ask, platform="Here", setting="x").get()


async def test_a_call_is_made_again_with_a_new_token_and_no_more() -> None:
    server, used = Tokens(), list[str]()

    async def call(headers: Mapping[str, str]) -> str:
        used.append(headers["Authorization"].removeprefix("Bearer "))
        if used[-1] != "t2":
            raise Answered(401, "ended")
        return used[-1]

    assert await server.token.used(call) == "t2"
    server.token.drop("t1")  # another's answer came late
    assert await server.token.used(call) == "t2"
    server.token.drop("t2")
    with pytest.raises(Answered):
        await server.token.used(call)
    assert used == ["t1", "t2", "t2", "t3", "t4"]


async def test_one_who_is_cancelled_leaves_no_failure_to_the_others() -> None:
    server = Tokens()
    first, second = (asyncio.create_task(server.token.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "t2"

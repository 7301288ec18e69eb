"""A process that is stopped (SIGSTOP) in the middle of a write: the others say so within seconds, read on, and write again when they can."""

import asyncio
import signal
from pathlib import Path

import pytest

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.sessions import History

from .conftest import Opener
from .processes import line, other_process, remaining_lines, stands_still
from .said import answer, turn

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
PROMPTLY = 30
"""Seconds; 500 waits one after the other take a thousand; a wait that is not bounded ends with the test."""


async def test_others_get_an_error_that_says_when_to_come_again_and_read_on(open_again: Opener, url: str, tmp_path: Path) -> None:
    store = await open_again()
    async with other_process("stop", url, tmp_path) as script:
        assert await line(script) == "begun"
        await stands_still(script)
        refused: list[StoreUnavailable] = []
        for number in range(20):
            async with asyncio.timeout(PROMPTLY):
                new = turn(f"turn_{number}", "hello", session="api:two")
                (done,) = await asyncio.gather(store.sessions.begin_turn(new, None), return_exceptions=True)
                assert len(await store.sessions.messages("anna", "api:one")) == 1
            if isinstance(done, StoreUnavailable):
                refused.append(done)
            else:
                await store.sessions.end_turn(f"turn_{number}", "finished", [answer("hi")])
        assert all("locked by another process" in error.message and error.retry_after for error in refused)
        # SQLite's lock is its holder's as long as that exists; PostgreSQL takes it back after 2 s.
        assert len(refused) == 20 if url.startswith("sqlite") else len(refused) <= 1
        script.process.send_signal(signal.SIGCONT)
        said = await remaining_lines(script)
    assert said[-1:] == ["goes on"]
    assert said[0] == "written" if url.startswith("sqlite") else "does not answer" in said[0]
    assert await store.sessions.begin_turn(turn("turn_after", "after", session="api:two"), None)


async def test_many_callers_are_refused_together_and_not_one_after_the_other(open_again: Opener, url: str, tmp_path: Path) -> None:
    store = await open_again()
    async with other_process("stop", url, tmp_path) as script:
        assert await line(script) == "begun"
        await stands_still(script)
        async with asyncio.timeout(PROMPTLY):
            calls = (store.sessions.begin_turn(turn(f"turn_{number}", "hello", session=f"api:{number}"), None) for number in range(500))
            failed = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in failed} <= {StoreUnavailable, History}
        assert History not in map(type, failed) or url.startswith("postgresql")
        script.process.kill()
    assert await store.sessions.begin_turn(turn("turn_after", "after", session="api:two"), None)

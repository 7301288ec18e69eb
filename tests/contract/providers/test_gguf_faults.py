"""A model that is a file, and a worker that does not do what it should. The worker is a stand-in."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from assistant.contracts.errors import (
    ProviderFailed,
    ProviderTimeout,
    ShuttingDown,
)
from assistant.providers.gguf.engine import Limits
from assistant.providers.gguf.provider import open_gguf
from assistant.providers.settings import RegisteredModel

from .gguf_house import WORKER, Opens, asked, fails, has_gone, is_there, within
from .samples import unheard


@pytest.mark.parametrize("marker", ["DEAF", "FREEZE"])
async def test_a_worker_that_does_not_obey_is_ended_and_the_next_request_has_a_new_one(opens: Opens, marker: str) -> None:
    house = opens(limits=Limits(obey=0.2))
    running, heard = house.begin(marker)
    async with within():
        await heard.wait()
    running.cancel()
    assert await house.ask("PID") == str(house.workers[1])
    assert not is_there(house.workers[0])


@pytest.mark.parametrize("marker", ["DEAF", "FREEZE"])
async def test_a_worker_that_shows_no_progress_is_ended(opens: Opens, marker: str) -> None:
    house = opens(limits=Limits(silence=0.5))
    assert "no progress" in str(await fails(house.ask(marker), ProviderTimeout))
    assert await house.ask("PID") == str(house.workers[1])
    assert not is_there(house.workers[0])


@pytest.mark.parametrize("marker", ["CRASH", "BROKE", "GARBAGE", "LIST", "ENDLESS", "OTHER"])
async def test_a_worker_that_breaks_fails_that_request_and_the_next_has_a_new_one(opens: Opens, marker: str) -> None:
    house = opens()
    failed = await fails(house.ask(marker), ProviderFailed)
    assert type(failed) is ProviderFailed
    assert await house.ask("PID") == str(house.workers[1])
    assert not is_there(house.workers[0])


async def test_a_worker_that_says_more_than_anybody_reads_ends_all_the_same_and_leaves_nothing_open(opens: Opens) -> None:
    house = opens(limits=Limits(idle=0.3))
    before = len(os.listdir("/dev/fd"))
    for number in range(3):
        assert await house.ask("FLOOD") == "flood"
        await has_gone(house.workers[number])
    async with within():
        await house.close()
    assert len(os.listdir("/dev/fd")) <= before


async def test_a_worker_that_is_killed_while_nobody_asks_is_not_missed(opens: Opens) -> None:
    house = opens()
    await house.ask("hello")
    os.kill(house.workers[0], signal.SIGKILL)
    await has_gone(house.workers[0])
    assert await house.ask("PID") == str(house.workers[1])


async def test_a_worker_that_nobody_asks_ends_and_is_started_again(opens: Opens) -> None:
    house = opens(limits=Limits(idle=0.05))
    await house.ask("hello")
    await has_gone(house.workers[0])
    assert await house.ask("PID") == str(house.workers[1])


@pytest.mark.parametrize("name", ["refused.gguf", "dies.gguf", "sleeps.gguf", "babbles.gguf"])
async def test_a_file_that_can_not_be_loaded_is_not_tried_again_and_again(opens: Opens, name: str) -> None:
    house = opens(name, limits=Limits(load=5 if name != "sleeps.gguf" else 0.5, after_failure=60))
    errors = [await fails(house.ask("hello"), ProviderFailed) for _ in range(3)]
    errors += await asyncio.gather(*[fails(house.ask("hello"), ProviderFailed) for _ in range(10)])
    assert {type(error) for error in errors} == {ProviderFailed}
    assert {error.retryable for error in errors if isinstance(error, ProviderFailed)} == {False}
    assert len({error.message for error in errors}) == 1
    assert "can't be loaded" in errors[0].message
    assert str(house.file) not in errors[0].message
    assert len(house.workers) == 1


async def test_a_file_that_was_mended_is_loaded_when_its_time_has_come(opens: Opens) -> None:
    house = opens("refused.gguf", limits=Limits(after_failure=0))
    await fails(house.ask("hello"), ProviderFailed)
    await fails(house.ask("hello"), ProviderFailed)
    assert len(house.workers) == 2


async def test_two_models_answer_side_by_side(opens: Opens) -> None:
    one, other = opens("one.gguf"), opens("other.gguf")
    running, heard = one.begin("WAIT")
    async with within():
        await heard.wait()
    assert await other.ask("ECHO free") == "free"
    running.cancel()


async def test_who_waits_when_it_is_closed_hears_so(opens: Opens) -> None:
    house = opens()
    running, heard = house.begin("WAIT")
    async with within():
        await heard.wait()
    waiting = asyncio.create_task(house.ask("hello"))
    await asyncio.sleep(0)
    async with within():
        await house.close()
        await house.close()
    await fails(running, ShuttingDown)
    await fails(waiting, ShuttingDown)
    await fails(house.ask("hello"), ShuttingDown)


async def test_a_file_that_is_not_there_is_named_by_no_path(tmp_path: Path) -> None:
    settings = RegisteredModel.model_validate({"path": "nowhere/x.gguf"})
    writes, _ = open_gguf("tiny", settings, tmp_path, command=WORKER)
    assert writes is not None
    for call in (writes.probe(), writes.complete(asked("hi"), unheard)):
        failed = await fails(call, ProviderFailed)
        assert "nowhere" not in failed.message
        assert "nothing at its path" in failed.message
    await writes.close()

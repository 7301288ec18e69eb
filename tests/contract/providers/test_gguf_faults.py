"""GGUF files with a worker that crashes, stalls or breaks the protocol. The worker is a stand-in."""

import asyncio
import errno
import os
import signal
from pathlib import Path

import pytest

from assistant.contracts.errors import (
    ProviderFailed,
    ProviderTimeout,
    ShuttingDown,
)
from assistant.providers.gguf.provider import open_gguf
from assistant.providers.gguf.request_queue import GgufLimits
from assistant.providers.settings import RegisteredModel

from .gguf_models import WORKER, Opens, asked, fails, has_gone, is_there, within
from .samples import unheard


@pytest.mark.parametrize("marker", ["DEAF", "FREEZE"])
async def test_a_worker_that_ignores_a_cancellation_is_killed_and_replaced(opens: Opens, marker: str) -> None:
    model = opens(limits=GgufLimits(cancel=0.2))
    running, heard = model.begin(marker)
    async with within():
        await heard.wait()
    running.cancel()
    assert await model.ask("PID") == str(model.workers[1])
    assert not is_there(model.workers[0])


@pytest.mark.parametrize("marker", ["DEAF", "FREEZE"])
async def test_a_stalled_worker_is_killed_and_replaced(opens: Opens, marker: str) -> None:
    model = opens(limits=GgufLimits(stall=1))
    assert "no progress" in str(await fails(model.ask(marker), ProviderTimeout))
    assert await model.ask("PID") == str(model.workers[1])
    assert not is_there(model.workers[0])


@pytest.mark.parametrize("marker", ["CRASH", "BROKE", "GARBAGE", "LIST", "ENDLESS", "OTHER"])
async def test_a_broken_worker_fails_its_request_and_is_replaced(opens: Opens, marker: str) -> None:
    model = opens()
    failed = await fails(model.ask(marker), ProviderFailed)
    assert type(failed) is ProviderFailed
    assert await model.ask("PID") == str(model.workers[1])
    assert not is_there(model.workers[0])


async def test_a_worker_that_floods_its_output_is_killed_and_leaves_no_descriptor_open(opens: Opens) -> None:
    model = opens(limits=GgufLimits(idle=0.3))
    before = len(os.listdir("/dev/fd"))
    for number in range(3):
        assert await model.ask("FLOOD") == "flood"
        await has_gone(model.workers[number])
    async with within():
        await model.close()
    assert len(os.listdir("/dev/fd")) <= before


async def test_a_worker_killed_while_idle_is_replaced(opens: Opens) -> None:
    model = opens()
    await model.ask("hello")
    os.kill(model.workers[0], signal.SIGKILL)
    await has_gone(model.workers[0])
    assert await model.ask("PID") == str(model.workers[1])


async def test_an_idle_worker_ends_and_the_next_request_starts_another(opens: Opens) -> None:
    model = opens(limits=GgufLimits(idle=0.05))
    await model.ask("hello")
    await has_gone(model.workers[0])
    assert await model.ask("PID") == str(model.workers[1])


@pytest.mark.parametrize("name", ["refused.gguf", "dies.gguf", "sleeps.gguf", "babbles.gguf"])
async def test_a_file_that_failed_to_load_is_not_tried_again_at_once(opens: Opens, name: str) -> None:
    model = opens(name, limits=GgufLimits(load=30 if name != "sleeps.gguf" else 0.5, after_failure=60))
    errors = [await fails(model.ask("hello"), ProviderFailed) for _ in range(3)]
    errors += await asyncio.gather(*[fails(model.ask("hello"), ProviderFailed) for _ in range(10)])
    assert {type(error) for error in errors} == {ProviderFailed}
    assert {error.retryable for error in errors if isinstance(error, ProviderFailed)} == {False}
    assert len({error.message for error in errors}) == 1
    assert "can't be loaded" in errors[0].message
    assert str(model.file) not in errors[0].message
    assert len(model.workers) == 1


async def test_a_worker_without_a_socket_is_a_file_that_failed_to_load(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    model = opens(limits=GgufLimits(after_failure=0))
    with monkeypatch.context() as patch:
        patch.setattr("assistant.providers.gguf.request_queue.socket.socketpair", refuse)
        failed = await fails(model.ask("hello"), ProviderFailed)
    assert "can't be started (Too many open files)" in failed.message
    assert await model.ask("PID") == str(model.workers[0])


async def test_a_file_that_failed_to_load_is_tried_again_later(opens: Opens) -> None:
    model = opens("refused.gguf", limits=GgufLimits(after_failure=0))
    await fails(model.ask("hello"), ProviderFailed)
    await fails(model.ask("hello"), ProviderFailed)
    assert len(model.workers) == 2


async def test_two_models_answer_side_by_side(opens: Opens) -> None:
    one, other = opens("one.gguf"), opens("other.gguf")
    running, heard = one.begin("WAIT")
    async with within():
        await heard.wait()
    assert await other.ask("ECHO free") == "free"
    running.cancel()


async def test_closing_fails_running_and_waiting_requests(opens: Opens) -> None:
    model = opens()
    running, heard = model.begin("WAIT")
    async with within():
        await heard.wait()
    waiting = asyncio.create_task(model.ask("hello"))
    await asyncio.sleep(0)
    async with within():
        await model.close()
        await model.close()
    await fails(running, ShuttingDown)
    await fails(waiting, ShuttingDown)
    await fails(model.ask("hello"), ShuttingDown)


async def test_the_error_for_a_missing_file_holds_no_path(tmp_path: Path) -> None:
    settings = RegisteredModel.model_validate({"path": "nowhere/x.gguf"})
    writes, _ = open_gguf("tiny", settings, tmp_path, command=WORKER)
    assert writes is not None
    for call in (writes.probe(), writes.complete(asked("hi"), unheard)):
        failed = await fails(call, ProviderFailed)
        assert "nowhere" not in failed.message
        assert "nothing at its path" in failed.message
    await writes.close()

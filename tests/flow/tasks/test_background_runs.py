"""Commands that go on behind their turn: through the API of a real server, on the sandbox that this machine has."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.sandbox.policy import Guarded
from assistant.sandbox.service import MachineSandbox
from assistant.sandbox.settings import SandboxSettings
from tests.commands_beside import commands_beside as commands_beside
from tests.contract.sandbox.test_killed_server import until
from tests.contract.sandbox.test_limits import left_over
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.nanobot_process import Nanobot

from .conftest import Asks, Served, calling, delegating

ANNA, BEN = 42, 43
CUT_OFF = "the server ended while it ran, and the command with it"


@pytest.fixture(autouse=True)
async def _sandbox(tmp_path: Path) -> None:  # pyright: ignore[reportUnusedFunction]
    if sys.platform != "linux":
        pytest.skip("the sandbox is Linux's")
    sandbox = MachineSandbox(SandboxSettings(), Guarded(), tmp_path / "probe")
    if await sandbox.rung() == "none":
        pytest.skip(f"this machine has no sandbox: {await sandbox.why_not()}")


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as telegram:
        yield telegram


def running(command: str, **arguments: object) -> str:
    return calling("run", command=command, background=True, **arguments)


def a_sleep() -> tuple[str, str]:
    """A command that does not end by itself, and what its processes are found by."""
    seconds = str(int.from_bytes(os.urandom(4)) + 10**6)
    return f"setsid sleep {seconds} & sleep {seconds}", f"sleep\0{seconds}\0"


async def test_its_end_makes_the_session_go_on_once(start: Asks) -> None:
    served: Served = await start()
    answer = await served.ask(running("read answer < fifo || echo $((6*7)) | tee answer"))
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert (await served.results())[0].startswith(f"Started in the background as {task['id']}. ")
    (started,) = answer["nanobot"]["effects"]
    assert (started["kind"], started["ref"]) == ("started", task["id"])
    assert (task["kind"], task["state"], task["background"], task["error"]) == ("run", "done", True, "")
    assert "[output]\n42\n" in task["answer"]
    assert "files written: answer (3 bytes)" in task["answer"]
    assert [effect["kind"] for effect in task["effects"]] == ["ran"]
    said = await served.until_said(6)
    assert [role for role, _ in said] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert said[4][1].startswith(f"[The background command {task['id']} has ended]")
    assert "[output]\n42" in said[4][1]
    served.kill()
    served = await start()
    assert len(await served.until_said(6)) == 6
    (again,) = await served.tasks()
    assert again == task


async def test_a_command_that_fails_has_ended_and_says_its_code(start: Asks) -> None:
    served: Served = await start()
    await served.ask(running("echo no >&2; exit 3"))
    (task,) = await served.ended()
    assert (task["state"], task["answer"]) == ("done", "[exit code 3]\n[errors]\nno")
    assert (await served.act(task["id"], "retry")).status_code == 409


@pytest.mark.parametrize("by", ["api", "command line"])
async def test_one_that_is_stopped_is_ended_and_not_told(start: Asks, tmp_path: Path, by: str) -> None:
    served: Served = await start()
    command, mark = a_sleep()
    await served.ask(running(command))
    await until(lambda: len(left_over(mark)) == 2)
    (task,) = await served.tasks()
    assert task["state"] == "running"
    if by == "api":
        assert (await served.act(task["id"], "stop")).status_code == 200
    else:
        nanobot = Nanobot(folder=tmp_path)
        listed = await asyncio.to_thread(nanobot, "tasks", "list")
        assert all(word in listed.stdout for word in (task["id"], "running", "setsid sleep"))
        assert (await asyncio.to_thread(nanobot, "tasks", "stop", task["id"])).returncode == 0
    (task,) = await served.ended()
    assert (task["state"], task["handover"], task["error"]) == ("stopped", "read", "it was stopped")
    assert not left_over(mark)
    assert len(await served.said()) == 4


@pytest.mark.parametrize(
    ("command", "more", "error"), [("sleep 600", {"timeout": 0.5}, "longer than its time"), ("yes", {}, "printed more than")]
)
async def test_what_passes_a_limit_is_ended_and_told_as_failed(start: Asks, command: str, more: dict[str, object], error: str) -> None:
    served: Served = await start()
    await served.ask(running(command, **more))
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert task["state"] == "failed"
    assert error in task["error"]
    assert f"failed: {task['error']}" in (await served.until_said(6))[4][1]
    assert len(task["answer"]) < 20_200


async def test_it_may_take_longer_than_one_that_is_waited_for(start: Asks) -> None:
    served: Served = await start(sandbox={"seconds": 0.5})
    await served.ask(running("sleep 1.5; echo slept"))
    (task,) = await served.ended()
    assert task["answer"] == "[exit code 0]\n[output]\nslept"


async def test_long_output_is_kept_to_be_read_on(start: Asks) -> None:
    served: Served = await start()
    await served.ask(running("seq 1 20000"))
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    kept = task["answer"].partition('read_attachment(id="')[2].partition('"')[0]
    assert 20_000 < len(task["answer"]) < 20_200
    told = (await served.until_said(6))[4][1]
    assert told.endswith(task["answer"])
    await served.ask(calling("read_attachment", id=kept, offset=len("[exit code 0]\n[output]\n") + 48_894))
    assert "10001\n10002\n" in (await served.results())[-1]


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM"])
async def test_a_server_that_ends_leaves_no_command_and_the_next_one_tells_of_it(start: Asks, signal: str) -> None:
    served: Served = await start()
    command, mark = a_sleep()
    await served.ask(running(command))
    await until(lambda: len(left_over(mark)) == 2)
    if signal == "SIGKILL":
        served.server.process.kill()
    else:
        served.server.process.terminate()
    await asyncio.to_thread(served.server.process.wait)
    await until(lambda: not left_over(mark))
    served = await start()
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert (task["state"], task["error"]) == ("failed", CUT_OFF)
    said = await served.until_said(6)
    assert f"[The background command {task['id']} failed: {CUT_OFF}]" in said[4][1]
    assert not left_over(mark)


async def test_without_a_session_and_in_helpers_it_is_refused(start: Asks) -> None:
    served: Served = await start(api={"history": "client"})
    await served.ask(running("echo 1"), None)
    await served.ask(delegating(running("echo 1")), "s")
    refused = [m["content"] for body in served.asked() for m in body["messages"] if m["role"] == "tool" and "Not started" in m["content"]]
    assert len(refused) == 2
    assert all("nothing could take the result of a background command here" in text for text in refused)
    assert [task["kind"] for task in await served.tasks()] == ["turn"]


async def test_no_more_than_four_of_a_person_run(start: Asks) -> None:
    served: Served = await start()
    for number in range(5):
        await served.ask(running("sleep 600"), f"s{number}")
    assert (await served.results("s4"))[0].startswith("Not started: 4 commands run already")
    tasks = await served.tasks()
    assert [task["state"] for task in tasks] == ["running"] * 4
    await served.ask(calling("run", command="echo here"), "s5")
    assert "here" in (await served.results("s5"))[0]
    for task in tasks:
        await served.act(task["id"], "stop")
    await served.ended(4)


async def test_a_chat_is_told_the_output(start: Asks, telegram: TelegramServer) -> None:
    channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": [str(ANNA)]}
    await start(channels={"telegram": channel})
    telegram.say(ANNA, running("until [ -e go ]; do sleep 0.05; done; echo ECHO $((6*7))"), sender=ANNA)
    await telegram.until(lambda: len(telegram.texts(ANNA)) == 1)
    assert "command · until" in telegram.texts(ANNA)[0]
    telegram.say(ANNA, "/tasks", sender=ANNA)
    await telegram.until(lambda: len(telegram.texts(ANNA)) == 2)
    assert "running · until" in telegram.texts(ANNA)[1]
    telegram.say(ANNA, calling("run", command="touch go"), sender=ANNA)
    await telegram.until(lambda: any(text.endswith("42") for text in telegram.texts(ANNA)))
    assert sum("42" in text for text in telegram.texts(ANNA)) == 1


async def test_a_guest_waits_for_commands(start: Asks, telegram: TelegramServer) -> None:
    channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": [str(BEN)]}
    served: Served = await start(channels={"telegram": channel})
    for number, words in enumerate(["ECHO hello", running("true"), calling("run", command="true")], start=1):
        telegram.say(BEN, words, sender=BEN)
        await telegram.until(lambda count=number: len(telegram.texts(BEN)) == count)
        if number == 1:
            changed = await served.client.post(f"/v1/people/telegram:{BEN}", json={"role": "guest"})
            assert changed.status_code == 200, changed.text
    results = [body["messages"][-1]["content"] for body in served.asked() if body["messages"][-1]["role"] == "tool"]
    assert "Not started: nothing could take the result of a background command here (a guest's turn" in results[0]
    assert results[1].startswith("[exit code 0]")
    assert not await served.tasks()


async def test_a_persons_yes_starts_it_once(start: Asks) -> None:
    served: Served = await start(agents={"defaults": {"permissions": [{"tool": "run", "do": "ask"}]}})
    answer = await served.ask(running("echo ECHO $((6*7))"))
    (pending,) = answer["nanobot"]["pending"]
    assert not await served.tasks()
    pressed = await served.client.post(f"/v1/approvals/{pending['id']}", json={"answer": "once"})
    assert pressed.status_code == 200, pressed.text
    (task,) = await served.until(lambda found: bool(found) and found[0]["handover"] == "handed")
    assert task["answer"] == "[exit code 0]\n[output]\nECHO 42"
    async with asyncio.timeout(30):
        while not (said := await served.said())[-1][1].endswith("42"):  # noqa: ASYNC110 - the server goes on by itself
            await asyncio.sleep(0.02)
    assert sum(text.startswith("[The background command") for _, text in said) == 1

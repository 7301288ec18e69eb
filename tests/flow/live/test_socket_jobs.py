"""Workflows over a socket, in front of the real process: a message that names one, and the commands of /predict."""

import asyncio
from base64 import b64encode
from typing import Any

import pytest

from tests.flow.socket_client import Frame, Talk, talking, types, words

from .conftest import Live
from .test_sockets import port_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO = """\
inputs:
  message: {}
  tone: {default: plain}
nodes:
  said: {kind: prompt, prompt: "ECHO {{ inputs.message }}"}
outputs:
  reply: "{{ said.output }} in {{ inputs.tone }}"
"""
TWO = """\
inputs:
  paper: {type: file}
nodes:
  name: {kind: template, text: "{{ inputs.paper.name }}"}
outputs:
  name: "{{ name.output }}"
  again: "{{ name.output }}"
"""


@pytest.fixture
def live(shared: Live) -> Live:
    folder = shared.home / "workspace" / "workflows"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "echo.yaml").write_text(ECHO)
    (folder / "two.yaml").write_text(TWO)
    return shared


async def run(talk: Talk, **data: object) -> list[Frame]:
    """Start a job, and hear it to its end."""
    await talk.say({"command": "run_job", "data": data})
    frames = [await talk.hear()]
    while frames[-1].get("status") not in ("completed", "failed", "cancelled") or frames[-1]["type"] != "job_update":
        frames.append(await talk.hear())
    return frames


async def test_a_message_that_names_a_workflow_is_its_input_and_gets_its_outputs(live: Live) -> None:
    async with talking(port_of(live.server)) as talk:
        frames = await talk.ask("hello", workflow_id="echo", thread_id=live.id_of("t"))
        assert types(frames) == ["job_update", "node_update", "output_update", "job_update", "chunk", "message"]
        assert frames[-2]["done"] is True
        assert {name: frames[-1][name] for name in ("content", "thread_id", "workflow_id", "provider", "model")} == {
            "content": "hello in plain", "thread_id": live.id_of("t"), "workflow_id": "echo", "provider": None, "model": None,
        }  # fmt: skip
        assert (await talk.ask("hi", workflow_id="echo", params={"tone": "song"}))[-1]["content"] == "hi in song"
        part = {"type": "file", "file": {"filename": "a.txt", "file_data": b"words"}}
        assert (await talk.ask([part], workflow_id="two"))[-1]["content"] == "name: a.txt\n\nagain: a.txt"
        assert words(await talk.ask("ECHO now a model")) == "now a model"


async def test_what_can_not_be_run_is_an_error_frame(live: Live) -> None:
    async with talking(port_of(live.server)) as talk:
        assert (await talk.refused({"content": "hi", "workflow_id": "nowhere"}))["message"] == "Workflow nowhere not found"
        assert "paper" in (await talk.refused({"content": "hi", "workflow_id": "two"}))["message"]
        assert words(await talk.ask("ECHO fine")) == "fine"


async def test_stop_cancels_the_job_of_a_message(live: Live) -> None:
    live.model.configure(latency_ms=20_000)
    async with talking(port_of(live.server)) as talk:
        await talk.say({"content": "hi", "workflow_id": "echo"})
        await live.model.until(lambda stats: stats.inflight == 1)
        await talk.say({"type": "stop"})
        frames = await talk.until("generation_stopped")
        assert frames[-2]["type"] == "job_update"
        assert frames[-2]["status"] == "cancelled"
        assert "error" not in types(frames)


async def test_the_commands_of_predict(live: Live) -> None:
    async with talking(port_of(live.server), path="/predict") as talk:
        started, *updates = await run(talk, workflow_id="echo", params={"message": "hi"})
        assert (started["message"], started["workflow_id"]) == ("Job started", "echo")
        assert "type" not in started
        assert updates[-1]["result"] == {"reply": "hi in plain"}
        assert set(updates[-1]) == {"type", "status", "job_id", "workflow_id", "message", "result", "error", "traceback"}
        job = started["job_id"]
        await talk.say({"command": "get_status", "data": {"job_id": job}})
        assert (await talk.hear())["status"] == "completed"
        await talk.say({"command": "get_status"})
        assert await talk.hear() == {"active_jobs": []}
        for command in ("reconnect_job", "cancel_job"):
            await talk.say({"command": command, "data": {}})
            assert await talk.hear() == {"error": "job_id is required"}
        await talk.say({"command": "dance"})
        assert await talk.hear() == {"error": "Unknown command"}
        assert "no such job" in (await talk.refused({"command": "reconnect_job", "data": {"job_id": "job_1"}}))["error"]
        assert "Workflow nowhere not found" in (await talk.refused({"command": "run_job", "data": {"workflow_id": "nowhere"}}))["error"]
        await talk.say({"command": "set_mode", "data": {"mode": "text"}})
        talk.binary = False
        assert await talk.hear() == {"message": "Mode set to text"}
        file = {"filename": "b.txt", "file_data": b64encode(b"words").decode()}
        assert (await run(talk, workflow_id="two", params={"paper": file}))[-1]["result"] == {"name": "b.txt", "again": "b.txt"}


async def test_a_job_goes_on_without_its_socket_and_is_reconnected_to_and_cancelled(live: Live) -> None:
    live.model.configure(latency_ms=20_000)
    params = {"message": "hi"}
    async with talking(port_of(live.server), path="/predict") as talk:
        await talk.say({"command": "run_job", "data": {"workflow_id": "echo", "params": params}})
        job: Any = (await talk.hear())["job_id"]
        await live.model.until(lambda stats: stats.inflight == 1)
    async with talking(port_of(live.server)) as other:
        await other.say({"command": "get_status"})
        assert [each["job_id"] for each in (await other.hear())["active_jobs"]] == [job]
        await other.say({"command": "reconnect_job", "data": {"job_id": job}})
        assert (await other.hear())["job_id"] == job
        assert "running" in [frame["status"] for frame in await other.until("node_update")]
        await other.say({"command": "cancel_job", "data": {"job_id": job}})
        async with asyncio.timeout(30):
            while (await other.hear()).get("status") != "cancelled":
                pass

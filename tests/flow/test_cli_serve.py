import asyncio
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.doubles.model_server import ModelServer

from .nanobot_process import LIMIT, ROOT, Nanobot, Server


def stream_over_a_signal(server: Server, number: signal.Signals) -> tuple[list[str], int]:
    """Ask for a stream, send the signal after its first event; returns all its events, and the server's exit code."""
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}], "stream": True}).encode()
    request = urllib.request.Request(f"{server.url}/v1/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=LIMIT) as response:
        events = [response.readline()]
        server.process.send_signal(number)
        events += response.readlines()
    return [event.decode().strip() for event in events if event.strip()], server.process.wait(LIMIT)


def test_serve_says_what_it_serves_where_with_which_model_and_why(tmp_path: Path):
    with Nanobot(folder=tmp_path).serving() as server:
        with urllib.request.urlopen(f"{server.url}/health", timeout=LIMIT) as response:
            assert response.status == 200
        assert server.said.splitlines() == [
            f"nanobot serves {server.url}/v1",
            f"  page           {server.url}/",
            "  model          offline (no provider is configured, no key is in the environment, and no model server answers on this machine)",
            "  configuration  the built-in defaults",
            f"  workspace      {tmp_path}/home/workspace",
            "  channels       none",
            f"  state          {tmp_path}/home",
        ]
    assert (tmp_path / "home" / "workspace" / "AGENTS.md").is_file()


def test_serve_names_keys_without_effect(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"agents": {"defaults": {"botName": "Kit"}}}))
    with Nanobot(folder=tmp_path).serving("--model", "offline") as server:
        assert server.said.splitlines()[-1] == "  agents.defaults.botName: known from nanobot, has no effect here"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_turns_end(tmp_path: Path, number: signal.Signals):
    async with ModelServer() as model:
        model.configure(chunks=10, chunk_delay_ms=50)
        env = {"NANOBOT_PROVIDERS__CUSTOM__API_BASE": model.url, "NANOBOT_AGENTS__DEFAULTS__MODEL": "custom/stand-in"}
        with Nanobot(folder=tmp_path, env=env).serving() as server:
            events, code = await asyncio.to_thread(stream_over_a_signal, server, number)
    assert "tok9" in "".join(events)
    assert (events[-1], code) == ("data: [DONE]", 0)


def test_a_port_in_use_is_one_sentence(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = Nanobot(folder=tmp_path)("serve", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == f"nanobot: 127.0.0.1:{port} is in use already: stop what listens there, or choose another port (--port, api.port).\n"
    )


def test_an_exposed_address_without_a_key_is_refused(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("serve", "--host", "0.0.0.0", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("nanobot: api.host is '0.0.0.0', which other machines can reach, and no api.apiKey is set")


def test_a_workspace_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = Nanobot(folder=tmp_path)("serve", "--port", "0", "--workspace", "file/workspace")
    assert done.returncode == 1
    assert done.stderr == f"nanobot: agents.defaults.workspace: {tmp_path}/file/workspace can't be made (Not a directory)\n"


def test_serve_does_not_pay_for_what_other_commands_import():
    heavy = ["rich", "readline", "sqlmodel", "sqlalchemy", "alembic", "aiohttp", "structlog", "PIL", "pypdf"]
    code = f"import sys; from assistant.cli.program import program; program(['serve']); print([name for name in {heavy} if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=True)
    assert seen.stdout.strip() == "[]"


def test_a_start_imports_no_second_pydantic(tmp_path: Path):
    with Nanobot(folder=tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"}).serving() as server:
        imported = {line.rpartition("|")[2].strip() for line in server.errors.read_text().splitlines()}
    assert {"fastapi.routing", "pydantic.v1.main"} & imported == {"fastapi.routing"}


def test_a_server_without_the_model_that_was_asked_for_is_not_ready(tmp_path: Path):
    with Nanobot(folder=tmp_path).serving("--model", "anthropic/claude-sonnet-5") as server:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{server.url}/ready", timeout=LIMIT)
        answer = json.loads(caught.value.read())
    assert (caught.value.code, answer["status"]) == (503, "not_ready")
    assert "needs ANTHROPIC_API_KEY" in str(answer["checks"])


async def test_a_fallback_takes_the_place_of_a_model_that_cannot_be_had(tmp_path: Path):
    env = {
        "NANOBOT_AGENTS__DEFAULTS__MODEL": "anthropic/claude-sonnet-5",
        "NANOBOT_AGENTS__DEFAULTS__FALLBACK_MODELS": '["openai/gpt-5-mini"]',
        "OPENAI_API_KEY": "sk-1",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }
    with Nanobot(folder=tmp_path, env=env).serving() as server:
        assert "openai, gpt-5-mini (" in server.said
        assert "the model anthropic/claude-sonnet-5 needs ANTHROPIC_API_KEY, which is not set)" in server.said

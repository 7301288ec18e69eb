"""The examples, each run unchanged against a server without a model."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.live_server import LiveServer, live_server, offline

EXAMPLES = Path(__file__).parents[2] / "examples"
NO_MODEL = "No model is configured"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("home"), config=offline()) as running:
        yield running


def run(server: LiveServer, *command: str | Path) -> str:
    """What the command prints; it must succeed."""
    result = subprocess.run(
        command, env={**os.environ, "NANOBOT_URL": server.url}, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


@needs_curl
def test_every_curl_call_is_answered(server: LiveServer) -> None:
    lines = run(server, "bash", EXAMPLES / "curl.sh").splitlines()
    answers: list[Any] = [json.loads(line) for line in lines if line.startswith("{")]
    message, picture, one_file, two_files = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert NO_MODEL in message
    assert "240×160" in picture
    assert "report.docx" in one_file
    assert "Workshop report" in one_file
    assert "chart.png" in two_files
    assert "data.xlsx" in two_files
    events = [line for line in lines if line.startswith("data: ")]
    assert len(events) > 3, "the stream came in one piece"
    assert events[-1] == "data: [DONE]"


@pytest.mark.parametrize("name", ["chat_requests.py", "chat_openai.py"])
def test_a_message_from_python_is_answered(server: LiveServer, name: str) -> None:
    assert NO_MODEL in run(server, sys.executable, EXAMPLES / name)


def test_an_upload_from_python_is_read(server: LiveServer) -> None:
    printed = run(server, sys.executable, EXAMPLES / "upload_requests.py")
    assert "report.docx" in printed
    assert "Workshop report" in printed
    assert "data.xlsx" in printed
    assert "Costs" in printed


def test_a_stream_from_python_ends_with_its_reason_and_usage(server: LiveServer) -> None:
    *words, reason, usage = run(server, sys.executable, EXAMPLES / "stream_openai.py").splitlines()
    assert NO_MODEL in "\n".join(words)
    assert reason == "[stop]"
    count, unit = usage.strip("[]").split()
    assert int(count) > 0
    assert unit == "tokens"


@pytest.mark.parametrize("command", ["serve", "chat-server"])
def test_the_chat_server_tells_its_health_and_models_and_answers_whole_and_as_a_stream(tmp_path: Path, command: str) -> None:
    with live_server(tmp_path / "home", config=offline(), command=command) as server:
        health, models, plain, stream, *_ = run(server, sys.executable, EXAMPLES / "chat_server_examples.py").splitlines()
    assert (health, models.split(", ")[0]) == ("health: ok", "models: offline")
    assert plain.startswith(f"plain: {NO_MODEL}")
    assert stream.removeprefix("stream: ") == plain.removeprefix("plain: ")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_a_stream_from_javascript_comes_to_its_end(server: LiveServer) -> None:
    printed = run(server, "node", EXAMPLES / "stream_fetch.mjs", "Grüße 👋")
    assert NO_MODEL in printed
    assert printed.endswith("\n[done]\n")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_a_conversation_over_a_socket_goes_on_in_one_thread(server: LiveServer) -> None:
    printed = run(server, "node", "--experimental-websocket", EXAMPLES / "chat_socket.mjs", "Grüße 👋", "again")
    assert printed.count(NO_MODEL) == 2
    threads = {line for line in printed.splitlines() if line.startswith("[thread_")}
    assert len(threads) == 1
    assert printed.endswith(("[closed 1005]\n", "[closed 1000]\n"))


def test_the_examples_that_the_readme_lists_are_those_there_are() -> None:
    listed = {line.split("`")[1] for line in (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")}
    assert listed == {path.name for path in EXAMPLES.iterdir() if path.suffix in {".sh", ".py", ".mjs"}}

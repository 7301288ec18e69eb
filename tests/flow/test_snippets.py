"""The calls of nanobot's own description of its API, run as they are printed there: only the address and the model's name are others."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import requests

from assistant.testing.live_server import LiveServer, live_server, offline

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT.parent / "shared" / "seeds" / "nanobot-openai-api.md"
FILES = ROOT / "examples" / "files"
PRINTED_AT = "http://127.0.0.1:8900"
PRINTED_MODEL = "MiniMax-M2.7"
PRINTED_PICTURE = "iVBOR..."

pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason="nanobot's description of its API is not beside this checkout")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("home"), config=offline()) as running:
        yield running


def curl_calls() -> list[str]:
    """Paragraphs that hold a call: each ends with an empty line, none contains one."""
    paragraphs = DOCUMENT.read_text(encoding="utf-8").split("\n\n")
    return [paragraph for paragraph in paragraphs if any(line.startswith("curl ") for line in paragraph.splitlines())]


def program(title: str, after: str | None) -> str:
    text = DOCUMENT.read_text(encoding="utf-8").partition(f"\n{title}\n")[2]
    return text.partition(f"\n{after}\n")[0] if after else text


def run(server: LiveServer, *command: str) -> str:
    model = requests.get(f"{server.url}/v1/models", timeout=10).json()["data"][0]["id"]
    words = [word.replace(PRINTED_AT, server.url).replace(PRINTED_MODEL, model) for word in command]
    result = subprocess.run(
        words, cwd=FILES, env=dict(os.environ), capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def answer(server: LiveServer, call: str) -> Any:
    return json.loads(run(server, "bash", "-c", call))


def content(reply: Any) -> str:
    assert "error" not in reply, reply
    return reply["choices"][0]["message"]["content"]


def test_all_of_the_document_is_found() -> None:
    assert len(curl_calls()) == 4
    assert "import requests" in program("Python (requests)", "Python (openai)")
    assert "from openai import OpenAI" in program("Python (openai)", None)


def test_the_plain_call_is_answered(server: LiveServer) -> None:
    assert content(answer(server, curl_calls()[0]))


def test_the_picture_that_the_document_cuts_short_is_refused_by_its_place(server: LiveServer) -> None:
    reply = answer(server, curl_calls()[1])
    assert reply["error"]["type"] == "invalid_request_error"
    assert reply["error"]["param"] == "messages.0.content.1.image_url.url"


def test_the_same_call_with_a_whole_picture_is_answered(server: LiveServer) -> None:
    picture = base64.b64encode((FILES / "chart.png").read_bytes()).decode()
    call = curl_calls()[1]
    assert PRINTED_PICTURE in call
    assert "240×160" in content(answer(server, call.replace(PRINTED_PICTURE, picture)))


def test_the_upload_of_one_file_is_read(server: LiveServer) -> None:
    assert "Workshop report" in content(answer(server, curl_calls()[2]))


def test_the_upload_of_several_files_is_read(server: LiveServer) -> None:
    said = content(answer(server, curl_calls()[3]))
    assert "chart.png" in said
    assert "data.xlsx" in said


@pytest.mark.parametrize(("title", "after"), [("Python (requests)", "Python (openai)"), ("Python (openai)", None)])
def test_the_python_programs_print_an_answer(server: LiveServer, title: str, after: str | None) -> None:
    assert run(server, sys.executable, "-c", program(title, after)).strip()

"""`nanobot chat-server`: chat and nothing else, with the defaults and the options of NodeTool's command."""

import json
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from tests.doubles.live_server import LiveServer, live_server, offline

from .nanobot_process import LIMIT, Nanobot

GREET = 'inputs: {message: text}\nnodes: {a: {kind: template, text: "Hello {{ inputs.message }}"}}\noutputs: {said: "{{ a.output }}"}\n'
NO_MODEL = "No model is configured"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    home = tmp_path_factory.mktemp("home")
    (home / "greet.yaml").write_text(GREET)
    arguments = ["--workflow", "greet.yaml", "--workflow", "morning-briefing", "--tools", "message,read_attachment", "--tools", "message"]
    with live_server(home, config=offline(), command="chat-server", args=arguments) as running:
        yield running


def ask(server: LiveServer, **fields: Any) -> requests.Response:
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    return requests.post(f"{server.url}/v1/chat/completions", json=body, timeout=LIMIT)


def test_there_is_chat_and_what_tells_how_it_fares_and_nothing_else(server: LiveServer) -> None:
    described = requests.get(f"{server.url}/openapi.json", timeout=LIMIT).json()
    assert set(described["paths"]) == {"/v1/chat/completions", "/v1/models", "/v1/models/{model_id}", "/health", "/ready"}
    assert requests.get(f"{server.url}/health", timeout=LIMIT).json()["status"] == "ok"
    for path in ("/v1/sessions", "/v1/files", "/workflows", "/v1/deliveries", "/hooks/x", "/chat", "/v1/embeddings"):
        answer = requests.get(f"{server.url}{path}", timeout=LIMIT)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_web_socket_is_not_there(server: LiveServer) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    answer = requests.get(f"{server.url}/chat", headers=headers, timeout=LIMIT)
    assert answer.status_code == 404
    assert "no WebSockets here" in answer.json()["error"]["message"]


def test_what_is_listed_can_be_asked_by_chat(server: LiveServer) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="YOUR_TOKEN")
    listed = [model.id for model in client.models.list().data]
    assert listed == ["offline", "agent:main", "workflow:greet", "workflow:morning-briefing"]
    answer = client.chat.completions.create(model="workflow:greet", messages=[{"role": "user", "content": "you"}])
    assert answer.choices[0].message.content == "Hello you"


def test_a_client_brings_its_history_under_the_models_own_name(server: LiveServer) -> None:
    messages = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}]
    for model in ({"model": "offline"}, {}):
        answer = ask(server, messages=messages, **model).json()
        assert NO_MODEL in answer["choices"][0]["message"]["content"]
        assert answer["model"] == "offline"


def test_the_port_is_its_own_whatever_the_configuration_says_of_nanobot_serve(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"api": {"port": 1, "host": "0.0.0.0"}}))
    with Nanobot(folder=tmp_path).serving(command="chat-server") as server:
        assert server.url.startswith("http://127.0.0.1:")
    assert "8080" in Nanobot(folder=tmp_path)("chat-server", "--help").stdout


def test_a_signal_ends_it_in_order(tmp_path: Path) -> None:
    with Nanobot(folder=tmp_path).serving(command="chat-server") as server:
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(LIMIT) == 0
        assert server.errors.read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "env", "why"),
    [
        (["--host", "0.0.0.0"], {}, "api.host is '0.0.0.0', which other machines can reach, and no api.apiKey is set (nor an auth.mode)"),
        (["--remote-auth"], {}, "auth.mode is 'supabase': set auth.supabase.url and auth.supabase.key, or SUPABASE_URL and SUPABASE_KEY."),
        (["--remote-auth"], {"SUPABASE_URL": "https://x.supabase.co"}, "auth.mode is 'supabase': set"),
        ([], {"NODETOOL_ENVIRONMENT": "production"}, "NODETOOL_ENVIRONMENT is 'production', and requests would need no key"),
        (
            ["--tools", "nope"],
            {},
            'agents.defaults.tools: there is no tool "nope"; there are: list_attachments, read_attachment, list_files, find_files, '
            "search_files, read_file, write_file, edit_file, move_file, delete_file, run, fetch_page, search_web, message, remember, recall",
        ),
        (["--workflow", "nope"], {}, "workflows.models: there is no workflow 'nope'; there are: compare-documents, morning-briefing"),
        (["--workflow", "nope.yaml"], {}, "workflows.models: there is no file "),
        (["--workflow", "not in order.yaml"], {}, "workflows.models: 'not in order' can't be a workflow's id"),
        (["--workflow", "bad.yaml"], {}, "workflows.models: workflows/bad.yaml, line 1: node 'a' needs 'prompt'."),
        (["--workflow", "bad.yaml", "--workflow", "other/bad.yaml"], {}, "would both be the workflow bad"),
        (["--provider", "nope"], {}, "'nope' is not a known provider."),
    ],
)
def test_what_it_can_not_serve_with_is_one_line(tmp_path: Path, arguments: list[str], env: dict[str, str], why: str) -> None:
    (tmp_path / "other").mkdir()
    for name in ("bad.yaml", "not in order.yaml", "other/bad.yaml"):
        (tmp_path / name).write_text("nodes: {a: {kind: prompt}}")
    done = Nanobot(folder=tmp_path, env=env)("chat-server", "--port", "0", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr
    assert done.stderr.startswith("nanobot: ")
    assert done.stderr.count("\n") == 1


def test_production_with_a_key_is_served(tmp_path: Path) -> None:
    env = {"NODETOOL_ENVIRONMENT": "production", "NANOBOT_API__API_KEY": "k"}
    with Nanobot(folder=tmp_path, env=env).serving(command="chat-server") as server:
        assert requests.get(f"{server.url}/v1/models", timeout=LIMIT).status_code == 401
        assert requests.get(f"{server.url}/v1/models", headers={"Authorization": "Bearer k"}, timeout=LIMIT).status_code == 200

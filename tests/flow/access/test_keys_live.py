"""Keys by the command line, on servers that run: two processes on one store."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.doubles.live_server import LiveServer, live_server, offline
from tests.doubles.model_server import ModelServer
from tests.flow.nanobot_process import Nanobot

ROOT = Path(__file__).parents[3]


@pytest.fixture
def nanobot(tmp_path: Path, url: str) -> Nanobot:
    return Nanobot(folder=tmp_path, env={"NANOBOT_STORE__URL": url, "NANOBOT_AUTH__MODE": "keys"})


@pytest.fixture
def servers(tmp_path: Path, url: str, nanobot: Nanobot) -> Generator[tuple[LiveServer, LiveServer]]:
    nanobot("keys", "list")  # makes the store, so that the two need not do it at the same time
    config = {**offline(), "store": {"url": url}, "auth": {"mode": "keys"}}
    with live_server(tmp_path / "one", config=config) as one, live_server(tmp_path / "two", config=config) as two:
        yield one, two


def created(nanobot: Nanobot, *options: str) -> tuple[str, str]:
    """The secret and the id of a new key."""
    done = nanobot("keys", "create", *options)
    assert done.returncode == 0, done.stderr
    found = re.search(r"key ([0-9a-f]{12}) ", done.stderr)
    assert found
    return done.stdout.strip(), found[1]


def ask(server: LiveServer, secret: str) -> httpx2.Response:
    return httpx2.get(f"{server.url}/v1/models", headers={"authorization": f"Bearer {secret}"}, timeout=30)


def until_refused(server: LiveServer, secret: str) -> None:
    """Asks no more behind the first refusal: ten would block this machine."""
    end = time.monotonic() + 30
    while time.monotonic() < end and ask(server, secret).status_code == 200:
        pass


def test_a_key_lives_from_its_making_to_its_end_on_servers_that_run(nanobot: Nanobot, servers: tuple[LiveServer, LiveServer]) -> None:
    secret, key_id = created(nanobot, "build server", "--scope", "chat,models", "--rpm", "600", "--model", "off*", "--expires", "30d")
    assert re.fullmatch(r"nbk_[\w-]{43}", secret)
    for server in servers:
        assert ask(server, secret).status_code == 200
        assert ask(server, "nbk_" + "a" * 43).status_code == 401
        assert httpx2.get(f"{server.url}/v1/sessions", headers={"authorization": f"Bearer {secret}"}, timeout=30).status_code == 403
    listed = nanobot("keys", "list").stdout
    assert all(word in listed for word in (key_id, "build server", secret[:8], "chat, models", "off*", "600 requests/min", "until 2"))
    assert secret not in listed
    done = nanobot("keys", "rotate", "build server", "--overlap", "1h")
    new = done.stdout.strip()
    assert [ask(servers[0], each).status_code for each in (secret, new)] == [200, 200]
    newest = nanobot("keys", "rotate", key_id).stdout.strip()
    for server in servers:
        until_refused(server, new)
    assert [ask(server, each).status_code for server in servers for each in (secret, new, newest)] == [401, 401, 200] * 2
    assert nanobot("keys", "revoke", newest[:8]).returncode == 0
    for server in servers:
        until_refused(server, newest)
    assert {ask(server, newest).status_code for server in servers} == {401}
    assert len(nanobot("keys", "list").stdout.splitlines()) == 1
    assert "revoked 2" in nanobot("keys", "list", "--all").stdout
    for server in servers:
        assert secret not in server.log.read_text()
        assert newest not in server.log.read_text()


async def test_two_processes_count_one_keys_requests_together_exactly(nanobot: Nanobot, servers: tuple[LiveServer, LiveServer]) -> None:
    secret, _ = created(nanobot, "shared", "--rpm", "40")
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {secret}"}, timeout=30) as client:
        answers = await asyncio.gather(*[client.get(f"{servers[number % 2].url}/v1/models") for number in range(100)])
    assert sorted(answer.status_code for answer in answers) == [200] * 40 + [429] * 60


async def test_the_official_client_understands_the_refusals(nanobot: Nanobot, servers: tuple[LiveServer, LiveServer]) -> None:
    secret, _ = created(nanobot, "client", "--scope", "chat", "--rpm", "2")
    async with openai.AsyncOpenAI(base_url=f"{servers[0].url}/v1", api_key=secret, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError):
            await client.models.list()
        answer = await client.chat.completions.with_raw_response.create(model="offline", messages=[{"role": "user", "content": "hi"}])
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as refusal:
            await client.chat.completions.create(model="offline", messages=[{"role": "user", "content": "hi"}])
        assert refusal.value.code == "rate_limit_exceeded"
        assert 0 < int(refusal.value.response.headers["retry-after-ms"]) <= 60_000
    async with openai.AsyncOpenAI(base_url=f"{servers[0].url}/v1", api_key="nbk_wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_real_usage_settles_what_was_reserved(nanobot: Nanobot, tmp_path: Path, url: str) -> None:
    """The model says what it took: 200 tokens, of the 1,000 that were reserved."""
    async with ModelServer() as model:
        config: dict[str, Any] = {
            "agents": {"defaults": {"provider": "custom", "model": "fake-model"}},
            "providers": {"custom": {"apiBase": model.url, "apiKey": "not-a-secret"}},
            "store": {"url": url},
        }
        with live_server(tmp_path / "one", config=config) as server:
            secret, _ = created(nanobot, "counted", "--tpm", "1000")
            async with httpx2.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {secret}"}, timeout=30) as client:
                body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 900}
                first = await client.post("/v1/chat/completions", json=body)
                assert first.status_code == 200
                used = first.json()["usage"]["total_tokens"]
                second = await client.get("/v1/models")
                assert int(second.headers["x-ratelimit-remaining-tokens"]) == 1000 - used
                assert int(first.headers["x-ratelimit-remaining-tokens"]) <= 100


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_a_person_gets_wrong_is_said_in_a_line(nanobot: Nanobot) -> None:
    for arguments, words in (
        (("create", "a", "--scope", "root"), "There is no scope 'root'"),
        (("create", "a", "--expires", "soon"), "such as 30m, 12h or 90d"),
        (("create", " "), "1 to 100 printable characters"),
        (("create", "a\x1b[31m"), "1 to 100 printable characters"),
        (("create", "x" * 101), "1 to 100 printable characters"),
        (("revoke", "nobody"), "There is no such key"),
        (("rotate", "nobody"), "There is no such key"),
    ):
        done = nanobot("keys", *arguments)
        assert (done.returncode, done.stdout) == (1, ""), arguments
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert nanobot("keys", "create", "a", "--rpm", "0").returncode == 2
    created(nanobot, "twin")
    created(nanobot, "twin")
    assert "There are 2 such keys" in nanobot("keys", "revoke", "twin").stderr


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_key_for_a_server_that_asks_nobody_comes_with_a_note(nanobot: Nanobot) -> None:
    open_one = Nanobot(folder=nanobot.folder, env={**nanobot.env, "NANOBOT_AUTH__MODE": ""})
    assert "note: the server requires no key" in open_one("keys", "create", "a").stderr
    assert "note:" not in nanobot("keys", "create", "b").stderr


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"NANOBOT_AUTH__MODE": "token"}, "auth.mode is 'token', and there is none"),
        ({"AUTH_PROVIDER": "static"}, "auth.mode is 'token', and there is none"),
        ({"NANOBOT_AUTH__MODE": "password"}, "auth.mode is 'password', and there is none"),
        ({"NANOBOT_AUTH__MODE": "supabase", "SUPABASE_URL": "https://x.supabase.co"}, "set auth.supabase.url and auth.supabase.key"),
        ({"NANOBOT_AUTH__MODE": "none", "NANOBOT_GATEWAY_TOKEN": "t"}, "remove one or the other"),
        ({"NANOBOT_AUTH__MODE": "none", "NANOBOT_API__HOST": "0.0.0.0"}, "which other machines can reach"),
        ({"NANOBOT_API__API_KEY": "nbk_mine"}, "can't begin with 'nbk_'"),
        ({"NANOBOT_AUTH__MODE": "open"}, "auth.mode"),
        ({"NANOBOT_AUTH__MODE": "supabase", "SUPABASE_URL": "ftp://x", "SUPABASE_KEY": "k"}, "auth.supabase.url"),
    ],
)
def test_a_server_that_could_not_tell_who_asks_does_not_start(tmp_path: Path, env: dict[str, str], words: str) -> None:
    done = Nanobot(folder=tmp_path, env=env)("serve", "--port", "0")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_pyjwt_is_loaded_only_where_tokens_are_checked() -> None:
    code = "import assistant.app.serving, sys; print(*{'jwt', 'cryptography'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert json.dumps(done.stdout.strip()) == '""'

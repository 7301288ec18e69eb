"""An installed package adds a tool and a channel to a real `nanobot` process, without a line here."""

import asyncio
import json
import shutil
import signal
from pathlib import Path

import httpx2
import jsonschema_rs
import pytest

from tests.doubles.model_server import ModelServer
from tests.flow.nanobot_process import LIMIT, ROOT, Nanobot

POINTS = "[nanobot.tools]\nroll_dice = pigeons_of_a_test:DICE\n[nanobot.channels]\npigeon-post = pigeons_of_a_test:PIGEONS\n"


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    """With the package installed."""
    site = tmp_path / "site"
    (site / "pigeons-1.0.dist-info").mkdir(parents=True)
    (site / "pigeons-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\n")
    (site / "pigeons-1.0.dist-info" / "entry_points.txt").write_text(POINTS)
    shutil.copy(Path(__file__).with_name("pigeons.py"), site / "pigeons_of_a_test.py")
    return Nanobot(folder=tmp_path, env={"PYTHONPATH": f"{ROOT}:{site}"})


async def ask(client: httpx2.AsyncClient, text: str) -> str:
    response = await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": text}]})
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


async def test_a_package_adds_a_tool_and_a_channel(tmp_path: Path, nanobot: Nanobot) -> None:
    async with ModelServer() as model:
        nanobot.env["NANOBOT_TOOLS__ROLL_DICE__KEY"] = "chips"
        content = {
            "providers": {"custom": {"apiBase": model.url}},
            "agents": {"defaults": {"model": "custom/stand-in", "mayMessage": "any"}},
            "channels": {"pigeon-post": {"enabled": True, "loft": str(tmp_path)}},
            "tools": {"rollDice": {"sides": 20}},
        }
        (tmp_path / "config.json").write_text(json.dumps(content))
        with nanobot.serving() as server:
            assert "channels       pigeon-post\n" in server.said
            async with httpx2.AsyncClient(base_url=server.url, timeout=LIMIT) as client:
                await ask(client, "CALLTOOL roll_dice {}")
                assert "20 of 20, nanobot paid with chips" in model.bodies[-1].decode()
                await ask(client, 'CALLTOOL message {"channel": "pigeon-post", "chat_id": "ada", "content": "coo"}')
                assert "sent (message 1)" in model.bodies[-1].decode()
                reserved = await client.post(
                    "/v1/chat/completions", json={"session_id": "pigeon-post:ada", "messages": [{"role": "user", "content": "x"}]}
                )
                assert (reserved.status_code, "pigeon-post:" in reserved.text) == (400, True)
            assert (tmp_path / "ada").read_text() == "coo"
            server.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(server.process.wait, LIMIT) == 0
    assert (nanobot.home / "workspace" / "closed").read_text() == "closed"


def test_its_settings_are_checked_and_described_like_ours(tmp_path: Path, nanobot: Nanobot) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"tools": {"rollDice": {"key": "${NO_KEY}", "side": 3}}, "channels": {"pigeonPost": {"lofts": "x"}}}))
    assert nanobot("config", "check").stderr.splitlines() == [
        f'nanobot: {file}: channels.pigeonPost.lofts: there is no such key; did you mean "channels.pigeonPost.loft"?',
        f'{file}: tools.rollDice.side: there is no such key; did you mean "tools.rollDice.sides"?',
        f"{file}: tools.rollDice.key: the environment variable NO_KEY is not set",
    ]
    content = {"tools": {"rollDice": {"key": "k", "sides": 3}}, "channels": {"pigeonPost": {"loft": "/loft"}}}
    file.write_text(json.dumps(content))
    schema = jsonschema_rs.validator_for(json.loads(nanobot("config", "schema").stdout))
    assert schema.is_valid(content)
    assert not schema.is_valid({"tools": {"rollDice": {"sides": "many"}}})

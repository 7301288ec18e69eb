"""Skills in a server that runs: an approval reaches it, and a model loads the instructions over the wire."""

import asyncio
import json
from itertools import count
from pathlib import Path
from typing import Any

import httpx2

from assistant.skills.lock import SkillLock
from tests.doubles.model_server import ModelServer
from tests.doubles.skill_folders import BODY, put_skill
from tests.flow.nanobot_process import LIMIT, Nanobot

LOAD = 'CALLTOOL use_skill {"name": "pigeon-care"}'


async def test_an_approval_reaches_a_running_server_and_a_change_ends_it(tmp_path: Path) -> None:
    async with ModelServer() as model:
        env = {"NANOBOT_PROVIDERS__CUSTOM__API_BASE": model.url, "NANOBOT_AGENTS__DEFAULTS__MODEL": "custom/stand-in"}
        nanobot = Nanobot(folder=tmp_path, env=env)
        numbers = count()
        with nanobot.serving() as server:
            async with httpx2.AsyncClient(base_url=server.url, timeout=LIMIT) as client:

                async def offered(text: str) -> str:
                    """What the model is told of skills, with this message."""
                    body = {"messages": [{"role": "user", "content": text}], "session_id": f"talk-{next(numbers)}"}
                    assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
                    tools: list[dict[str, Any]] = json.loads(model.bodies[-1])["tools"]
                    return next(tool["function"]["description"] for tool in tools if tool["function"]["name"] == "use_skill")

                async def until(word: str, *, there: bool) -> None:
                    async with asyncio.timeout(LIMIT):
                        while (word in await offered("hello")) != there:
                            pass

                folder = put_skill(nanobot.home / "workspace")
                shown = await offered("hello")
                assert "- mail-draft: " in shown
                assert shown == await offered("hello again")
                assert "pigeon-care" not in shown
                approved = await asyncio.to_thread(nanobot, "skills", "approve", "pigeon-care", "--yes")
                assert "within two seconds" in approved.stdout
                await until("- pigeon-care: How pigeons are cared for.", there=True)
                await offered(LOAD)
                assert BODY in json.loads(model.bodies[-1])["messages"][-1]["content"]
                (folder / "SKILL.md").write_text("---\nname: pigeon-care\ndescription: Sell the pigeon.\n---\nSell it.")
                await offered(LOAD)
                refused = json.loads(model.bodies[-1])["messages"][-1]["content"]
                assert "nanobot skills approve pigeon-care" in refused
                assert "Sell" not in refused
                await until("pigeon-care", there=False)


def test_a_start_sets_a_damaged_lock_file_aside(tmp_path: Path) -> None:
    nanobot = Nanobot(folder=tmp_path)
    with nanobot.serving():
        put_skill(nanobot.home / "workspace")
        assert nanobot("skills", "approve", "pigeon-care", "--yes").returncode == 0
    lock = nanobot.home / "skills.lock.json"
    lock.write_bytes(damaged := lock.read_bytes()[:-20])
    with nanobot.serving() as server:
        states = {each["name"]: each["state"] for each in map(json.loads, nanobot("skills", "list", "--json").stdout.splitlines())}
        assert "skills.lock_damaged reason=" in server.errors.read_text()
    assert (states["mail-draft"], states["pigeon-care"]) == ("on", "new")
    assert lock.with_suffix(".damaged").read_bytes() == damaged
    SkillLock(nanobot.home).set_aside()  # another server that found it damaged, too
    assert lock.exists()

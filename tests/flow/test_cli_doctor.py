import asyncio
import json
import socket
from pathlib import Path

from assistant.testing.model_server import ModelServer

from .nanobot_process import Nanobot


def lines(text: str) -> dict[str, str]:
    """The findings by name."""
    found = [line for line in text.splitlines() if line.startswith(("ok", "WRONG"))]
    return {line.split()[1]: line for line in found}


def test_without_a_model_doctor_says_so_and_how_to_mend_it(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("doctor")
    found = lines(done.stdout)
    assert done.returncode == 1
    assert [name for name, line in found.items() if line.startswith("WRONG")] == ["model"]
    assert list(found) == ["configuration", "disk", "workspace", "store", "documents", "address", "model"]
    assert "to mend it: export OPENAI_API_KEY=" in done.stdout


def test_offline_by_configuration_is_not_wrong(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("doctor", "--model", "offline")
    assert done.returncode == 0, done.stdout


async def test_a_model_that_answers_is_not_wrong(tmp_path: Path):
    async with ModelServer() as server:
        env = {"NANOBOT_PROVIDERS__CUSTOM__API_BASE": server.url, "NANOBOT_AGENTS__DEFAULTS__PROVIDER": "custom"}
        done = await asyncio.to_thread(Nanobot(folder=tmp_path, env=env), "doctor", "--model", "stand-in")
    found = lines(done.stdout)["model"]
    assert found.startswith("ok"), found
    assert "its provider answers" in found


def test_a_provider_that_is_not_there_is_wrong_and_the_key_is_not_shown(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    env = {"OPENAI_API_KEY": "sk-secret-key-of-mine", "NANOBOT_PROVIDERS__OPENAI__API_BASE": f"http://127.0.0.1:{port}/v1"}
    done = Nanobot(folder=tmp_path, env=env)("doctor")
    assert done.returncode == 1
    assert lines(done.stdout)["model"].startswith("WRONG")
    assert "secret" not in done.stdout + done.stderr


def test_a_store_that_cannot_be_opened_is_wrong(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"store": {"url": f"sqlite:///{tmp_path}/file/nanobot.db"}}))
    (tmp_path / "file").write_text("")
    done = Nanobot(folder=tmp_path)("doctor", "--model", "offline")
    assert lines(done.stdout)["store"].startswith("WRONG"), done.stdout + done.stderr


def test_an_exposed_address_without_a_key_is_wrong(tmp_path: Path):
    done = Nanobot(folder=tmp_path, env={"NANOBOT_API__HOST": "0.0.0.0"})("doctor", "--model", "offline")
    assert lines(done.stdout)["address"].startswith("WRONG")
    assert "to mend it: export NANOBOT_API__API_KEY=" in done.stdout


def test_a_port_in_use_is_said(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = {"NANOBOT_API__PORT": str(taken.getsockname()[1])}
        done = Nanobot(folder=tmp_path, env=env)("doctor", "--model", "offline")
    assert done.returncode == 0
    assert "is in use" in lines(done.stdout)["address"]

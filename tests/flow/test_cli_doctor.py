import asyncio
import json
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest

from assistant.documents.ocr import is_installed
from tests.doubles.model_server import ModelServer
from tests.doubles.s3_server import S3Server
from tests.postgres import passing_database

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
    assert list(found) == ["configuration", "disk", "workspace", "store", "documents", "sandbox", "skills", "address", "model"]
    assert "to fix it: export OPENAI_API_KEY=" in done.stdout


def test_what_is_off_is_named_and_not_wrong(tmp_path: Path):
    nanobot = Nanobot(folder=tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"mcpServers": {"notes": {"command": "notes"}}}))
    assert nanobot("skills", "list").returncode == 0
    with (nanobot.home / "workspace/skills/mail-draft/SKILL.md").open("a") as file:
        file.write("More.")
    done = nanobot("doctor", "--model", "offline")
    assert done.returncode == 0
    assert "2 on, 1 off (nanobot skills check names them)" in done.stdout
    assert "0 of 1 were connected before; nanobot mcp test NAME connects notes" in done.stdout
    (nanobot.home / "skills.lock.json").write_text("{")
    assert "WRONG  skills" in nanobot("doctor", "--model", "offline").stdout


def test_offline_by_configuration_is_not_wrong(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("doctor", "--model", "offline")
    assert done.returncode == 0, done.stdout
    found = [json.loads(line) for line in Nanobot(folder=tmp_path)("doctor", "--json", "--model", "offline").stdout.splitlines()]
    assert [each["name"] for each in found] == list(lines(done.stdout))
    assert all(each["ok"] and each["fix"] is None for each in found)


async def test_a_model_that_answers_is_not_wrong(tmp_path: Path):
    async with ModelServer() as server:
        env = {"NANOBOT_PROVIDERS__CUSTOM__API_BASE": server.url, "NANOBOT_AGENTS__DEFAULTS__PROVIDER": "custom"}
        done = await asyncio.to_thread(Nanobot(folder=tmp_path, env=env), "doctor", "--model", "stand-in")
    found = lines(done.stdout)["model"]
    assert found.startswith("ok"), found
    assert found.endswith("its provider answers")


async def test_a_model_without_eyes_is_named_with_what_reads_pictures_for_it(tmp_path: Path):
    async with ModelServer() as server:
        env = {"NANOBOT_PROVIDERS__CUSTOM__API_BASE": server.url, "NANOBOT_AGENTS__DEFAULTS__PROVIDER": "custom"}
        blind = {**env, "NANOBOT_PROVIDERS__CUSTOM__VISION": "false"}
        done = await asyncio.to_thread(Nanobot(folder=tmp_path, env=blind), "doctor", "--model", "stand-in")
    found = lines(done.stdout)["model"]
    assert found.startswith("ok"), found
    words = "their words are read by OCR" if is_installed() else "for their words: pip install 'nanobot[ocr]'"
    assert found.endswith(f"its provider answers; it takes no pictures; {words}")


def test_a_provider_that_is_not_there_is_wrong_and_the_key_is_not_shown(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    env = {"OPENAI_API_KEY": "sk-secret-key-of-mine", "NANOBOT_PROVIDERS__OPENAI__API_BASE": f"http://127.0.0.1:{port}/v1"}
    done = Nanobot(folder=tmp_path, env=env)("doctor")
    assert done.returncode == 1
    assert lines(done.stdout)["model"].startswith("WRONG")
    assert f"to fix it: start what should answer at http://127.0.0.1:{port}/v1" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_a_store_that_cannot_be_opened_is_wrong(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"store": {"url": f"sqlite:///{tmp_path}/file/nanobot.db"}}))
    (tmp_path / "file").write_text("")
    done = Nanobot(folder=tmp_path)("doctor", "--model", "offline")
    assert lines(done.stdout)["store"].startswith("WRONG"), done.stdout + done.stderr


async def test_where_servers_on_a_postgresql_keep_files_is_tried(postgres_server: str, tmp_path: Path):
    async with S3Server() as s3:
        with passing_database(postgres_server) as url:
            for s3_config, well in ((s3.config, True), ({**s3.config, "bucket": "another"}, False)):
                config = {"store": {"url": url, "files": "s3", "s3": s3_config}}
                (tmp_path / "config.json").write_text(json.dumps(config))
                done = await asyncio.to_thread(Nanobot(folder=tmp_path), "doctor", "--model", "offline")
                found = lines(done.stdout)["files"]
                if well:
                    assert found.startswith("ok"), found
                    assert "in the S3 store, written and read" in found
                else:
                    assert found.startswith("WRONG"), found
                    assert "refuses: NoSuchBucket" in found
                    assert "to fix it: correct store.s3" in done.stdout
            assert s3.objects == {}


def test_an_exposed_address_without_a_key_is_wrong(tmp_path: Path):
    done = Nanobot(folder=tmp_path, env={"NANOBOT_API__HOST": "0.0.0.0"})("doctor", "--model", "offline")
    assert lines(done.stdout)["address"].startswith("WRONG")
    assert "to fix it: export NANOBOT_API__API_KEY=" in done.stdout


def test_what_is_found_steers_no_terminal(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("doctor", "--model", "offline", "--workspace", f"{tmp_path}/a\x1b[2J")
    assert lines(done.stdout)["workspace"] == f"ok     workspace      {tmp_path}/a\ufffd[2J, made at the first start"


def test_a_port_in_use_is_said(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = {"NANOBOT_API__PORT": str(taken.getsockname()[1])}
        done = Nanobot(folder=tmp_path, env=env)("doctor", "--model", "offline")
    assert done.returncode == 0
    assert "is in use" in lines(done.stdout)["address"]


async def test_a_refused_key_of_the_configuration_is_mended_there(tmp_path: Path):
    async with ModelServer() as server:
        server.configure(mode="401")
        env = {"NANOBOT_PROVIDERS__OPENAI__API_BASE": server.url, "NANOBOT_PROVIDERS__OPENAI__API_KEY": "sk-mine-1234567890"}
        done = await asyncio.to_thread(Nanobot(folder=tmp_path, env=env), "doctor")
    assert lines(done.stdout)["model"].startswith("WRONG")
    assert "to fix it: correct providers.openai.apiKey" in done.stdout


def test_a_model_without_its_key_is_told_which_key(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("doctor", "--model", "anthropic/claude-sonnet-5")
    assert lines(done.stdout)["model"].startswith("WRONG")
    assert "to fix it: export ANTHROPIC_API_KEY=<your key>" in done.stdout


def test_a_state_folder_that_cannot_be_made_does_not_end_the_examination(tmp_path: Path):
    (tmp_path / "home").write_text("")
    done = Nanobot(folder=tmp_path)("doctor", "--model", "offline")
    found = lines(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert found["store"].startswith("WRONG")
    assert f"{tmp_path}/home is not a folder" in found["store"]
    assert found["model"].startswith("ok")


def channel_findings(folder: Path, **channels: object) -> str:
    (folder / "config.json").write_text(json.dumps({"channels": channels}))
    warnings = {"PYTHONWARNINGS": "error,ignore::DeprecationWarning"}  # apprise imports what Python is about to drop
    return Nanobot(folder=folder, env=warnings)("doctor", "--model", "offline").stdout


def test_a_platform_that_is_not_reached_is_not_the_configurations_fault(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = channel_findings(tmp_path, telegram={"enabled": True, "token": "1:x", "apiBase": f"http://127.0.0.1:{port}"})
    assert lines(said)["telegram"].startswith("WRONG")
    assert "to fix it: check this machine's connection to it" in said
    assert "correct channels.telegram" not in said


def test_a_service_of_which_nothing_can_be_made_is_wrong(tmp_path: Path):
    said = channel_findings(tmp_path, apprise={"enabled": True, "services": {"good": "json://127.0.0.1:1/x", "odd": "nonsense://x"}})
    assert lines(said)["apprise"].startswith("WRONG")
    assert "to fix it: correct channels.apprise in the configuration" in said


def test_a_model_that_is_a_file_is_looked_at_and_not_loaded(tmp_path: Path):
    (tmp_path / "there.gguf").write_bytes(b"GGUF\3\0\0\0" + bytes(16))
    (tmp_path / "other.gguf").write_bytes(b"PK")
    models = {name: {"path": f"{name}.gguf"} for name in ("there", "other", "missing")}
    (tmp_path / "config.json").write_text(json.dumps({"models": models}))
    stand_in = Path(__file__).parents[1] / "doubles" / "llama"
    nanobot = Nanobot(folder=tmp_path, env={"PYTHONPATH": f"{stand_in}:{stand_in.parents[2]}"})
    done = nanobot("doctor", "--model", "offline", "--config", "config.json")
    found = lines(done.stdout)
    assert found["models.there"].startswith("ok"), done.stdout
    assert str(tmp_path / "there.gguf") in found["models.there"]
    assert "is not a GGUF file" in found["models.other"]
    assert "nothing at its path" in found["models.missing"]
    assert "to fix it: correct models.missing.path" in done.stdout
    assert done.returncode == 1


def test_a_model_that_is_a_file_and_nothing_to_run_it_with_is_wrong(tmp_path: Path):
    if find_spec("llama_cpp") is not None:
        pytest.skip("llama-cpp-python is installed here")
    (tmp_path / "there.gguf").write_bytes(b"GGUF\3\0\0\0" + bytes(16))
    (tmp_path / "config.json").write_text(json.dumps({"models": {"there": {"path": "there.gguf"}}}))
    done = Nanobot(folder=tmp_path)("doctor", "--model", "offline", "--config", "config.json")
    assert lines(done.stdout)["models.there"].startswith("WRONG")
    assert "nanobot[local]" in done.stdout

import json
from pathlib import Path

import pytest

from .nanobot_process import Nanobot


def write(folder: Path, content: object) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(content))
    return file


def test_show_prints_all_that_holds_and_masks_what_is_secret(tmp_path: Path):
    content = {
        "providers": {"openai": {"apiKey": "sk-secret-1", "extraHeaders": {"x-key": "secret-2"}}},
        "api": {"apiKey": "${MY_KEY}"},
        "store": {"url": "postgresql://me:secret-4@db/nanobot"},
    }
    write(tmp_path, content)
    done = Nanobot(folder=tmp_path, env={"MY_KEY": "secret-3", "NANOBOT_API__PORT": "9000"})("config", "show")
    assert done.returncode == 0, done.stderr
    assert "secret-" not in done.stdout + done.stderr
    shown = json.loads(done.stdout)
    assert shown["api"]["port"] == 9000
    assert shown["api"]["apiKey"] == "**********"
    assert shown["store"]["url"] == "postgresql://me:**********@db/nanobot"
    assert shown["agents"]["defaults"]["maxToolIterations"] == 40


def test_path_prints_the_file_in_use(tmp_path: Path):
    file = write(tmp_path, {})
    assert Nanobot(folder=tmp_path)("config", "path").stdout == f"{file}\n"
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert Nanobot(folder=tmp_path)("config", "path", "--config", "other.json").stdout == f"{other}\n"


def test_path_says_when_there_is_no_file(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("config", "path")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the built-in defaults hold" in done.stderr


def test_check_names_the_keys_without_effect(tmp_path: Path):
    file = write(tmp_path, {"channels": {"sendProgress": True, "qq": {"enabled": True}}, "providers": {"bedrock": {"apiKey": "x"}}})
    done = Nanobot(folder=tmp_path)("config", "check")
    assert done.stdout.splitlines() == [
        "channels.sendProgress: known from nanobot, has no effect here",
        "channels.qq: known from nanobot, has no effect here",
        "providers.bedrock: known from nanobot, has no effect here",
        f"{file}: right, 3 without effect",
    ]


@pytest.mark.parametrize("command", [("config", "check"), ("sessions", "list"), ("doctor",), ("chat", "hi"), ("serve",)])
def test_a_wrong_configuration_is_one_line_and_exit_code_1(tmp_path: Path, command: tuple[str, ...]):
    file = write(tmp_path, {"api": {"prot": 9000}})
    done = Nanobot(folder=tmp_path)(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f'nanobot: {file}: api.prot: there is no such key; did you mean "api.port"?\n'


def test_wrong_usage_is_exit_code_2(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("config", "check", "--confgi", "x")
    assert done.returncode == 2
    assert "--config" in done.stderr


def test_an_unknown_command_is_exit_code_2(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("serv")
    assert done.returncode == 2
    assert "serv" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("chat-server",),
        ("chat",),
        ("doctor",),
        ("sessions", "list"),
        ("sessions", "show"),
        ("sessions", "export"),
        ("sessions", "delete"),
        ("config", "show"),
        ("config", "path"),
        ("config", "check"),
        ("config", "schema"),
    ],
)
def test_every_command_teaches_with_an_example(tmp_path: Path, command: tuple[str, ...]):
    done = Nanobot(folder=tmp_path)(*command, "--help")
    assert done.returncode == 0
    assert "Example: " in done.stdout
    assert f"nanobot {' '.join(command)}" in done.stdout


def test_help_names_every_command(tmp_path: Path):
    done = Nanobot(folder=tmp_path)("--help")
    assert all(f"\n  {name} " in done.stdout for name in ("serve", "chat-server", "chat", "doctor", "sessions", "config"))

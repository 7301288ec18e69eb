"""What the Dockerfile starts, without Docker: as another user, without HOME, on a read-only root, as process 1; services of systemd and launchd."""

import json
import os
import plistlib
import re
import shutil
import signal
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from assistant.cli.service import launchd_agent, systemd_unit
from assistant.config import load_config
from assistant.contracts.errors import InvalidRequest
from assistant.sandbox.bubblewrap import programs
from tests.doubles.live_server import free_port, live_server

from .nanobot_process import LIMIT, ROOT, Nanobot

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LAST = DOCKERFILE.rpartition("\nFROM ")[2]


def written(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction}\s+(.*)$", LAST, re.MULTILINE)


def test_what_the_image_copies_is_sent_and_is_there() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()}
    assert copied == sent
    assert all((ROOT / name).exists() for name in sent)


@pytest.fixture
def bwrap() -> str:
    for found in programs():
        line = [found, "--ro-bind", "/", "/", "--unshare-user", "--uid", "10001", "--unshare-pid", "--proc", "/proc", "true"]
        if subprocess.run(line, capture_output=True, check=False).returncode == 0:
            return found
    pytest.skip("bubblewrap can make no namespaces here")


def test_the_image_runs_without_root_home_or_a_root_that_can_be_written(tmp_path: Path, bwrap: str) -> None:
    (tmp_path / "data").mkdir(mode=0o777)
    (tmp_path / "data").chmod(0o777)
    values = dict(re.findall(r"(\w+)=(\S+)", " ".join(written("ENV"))))
    values |= {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    values |= {"NANOBOT_API__API_KEY": "k" * 32, "NANOBOT_API__PORT": str(free_port()), "NANOBOT_AGENTS__DEFAULTS__MODEL": "offline"}
    shown = [str(path) for path in sorted(Path("/").iterdir()) if path.name not in ("proc", "dev", "sys", "tmp", "data", "run")]
    place = [word for path in shown for word in ("--ro-bind", path, path)]
    place += ["--tmpfs", "/tmp", "--ro-bind", str(ROOT), str(ROOT), "--bind", str(tmp_path / "data"), values["NANOBOT_HOME"]]
    user, _, group = written("USER")[0].partition(":")
    apart = [
        "--unshare-user",
        "--uid",
        user,
        "--gid",
        group,
        "--unshare-pid",
        "--as-pid-1",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--remount-ro",
        "/",
    ]
    environment = [word for name, value in values.items() for word in ("--setenv", name, value)]
    line = [bwrap, *place, *apart, "--clearenv", *environment, "--chdir", written("WORKDIR")[0], "--"]
    command = [sys.executable, "-m", "assistant.cli", *json.loads(written("CMD")[0])]
    assert json.loads(written("ENTRYPOINT")[0]) == ["nanobot"]
    with subprocess.Popen([*line, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            assert server.stdout is not None
            said = b""
            while b"\n  state " not in said:
                block = server.stdout.readline()
                assert block, said
                said += block
            assert b"/data" in said
            check = subprocess.run([*line, *health_check()], capture_output=True, timeout=LIMIT, check=False)
            assert check.returncode == 0, check.stderr
            (inside,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            os.kill(int(inside), signal.SIGTERM)
            assert server.wait(LIMIT) == 0
        finally:
            server.kill()
    assert (tmp_path / "data" / "nanobot.db").is_file()
    done = subprocess.run([*line, *health_check()], capture_output=True, timeout=LIMIT, check=False)
    assert done.returncode != 0


def health_check() -> list[str]:
    return json.loads(DOCKERFILE.partition("CMD [")[2].partition("]\n")[0].join(("[", "]")))


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    return Nanobot(folder=tmp_path, env={"HOME": str(tmp_path / "person"), "XDG_CONFIG_HOME": "", "SUDO_USER": "games"})


def unit_of(text: str) -> RawConfigParser:
    found = RawConfigParser(strict=False, comment_prefixes=("#",), interpolation=None)
    found.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    found.read_string(text)
    return found


@pytest.mark.parametrize("options", [(), ("--system",)])
def test_the_unit_is_what_systemd_takes_without_a_warning(nanobot: Nanobot, options: tuple[str, ...]) -> None:
    if sys.platform != "linux":
        pytest.skip("systemd is Linux's")
    done = nanobot("service", "install", "--print", *options)
    assert done.returncode == 0
    unit = unit_of(done.stdout)
    assert unit["Service"]["ExecStart"].endswith(" serve")
    assert unit["Service"]["Environment"] == f"NANOBOT_HOME={nanobot.home}"
    assert unit["Service"]["NoNewPrivileges"] == "yes"
    assert ("ProtectSystem" in unit["Service"], unit["Service"].get("User")) == ((True, "games") if options else (False, None))
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd is not installed here: the unit was read, and not verified")
    file = nanobot.folder / "nanobot.service"
    file.write_text(done.stdout)
    verified = subprocess.run([analyze, "verify", file], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert [line for line in verified.stderr.splitlines() if "nanobot.service" in line] == []


def test_a_folder_with_any_name_is_named_rightly(tmp_path: Path) -> None:
    home = tmp_path / 'a "b" 100% $HOME'
    home.mkdir()
    text = systemd_unit(load_config(None, {"NANOBOT_HOME": str(home)}, directory=home), system=False).text
    escaped = str(home).replace("%", "%%")
    assert f"\nWorkingDirectory={escaped}\n" in text
    assert '\nEnvironment="NANOBOT_HOME=' + escaped.replace('"', '\\"') + '"\n' in text
    (tmp_path / "new\nline").mkdir()
    with pytest.raises(InvalidRequest, match="can't be named in a service"):
        systemd_unit(load_config(None, {"NANOBOT_HOME": str(tmp_path / "new\nline")}, directory=tmp_path), system=False)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("root", "The server does not run as root"),
        ("no-such-user", "There is no user no-such-user here"),
        ("games", "which is not games's. Name it: sudo NANOBOT_HOME=/usr/games/.nanobot "),
    ],
)
def test_a_service_of_the_machine_runs_as_the_one_whose_state_it_has(tmp_path: Path, user: str, words: str) -> None:
    nanobot = Nanobot(folder=tmp_path, env={"HOME": str(tmp_path), "SUDO_USER": user})
    done = nanobot("service", "install", "--print", "--system")
    assert (done.returncode, words in done.stderr) == (1, True)


def test_the_agent_of_launchd_is_a_plist(tmp_path: Path) -> None:
    found = plistlib.loads(launchd_agent(load_config(None, {"NANOBOT_HOME": str(tmp_path)}, directory=tmp_path)).text.encode())
    assert found["ProgramArguments"][-1] == "serve"
    assert found["EnvironmentVariables"] == {"NANOBOT_HOME": str(tmp_path)}
    assert found["KeepAlive"] == {"SuccessfulExit": False}


SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/asked"
[ ! -e "$HOME/broken" ] || { echo "no bus" >&2; exit 1; }
"""


def test_it_is_installed_shown_and_removed(nanobot: Nanobot) -> None:
    home = nanobot.folder / "person"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "systemctl").write_text(SYSTEMCTL)
    (home / "bin" / "systemctl").chmod(0o755)
    nanobot.env["PATH"] = f"{home / 'bin'}:/usr/bin:/bin"
    file = home / ".config" / "systemd" / "user" / "nanobot.service"
    missing = nanobot("service", "status")
    assert (missing.returncode, "nanobot service install writes it" in missing.stderr) == (1, True)
    assert f"{file} is installed, and the server started." in nanobot("service", "install").stdout
    assert file.read_text() == nanobot("service", "install", "--print").stdout
    assert nanobot("service", "status").returncode == 0
    assert nanobot("service", "uninstall").returncode == 0
    assert not file.exists()
    asked = (home / "asked").read_text().splitlines()
    assert asked == [
        "--user daemon-reload",
        "--user enable --now nanobot.service",
        "--user status --no-pager nanobot.service",
        "--user disable --now nanobot.service",
    ]
    (home / "broken").touch()
    failed = nanobot("service", "install")
    assert (failed.returncode, failed.stderr) == (1, "nanobot: `systemctl --user daemon-reload` failed: no bus\n")


@pytest.mark.usefixtures("bwrap")
def test_where_the_kernel_has_no_handles_of_processes_all_but_commands_works(tmp_path: Path) -> None:
    with live_server(
        tmp_path, config={"agents": {"defaults": {"model": "offline"}}}, program="tests.doubles.old_kernel", forked=False
    ) as server:
        asked = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
        request = Request(f"{server.url}/v1/chat/completions", asked, {"Content-Type": "application/json"})
        with urlopen(request, timeout=LIMIT) as answer:
            assert json.load(answer)["choices"][0]["message"]["content"]
        with urlopen(Request(f"{server.url}/v1/doctor", method="POST"), timeout=LIMIT) as found:
            said = found.read().decode()
    assert "no handle for a process" in said

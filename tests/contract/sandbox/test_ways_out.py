"""No way leads out of the sandbox, on each rung that the machine has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.contracts.sandbox import SandboxCommand
from assistant.sandbox.service import MachineSandbox
from tests.contract.sandbox.conftest import House, built, python, sandbox_in
from tests.contract.sandbox.ways_out import HARMFUL, PLAIN, SECRET

WAYS = {**PLAIN, **HARMFUL}
pytestmark = pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the ways out are programs for /usr/bin/python3")


@pytest.mark.parametrize("way", WAYS)
async def test_no_way_out(way: str, sandbox: MachineSandbox, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOBOT_API__API_KEY", SECRET)
    outside, victim = house.outside(), house.of_victim()
    ran = await python(sandbox, house, WAYS[way].format(**house.places))
    said = (ran.stdout + ran.stderr).decode(errors="replace")
    assert "ESCAPED" not in ran.stdout.decode()
    assert SECRET not in said.replace("Traceback", "")
    assert ran.ended == "exit", said
    assert house.outside() == outside
    assert house.of_victim() == victim
    written = [path for path in house.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def test_the_ways_lead_out_where_there_is_no_sandbox() -> None:
    """Otherwise the test above would show nothing."""
    reached: set[str] = set()
    with built() as house:
        for way, code in PLAIN.items():
            environment = {**os.environ, "NANOBOT_API__API_KEY": SECRET}
            argv = [sys.executable, "-S", "-c", code.format(**house.places)]
            ran = subprocess.run(argv, cwd=house.folder, env=environment, capture_output=True, text=True, timeout=20, check=False)
            if "ESCAPED" in ran.stdout or SECRET in ran.stdout:
                reached.add(way)
    assert reached == set(PLAIN)


async def test_files_are_listed_with_all_that_ls_says_of_them(sandbox: MachineSandbox, house: House) -> None:
    (house.folder / "list.txt").write_text("")
    ran = await sandbox.run(SandboxCommand(argv=("ls", "-la"), folder=house.folder))
    assert (ran.code, ran.stderr) == (0, b"")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only a server of root runs commands as another user")
async def test_a_rung_that_can_t_reach_the_workspace_is_not_used(house: House) -> None:
    sandbox = sandbox_in(house, "landlock")
    house.workspace.chmod(0o700)
    try:
        assert await sandbox.rung() == "none"
        assert f"can't pass {house.workspace}" in await sandbox.why_not() or "landlock: this kernel" in await sandbox.why_not()
    finally:
        house.workspace.chmod(0o755)

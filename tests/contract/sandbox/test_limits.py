"""What a command may take, and that nothing of it is left, on each rung that the machine has."""

import asyncio
import os
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from assistant.contracts.errors import ToolFailed
from assistant.contracts.sandbox import SandboxCommand
from assistant.contracts.secrets import NoSecrets
from assistant.sandbox.policy import Guarded
from assistant.sandbox.proxy import HostProxy
from assistant.sandbox.service import MachineSandbox
from assistant.sandbox.starting import in_bubblewrap
from tests.contract.sandbox.conftest import House, python, sandbox_in, shell

MIB = 1024**2
BOMB = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"
DAEMON = """
import os,time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for n in range(3): os.close(n)
time.sleep(600)
"""
HOGS = """
import os,time
for _ in range(8):
  if not os.fork():
    b = bytearray(os.urandom(1)) * (100 * 2**20)
    time.sleep(60)
time.sleep(60)
"""


def left_over(mark: str) -> list[str]:
    """Processes of this machine whose command line has the mark."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [line] if mark in line else []
    return found


@pytest.mark.parametrize(
    ("code", "limits", "ended"),
    [
        ("b = [bytearray(2**20) for _ in range(900)]\nprint('GOT IT')", {"memory_bytes": 256 * MIB}, "exit memory"),
        (HOGS, {"memory_bytes": 256 * MIB}, "memory"),
        (
            "import mmap,time\nm = mmap.mmap(-1, 600 * 2**20)\nfor i in range(0, len(m), 4096): m[i] = 1\ntime.sleep(60)",
            {"memory_bytes": 256 * MIB},
            "memory",
        ),
        ("while True: print('x' * 100000)", {"output_bytes": MIB}, "output"),
        ("import sys\nwhile True: sys.stderr.write('x' * 100000)", {"output_bytes": MIB}, "output"),
        ("while True: pass", {"seconds": 1}, "timeout"),
        ("import time; time.sleep(60)", {"seconds": 0.5}, "timeout"),
        ("import signal,time; signal.pthread_sigmask(0, range(1, 64)); time.sleep(60)", {"seconds": 0.5}, "timeout"),
    ],
    ids=["memory of one", "memory of all", "memory that is shared", "output", "errors", "computing", "sleeping", "signals are ignored"],
)
async def test_what_takes_too_much_is_ended(code: str, limits: dict[str, Any], ended: str, sandbox: MachineSandbox, house: House) -> None:
    mark = f"#{os.urandom(6).hex()}"
    ran = await python(sandbox, house, f"{code}\n{mark}", **limits)
    assert ran.ended in ended.split(), ran.stderr[-300:]
    assert ran.code != 0
    assert b"GOT IT" not in ran.stdout
    assert max(len(ran.stdout), len(ran.stderr)) <= max(MIB, limits.get("output_bytes", 0))
    assert not left_over(mark)


@pytest.mark.usefixtures("alone")
async def test_a_fork_bomb_ends_with_its_command(sandbox: MachineSandbox, house: House) -> None:
    mark = f"#{os.urandom(6).hex()}"
    began = monotonic()
    ran = await python(sandbox, house, f"{BOMB}\n{mark}", seconds=1.5)
    assert ran.ended in ("timeout", "processes", "memory")
    assert monotonic() - began < 30
    assert not left_over(mark)


async def test_no_more_processes_than_allowed(sandbox: MachineSandbox, house: House) -> None:
    code = "import os,time\nn = 0\ntry:\n  while n < 500:\n    if not os.fork(): time.sleep(60)\n    n += 1\nexcept OSError: pass\nprint(n)"
    ran = await python(sandbox, house, code, processes=20)
    assert ran.ended == "processes" or int(ran.stdout.splitlines()[-1]) <= 20


@pytest.mark.parametrize("where", [".", "/tmp"])
async def test_a_full_disk_is_ended_and_emptied(where: str, sandbox: MachineSandbox, house: House) -> None:
    (house.folder / "kept").write_text("before")
    place = "." if where == "." else "$TMPDIR"
    line = f"i=0; while :; do head -c 20M /dev/zero > {place}/fill-$i || exit 3; i=$((i+1)); done"
    ran = await shell(sandbox, house, line, disk_bytes=100 * MIB)
    assert ran.ended == "disk" or (where == "/tmp" and ran.code == 3)
    assert not list(house.folder.glob("fill-*"))
    assert (house.folder / "kept").read_text() == "before"


async def test_in_the_background_what_is_new_stays_as_others_may_have_made_it(sandbox: MachineSandbox, house: House) -> None:
    line = "echo now > fill-began; while :; do head -c 20M /dev/zero >> fill-up || exit 3; done"
    ran = await shell(sandbox, house, line, disk_bytes=100 * MIB, background=True)
    left = {path.name for path in house.folder.glob("fill-*")}
    for name in left:
        (house.folder / name).unlink()
    assert (ran.ended, left) == ("disk", {"fill-began", "fill-up"})


async def test_one_in_the_background_takes_no_place_and_has_a_time_of_its_own(sandbox: MachineSandbox, house: House) -> None:
    few = sandbox_in(house, await sandbox.rung(), parallel=1, seconds=1, background_seconds=30)
    behind = asyncio.create_task(shell(few, house, "until [ -e go ]; do sleep 0.05; done; sleep 1.5", background=True))
    before = await shell(few, house, "touch go; sleep 20")
    assert before.ended == "timeout"
    assert (await behind).ended == "exit"
    (house.folder / "go").unlink()


async def test_a_file_without_a_name_fills_the_disk_as_well(sandbox: MachineSandbox, house: House) -> None:
    code = "import os\nf = open('gone', 'wb')\nos.unlink('gone')\nwhile True: f.write(bytes(2**20))"
    assert (await python(sandbox, house, code, disk_bytes=100 * MIB)).ended == "disk"


async def test_a_daemon_does_not_outlive_its_command(sandbox: MachineSandbox, house: House) -> None:
    mark = f"#{os.urandom(6).hex()}"
    ran = await python(sandbox, house, f"{DAEMON}\n{mark}")
    assert (ran.code, ran.ended) == (0, "exit")
    assert not left_over(mark)


async def test_a_cancelled_command_is_gone(sandbox: MachineSandbox, house: House) -> None:
    mark = f"#{os.urandom(6).hex()}"
    task = asyncio.create_task(python(sandbox, house, f"open('began','w')\nimport time; time.sleep(600)\n{mark}"))
    async with asyncio.timeout(20):
        while not left_over(mark):  # noqa: ASYNC110 - each look is at the list of processes
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not left_over(mark)


async def test_twenty_at_once_wait_for_their_place(sandbox: MachineSandbox, house: House) -> None:
    few = sandbox_in(house, await sandbox.rung(), parallel=3)
    line = "mkdir in-$$; ls -d in-* | wc -l; sleep 0.2; rmdir in-$$"
    line = line.replace("$$", "$(cat id 2>/dev/null)$RUN")
    runs = [shell(few, house, line, environment={"RUN": str(number)}) for number in range(20)]
    counts = [int(ran.stdout) for ran in await asyncio.gather(*runs)]
    assert len(counts) == 20
    assert max(counts) <= 3


async def test_a_program_is_talked_to(sandbox: MachineSandbox, house: House) -> None:
    process = await sandbox.start(SandboxCommand(argv=("/bin/cat",), folder=house.folder, seconds=None))
    process.stdin.write(b"one\n")
    assert await process.stdout.readline() == b"one\n"
    await process.kill()
    await process.kill()
    assert await process.wait() != 0
    assert await process.stdout.read() == b""


async def test_it_gets_what_it_is_given_and_says_what_it_wrote(
    sandbox: MachineSandbox, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    (house.folder / "old").write_text("old")
    os.utime(house.folder / "old", (1, 1))
    line = "mkdir -p a && cat > a/new && sort a/new && env | cut -d= -f1 | sort | tr '\\n' ' ' >&2; exit 7"
    ran = await sandbox.run(SandboxCommand(argv=("/bin/sh", "-c", line), folder=house.folder, environment={"MINE": "1"}), b"b\na\n")
    assert (ran.code, ran.stdout, ran.ended) == (7, b"a\nb\n", "exit")
    assert ran.stderr.split() == b"HOME LANG LOGNAME MINE PATH PWD TERM TMPDIR USER".split()
    assert "a/new" in ran.written
    assert "old" not in ran.written
    assert (house.folder / "a" / "new").read_text() == "b\na\n"


async def test_the_household_shares_a_folder(sandbox: MachineSandbox, house: House) -> None:
    shared = house.workspace / "shared"
    place = "shared" if "bubblewrap" in await sandbox.rung() else str(shared)
    command = SandboxCommand(argv=("/bin/sh", "-c", f"echo all > {place}/list"), folder=house.folder, shared=shared)
    ran = await sandbox.run(command)
    assert ran.code == 0, ran.stderr
    assert (shared / "list").read_text() == "all\n"
    (shared / "list").unlink()


@pytest.mark.parametrize(
    ("place", "may"), [("state", False), ("", False), ("state/workspace/people", False), ("state/workspace/skills", True)]
)
async def test_what_is_the_servers_is_not_made_readable(place: str, may: bool, sandbox: MachineSandbox, house: House) -> None:
    folder = house.root / place
    (house.workspace / "skills").mkdir(exist_ok=True)
    (house.workspace / "skills" / "tool.py").write_text("print('ran')")
    script = house.workspace / "skills" / "tool.py"
    command = SandboxCommand(argv=("/usr/bin/python3", str(script)), folder=house.folder, readable=(folder,))
    if may:
        ran = await sandbox.run(command)
        assert ran.stdout == b"ran\n", ran.stderr
        return
    with pytest.raises(ToolFailed, match="files of the server"):
        await sandbox.run(command)


async def test_none_runs_nothing(house: House) -> None:
    none = sandbox_in(house, "none")
    assert await none.rung() == "none"
    assert "sandbox.rung" in await none.why_not()
    with pytest.raises(ToolFailed, match="nothing is run outside"):
        await shell(none, house, "touch ran")
    assert not (house.folder / "ran").exists()


OVER_AT_ONCE = """#!{python} -I
import json, os, subprocess, sys
told = os.read(int(sys.argv[2]), 65536).split(b"\\0")
gone = subprocess.Popen(["true"])
gone.wait()
os.write(int(told[told.index(b"--info-fd") + 1]), json.dumps({{"child-pid": gone.pid}}).encode())
sys.exit("it may not be mounted here")
"""


async def test_one_whose_first_process_is_gone_at_once_ends_with_its_words(house: House, tmp_path: Path) -> None:
    bwrap = tmp_path / "bwrap"
    bwrap.write_text(OVER_AT_ONCE.format(python=sys.executable))
    bwrap.chmod(0o755)
    guarded, command = Guarded(private=(), public=()), SandboxCommand(argv=("true",), folder=house.folder, seconds=30)
    started = await in_bubblewrap(str(bwrap), command, guarded, HostProxy((), NoSecrets()), proc=True, piped=False)
    assert await started.process.stderr.read() == b"it may not be mounted here\n"
    assert await started.process.wait() == 1
    await started.process.kill()


async def test_a_look_at_the_machine_that_is_broken_off_leaves_nothing(sandbox: MachineSandbox, house: House) -> None:
    other = sandbox_in(house, await sandbox.rung())
    looking = asyncio.create_task(other.rung())
    while not [task for task in asyncio.all_tasks() if "Confined" in repr(task)]:  # noqa: ASYNC110 - each look is at all tasks
        await asyncio.sleep(0)
    await other.close()
    assert not [task for task in asyncio.all_tasks() if "Confined" in repr(task)]
    with pytest.raises(asyncio.CancelledError):
        await looking

"""How long a command takes to start, by rung, and what a hostile one costs others: `python -m bench.sandbox`.

Others are a loop that does a millisecond's work, again and again, as the server does for its requests; the figure is the 99th percentile of how long
that takes.
"""

import asyncio
import hashlib
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

from assistant.contracts.sandbox import SandboxCommand
from assistant.sandbox.policy import Guarded
from assistant.sandbox.service import RUNGS, MachineSandbox
from assistant.sandbox.settings import SandboxSettings

STARTS = 100
SECONDS = 5.0
HOSTILE = {
    "a fork bomb": "bomb() { bomb | bomb & }; bomb; sleep 60",
    "endless output": "cat /dev/zero",
    "a full disk": "cat /dev/zero > fill",
    "a daemon": "setsid sh -c 'while :; do :; done' & while :; do :; done",
}
WORK = b"x" * 600_000


async def others(seconds: float) -> float:
    """Milliseconds."""
    took: list[float] = []
    until = perf_counter() + seconds
    while (began := perf_counter()) < until:
        hashlib.blake2b(WORK)
        took.append((perf_counter() - began) * 1_000)
        await asyncio.sleep(0.001)
    return statistics.quantiles(took, n=100)[98]


def measured() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        root = Path(place)
        root.chmod(0o755)  # where the server is root, the third rung's user must pass
        (folder := root / "folder").mkdir()
        asyncio.run(main(root, folder))


async def main(root: Path, folder: Path) -> None:
    for rung in RUNGS:
        sandbox = MachineSandbox(SandboxSettings(rung=rung), Guarded(), root)
        if await sandbox.rung() != rung:
            print(f"{rung}: not on this machine")
            continue
        took: list[float] = []
        for _ in range(STARTS):
            began = perf_counter()
            await sandbox.run(SandboxCommand(argv=("/bin/true",), folder=folder))
            took.append((perf_counter() - began) * 1_000)
        print(f"{rung}: median {statistics.median(took):.1f} ms from the call to the result of `true`")
    sandbox = MachineSandbox(SandboxSettings(), Guarded(), root)
    print(f"others alone: p99 {await others(SECONDS):.2f} ms")
    for name, line in HOSTILE.items():
        command = SandboxCommand(argv=("/bin/sh", "-c", line), folder=folder, seconds=SECONDS, disk_bytes=200 * 1024**2)
        running = asyncio.create_task(sandbox.run(command))
        cost = await others(SECONDS)
        print(f"beside {name}: p99 {cost:.2f} ms; ended: {(await running).ended}")


if __name__ == "__main__":
    measured()

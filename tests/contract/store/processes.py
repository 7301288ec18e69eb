"""Another process on the test's store (`other_process.py`), and what it says."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("other_process.py")
SECONDS = 30


@contextlib.asynccontextmanager
async def other_process(what: str, url: str, tmp_path: Path, name: str = "") -> AsyncGenerator[Process]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [str(SCRIPT), what, url, str(tmp_path / "state"), *([name] if name else [])]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE, env=environment)
    try:
        async with asyncio.timeout(SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def remaining_lines(process: Process) -> list[str]:
    assert process.stdout is not None
    return (await process.stdout.read()).decode().splitlines()


async def all_lines(process: Process) -> list[str]:
    said = await remaining_lines(process)
    assert await process.wait() == 0
    return said


async def kill(process: Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def stands_still(process: Process) -> None:
    """Wait until it is stopped by SIGSTOP."""
    status = Path(f"/proc/{process.pid}/status")
    for _ in range(1_000):
        if "(stopped)" in await asyncio.to_thread(status.read_text):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it goes on")


async def say(process: Process, words: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{words}\n".encode())
    await process.stdin.drain()

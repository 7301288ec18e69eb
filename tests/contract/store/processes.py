"""Another process on the test's store (`other_process.py`), and what it says."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from tests.doubles.forked import ForkedScript, forked_script

SCRIPT = Path(__file__).with_name("other_process.py")
SECONDS = 90


@contextlib.asynccontextmanager
async def other_process(what: str, url: str, tmp_path: Path, name: str = "") -> AsyncGenerator[ForkedScript]:
    async with forked_script(SCRIPT, what, url, str(tmp_path / "state"), *([name] if name else [])) as script, asyncio.timeout(SECONDS):
        yield script


async def line(script: ForkedScript) -> str:
    return (await script.stdout.readline()).decode().strip()


async def remaining_lines(script: ForkedScript) -> list[str]:
    return (await script.stdout.read()).decode().splitlines()


async def all_lines(script: ForkedScript) -> list[str]:
    said = await remaining_lines(script)
    assert await script.wait() == 0
    return said


async def kill(script: ForkedScript) -> None:
    script.process.kill()
    await script.wait()


async def stands_still(script: ForkedScript) -> None:
    """Wait until it is stopped by SIGSTOP."""
    status = Path(f"/proc/{script.process.pid}/status")
    for _ in range(1_000):
        if "(stopped)" in await asyncio.to_thread(status.read_text):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it goes on")

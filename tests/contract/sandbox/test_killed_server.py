"""A server that is killed leaves no command behind."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from assistant.sandbox.service import MachineSandbox
from tests.contract.sandbox.conftest import House
from tests.contract.sandbox.test_limits import left_over

SERVER = """
import asyncio, sys
from pathlib import Path
from assistant.contracts.sandbox import SandboxCommand
from assistant.sandbox.policy import Guarded
from assistant.sandbox.service import MachineSandbox
from assistant.sandbox.settings import SandboxSettings

async def main(rung, root, folder, line):
    sandbox = MachineSandbox(SandboxSettings(rung=rung), Guarded(), Path(root))
    await sandbox.run(SandboxCommand(argv=("/bin/sh", "-c", line), folder=Path(folder)))

asyncio.run(main(*sys.argv[1:]))
"""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not condition():  # noqa: ASYNC110 - each look is at the list of processes
            await asyncio.sleep(0.01)


async def test_a_killed_server_leaves_no_command(sandbox: MachineSandbox, house: House) -> None:
    seconds = str(int.from_bytes(os.urandom(4)) + 10**6)
    arguments = (await sandbox.rung(), str(house.root), str(house.folder), f"setsid sleep {seconds} & sleep {seconds}")
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, *arguments, cwd=Path(__file__).parents[3])
    sleeping = f"sleep\0{seconds}\0"
    await until(lambda: len(left_over(sleeping)) == 2)
    server.kill()
    await server.wait()
    await until(lambda: not left_over(seconds))

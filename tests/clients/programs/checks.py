"""Runs a client's checks, and prints a line for each: `ok NAME`, or `no NAME: why`.

A program gets the server's address and the model's id as its arguments. The model behind the server does as it is told: `ECHO x` is answered by x,
`CALLTOOL weather {…}` by a call of that tool, and its result by "done".
"""

import asyncio
import inspect
import sys
from collections.abc import Callable
from typing import Any

BASE, MODEL = sys.argv[1] + "/v1", sys.argv[2]
CALL = 'CALLTOOL weather {"at": "Bonn"}'


def equal(got: object, wanted: object) -> None:
    if got != wanted:
        raise AssertionError(f"{got!r}, not {wanted!r}")


def run(*checks: Callable[[], Any]) -> None:
    for check in checks:
        name = check.__name__.replace("_", " ")
        try:
            made = check()
            if inspect.isawaitable(made):
                asyncio.run(_awaited(made))
        except Exception as error:  # noqa: BLE001 - what a client raises is the finding
            print(f"no {name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
        else:
            print(f"ok {name}")


async def _awaited(made: Any) -> None:
    await made

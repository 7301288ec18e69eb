"""Holding the writer, so that a test decides what waits behind it."""

import asyncio
import threading

from assistant.store.database import Database, Transaction

SECONDS = 20


class Gate:
    """A job that holds the writer until the test opens it, so that what comes behind it is one batch."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, connection: Transaction) -> None:
        self.reached.set()
        assert self._open.wait(SECONDS)

    def open(self) -> None:
        self._open.set()


async def behind_a_gate(database: Database) -> tuple[Gate, "asyncio.Task[None]"]:
    gate = Gate()
    held = asyncio.create_task(database.write(gate))
    assert await asyncio.to_thread(gate.reached.wait, SECONDS)
    return gate, held

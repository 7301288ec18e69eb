"""A process that is killed at a boundary of a cut: `cut_process.py <boundary> <url> <folder>`. It talks until a cut is due, then dies by SIGKILL.

`asked`: while the summary is written. `written`: in the transaction that stores the cut, behind its last statement. `stored`: right behind it.
"""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.sessions import SessionCut
from assistant.store.database import StoreSettings, Transaction
from assistant.store.store import Store, open_store
from tests.contract.store.gate import Gate, behind_a_gate
from tests.doubles.small_context import SmallContext
from tests.flow.turns.house import House, ask
from tests.flow.turns.test_compaction import filler, until_cut
from tests.flow.turns.test_turns_of_the_inbox import Told


def die(_: Transaction | None = None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class ToldAndKilled(Told):
    """Puts a job that kills the process into the transaction of the cut: both wait behind a gate, in one batch."""

    store: Store
    gates: list[Gate]
    killing: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    def of_cut(self, cut: SessionCut) -> OutboundEvent:
        for gate in self.gates:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._kill_behind, gate)  # by then the cut waits for the writer
        return Told.of_cut(self, cut)

    def _kill_behind(self, gate: Gate) -> None:
        self.killing.append(asyncio.ensure_future(self.store.database.write(die)))
        asyncio.get_running_loop().call_soon(gate.open)


async def run(boundary: str, url: str, folder: Path) -> None:
    store = await open_store(StoreSettings(url=url), folder / "state")
    model, gates = SmallContext(6_000), list[Gate]()

    async def hold(*_: object) -> None:
        if boundary == "written":
            gates.append((await behind_a_gate(store.database))[0])

    if boundary == "asked":
        model.gate.clear()
    turns = House(store, folder).turns(model, before=hold)
    while not model.asked_for_summary.is_set():
        number = len(model.prompts)
        request = ask(filler(number) if number < 18 else f"short {number}")
        await turns.start(replace(request, reply=ToldAndKilled(request.id, store, gates))).result()
    if boundary == "asked":
        die()
    await until_cut(House(store, folder))
    die()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], Path(sys.argv[3])))

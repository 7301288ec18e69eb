"""Which process holds which channel: one of those on the store, until it lets go, dies, or leaves a question unanswered."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from assistant.store.codec import json_column, unescape
from assistant.store.database import Database, SqlRow, Transaction
from assistant.store.processes import Notifier, Runner, dead_among

HOLDS: Final = "SELECT channel, runner, asked, answered FROM channel_holds"
HOLD: Final = """
    INSERT INTO channel_holds (channel, runner, asked, answered) VALUES (:channel, :runner, 0, 0)
    ON CONFLICT (channel) DO UPDATE SET runner = excluded.runner, answered = channel_holds.asked"""
ASK: Final = "UPDATE channel_holds SET asked = asked + 1 WHERE channel = :channel"
ANSWER: Final = "UPDATE channel_holds SET answered = asked WHERE channel = :channel"
LET_GO: Final = "DELETE FROM channel_holds WHERE channel = :channel AND runner = :runner RETURNING channel"


@dataclass(frozen=True, slots=True)
class Hold:
    """A channel's holder, and whether it owes a sign of life."""

    runner: str
    asked: int
    """How often others asked for a sign."""
    answered: int

    @property
    def owes(self) -> bool:
        return self.answered < self.asked


class HoldStore:
    """Each write is one transaction that need not survive the machine. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database, runner: Runner, notifier: Notifier) -> None:
        self._database = database
        self._runner = runner
        self._notifier = notifier

    @property
    def me(self) -> str:
        """This process, as in `Hold.runner`."""
        return self._runner.id

    async def list(self) -> Mapping[str, Hold]:
        """By channel."""
        return _by_channel(await self._database.select(HOLDS))

    async def contend(self, channels: Collection[str], overdue: Mapping[str, Hold]) -> Mapping[str, Hold]:
        """Hold those of these channels that are free, whose holder is surely gone, or whose holder still owes the sign that it is `overdue` with;
        answer for those that this process holds, and ask the holders of the others for a sign. Returns what holds then."""

        def work(connection: Transaction) -> Mapping[str, Hold]:
            now = _by_channel(connection.execute(HOLDS))
            dead = dead_among(self._runner, connection, [hold.runner for name, hold in now.items() if name in channels])
            for name in channels:
                hold = now.get(name)
                if hold is None or hold.runner in dead or (hold.owes and overdue.get(name) == hold):
                    connection.execute(HOLD, {"channel": json_column(name), "runner": self.me})
                elif hold.owes == (hold.runner == self.me):
                    connection.execute(ANSWER if hold.owes else ASK, {"channel": json_column(name)})
            return _by_channel(connection.execute(HOLDS))

        return await self._database.write(work, relaxed=True)

    async def let_go(self, channels: Collection[str]) -> None:
        """Free what this process holds of these channels, and notify."""

        def free(connection: Transaction) -> bool:
            freed = [connection.execute(LET_GO, {"channel": json_column(name), "runner": self.me}) for name in channels]
            if any(freed):
                self._notifier.announce(connection)
            return any(freed)

        if await self._database.write(free, relaxed=True):
            self._notifier.announced()


def _by_channel(rows: list[SqlRow]) -> Mapping[str, Hold]:
    return {unescape(channel): Hold(runner, asked, answered) for channel, runner, asked, answered in rows}

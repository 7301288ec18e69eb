"""What servers that run say of their channels. The contract is `assistant.contracts.channels.ChannelStates`."""

from collections.abc import Sequence

from assistant.contracts.channels import ChannelStatus
from assistant.store.codec import from_micros, json_column, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.runners import Runner

NOTE_STATE = """
    INSERT INTO channel_states (runner, name, state, detail, since) VALUES (:runner, :name, :state, :detail, :since)
    ON CONFLICT (runner, name) DO UPDATE SET state = excluded.state, detail = excluded.detail, since = excluded.since"""

STATES = """
    SELECT name, state, detail, since FROM channel_states ORDER BY name, since DESC"""

STATING = """
    SELECT DISTINCT runner FROM channel_states WHERE runner <> :runner"""

FORGET_STATES = """
    DELETE FROM channel_states WHERE runner = :runner"""


class StoredChannelStates:
    """Implements ChannelStates on a Database. What dead processes said is removed by whoever writes or asks next."""

    def __init__(self, database: Database, runner: Runner) -> None:
        self._database = database
        self._runner = runner

    async def note(self, status: ChannelStatus) -> None:
        values: dict[str, SqlValue] = {
            "runner": self._runner.id,
            "name": json_column(status.name),
            "state": status.state,
            "detail": json_column(status.detail),
            "since": to_micros(status.since),
        }

        def write(connection: Transaction) -> None:
            self._forget_the_dead(connection)
            connection.execute(NOTE_STATE, values)

        await self._database.write(write)

    async def list(self) -> Sequence[ChannelStatus]:
        def read(connection: Transaction) -> list[SqlRow]:
            self._forget_the_dead(connection)
            return connection.execute(STATES)

        # A write: whether a process lives is asked in the writer's turn.
        rows = await self._database.write(read)
        return [
            ChannelStatus(name=unescape(name), state=state, detail=unescape(detail), since=from_micros(since))
            for name, state, detail, since in rows
        ]

    def _forget_the_dead(self, connection: Transaction) -> None:
        for (runner,) in connection.execute(STATING, {"runner": self._runner.id}):
            if self._runner.is_dead(connection, runner):
                connection.execute(FORGET_STATES, {"runner": runner})

"""The states of the channels of running servers."""

from collections.abc import Sequence

from assistant.contracts.channels import ChannelStatus
from assistant.store.codec import from_micros, json_column, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.runners import Runner, dead_among

NOTE_STATE = """
    INSERT INTO channel_states (runner, name, state, detail, since) VALUES (:runner, :name, :state, :detail, :since)
    ON CONFLICT (runner, name) DO UPDATE SET state = excluded.state, detail = excluded.detail, since = excluded.since"""
STATES = "SELECT name, state, detail, since FROM channel_states ORDER BY name, since DESC"
STATING = "SELECT DISTINCT runner FROM channel_states"
FORGET_STATES = "DELETE FROM channel_states WHERE runner = :runner"


class StoredChannelStates:
    """Implements ChannelStates. Each call removes the states of dead processes."""

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

        # A write, because `is_dead` needs the writer.
        rows = await self._database.write(read)
        return [
            ChannelStatus(name=unescape(name), state=state, detail=unescape(detail), since=from_micros(since))
            for name, state, detail, since in rows
        ]

    def _forget_the_dead(self, connection: Transaction) -> None:
        for runner in dead_among(self._runner, connection, [runner for (runner,) in connection.execute(STATING)]):
            connection.execute(FORGET_STATES, {"runner": runner})

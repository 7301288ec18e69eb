"""The turns of other processes: which are open, how they stand, and what they said."""

from collections.abc import Sequence
from typing import Final

from assistant.contracts.messages import AssistantMessage, ToolMessage, UserMessage
from assistant.contracts.records import record
from assistant.contracts.util import Clock
from assistant.store.codec import decode_message, identity, to_micros
from assistant.store.database import Database, SqlRow, Transaction
from assistant.store.line import SessionLine
from assistant.store.processes import Runner, dead_among

OTHERS = """
    SELECT turns.id, turns.runner FROM turns JOIN sessions ON sessions.id = turns.session_id
    WHERE sessions.owner = :owner AND sessions.key = :key AND turns.ended IS NULL AND turns.runner <> :runner
    ORDER BY turns.started, turns.id"""
STANDS = "SELECT state, error, runner, lease, ended, session_id FROM turns WHERE id = :turn"
SAID = """
    SELECT payload FROM messages WHERE session_id = :session AND turn_id = :turn
        AND seq > (SELECT MAX(seq) FROM messages WHERE session_id = :session) - :most ORDER BY seq"""
_MOST: Final = 1_000
"""Of the last messages of a session, in which those of a turn that has just ended are looked for."""


@record
class OpenTurn:
    id: str
    runner: str
    """The process that runs it."""


@record
class EndedTurn:
    state: str
    error: str | None
    """The code of the error that ended it, where one did."""
    said: tuple[AssistantMessage | ToolMessage, ...]


class OpenTurns:
    """Every method may raise StoreUnavailable."""

    def __init__(self, database: Database, runner: Runner, line: SessionLine, *, clock: Clock) -> None:
        self._database = database
        self._runner = runner
        self._line = line
        self._clock = clock

    async def of_others(self, owner: str, session: str) -> Sequence[OpenTurn]:
        """Those of other processes that run or wait in a session, the earliest first."""
        named, key = identity(owner, session)
        rows = await self._database.select(OTHERS, {"owner": named, "key": key, "runner": self._runner.id})
        return [OpenTurn(id=id, runner=runner) for id, runner in rows]

    async def stands(self, turn: str) -> OpenTurn | EndedTurn | None:
        """How a turn stands; None: it is gone with its session, or never began. One whose process is gone, or has given no sign for longer than its
        lease, is settled, unless it is resumed."""
        now = to_micros(self._clock())

        def look(connection: Transaction) -> tuple[SqlRow, bool, list[SqlRow]] | None:
            rows = connection.execute(STANDS, {"turn": turn})
            if not rows:
                return None
            _, _, runner, lease, ended, session = rows[0]
            if ended is not None:
                return rows[0], False, connection.execute(SAID, {"session": session, "turn": turn, "most": _MOST})
            gone = (lease is not None and lease < now) or bool(dead_among(self._runner, connection, [runner]))
            return rows[0], gone, []

        def settle(connection: Transaction) -> None:
            again = look(connection)
            if again and again[1]:
                self._line.settled(connection, turn, again[0][0], now)

        found = await self._database.read(look)
        if found and found[1]:
            await self._database.write(settle)
            found = await self._database.read(look)
        if found is None:
            return None
        (state, error, runner, _, ended, _), _, payloads = found
        if ended is None:
            return OpenTurn(id=turn, runner=runner)
        messages = [decode_message(payload) for (payload,) in payloads]
        return EndedTurn(state=state, error=error, said=tuple([each for each in messages if not isinstance(each, UserMessage)]))

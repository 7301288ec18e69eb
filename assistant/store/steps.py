"""Messages on their way into a session: encoded outside of the writer's transaction, appended within it."""

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.contracts.ids import new_id
from assistant.contracts.messages import AssistantMessage, ToolMessage, Usage
from assistant.store import statements as sql
from assistant.store.codec import encode
from assistant.store.connection import Connection, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a turn adds to its session at once."""

    turn: str
    at: int
    rows: tuple[tuple[str, str], ...]
    """(role, payload)"""
    usage: Usage
    context_from: int | None = None

    def append(self, connection: Connection, session_id: int) -> int:
        """Add the messages to the session; returns the seq of its last one."""
        values: dict[str, Value] = {
            "id": session_id,
            "count": len(self.rows),
            "at": self.at,
            "prompt": self.usage.prompt_tokens,
            "completion": self.usage.completion_tokens,
            "cached": self.usage.cached_tokens,
            "context_from": self.context_from,
        }
        last: int = connection.execute(sql.GROW_SESSION, values)[0][0]
        for seq, (role, payload) in enumerate(self.rows, last - len(self.rows) + 1):
            message: dict[str, Value] = {
                "id": session_id,
                "seq": seq,
                "turn": self.turn,
                "at": self.at,
                "role": role,
                "payload": payload,
            }
            connection.execute(sql.ADD_MESSAGE, message)
        return last


def step(turn: str, at: int, messages: Sequence[AssistantMessage | ToolMessage], context_from: int | None = None) -> Step:
    """`at`: microseconds, for all of them."""
    usage = sum((message.usage for message in messages if message.role == "assistant"), Usage())
    rows = tuple((message.role, encode(message)) for message in messages)
    return Step(turn=turn, at=at, rows=rows, usage=usage, context_from=context_from)


def interrupt(connection: Connection, turn: str, at: int) -> None:
    """Settle a turn as "interrupted" if it still runs, with a mark in its session that says so."""
    ended = connection.execute(sql.END_TURN, {"turn": turn, "state": "interrupted", "at": at, "error": None})
    if ended:
        mark = AssistantMessage(id=new_id("msg"), cut_off="interrupted")
        step(turn, at, [mark]).append(connection, ended[0][0])

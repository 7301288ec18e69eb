"""The journal of effects: what tools did, when, by whose word, after which words of others. Written with the step, the background command or the node
of a workflow that did it, and only added to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from assistant.contracts.audit import Deed
from assistant.contracts.causes import MESSAGE, Cause, Payer
from assistant.contracts.effects import Effect
from assistant.contracts.messages import AssistantMessage, ToolMessage
from assistant.contracts.own_words import asker, sources
from assistant.contracts.provenance import Provenance
from assistant.contracts.sessions import NewTurn
from assistant.contracts.statements import without
from assistant.contracts.util import new_id
from assistant.store.codec import decode_provenances, encode_provenances, escape, from_micros, json_column, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction

ADD = """
    INSERT INTO audit (at, id, owner, session, turn, agent, cause, cause_id, caller, tool, kind, text, ref, read, approval)
    SELECT :at, :id, owner, key, :turn, :agent, :cause, :cause_id, :caller, :tool, :kind, :text, :ref, read, :approval
    FROM sessions WHERE id = :session"""
ADD_BESIDE = """
    INSERT INTO audit (at, id, owner, session, turn, agent, cause, cause_id, caller, tool, kind, text, ref, read, approval)
    VALUES (:at, :id, :owner, :session, :turn, :agent, :cause, :cause_id, :caller, :tool, :kind, :text, :ref,
        COALESCE((SELECT read FROM sessions WHERE owner = :space AND key = :key), 0), :approval)"""
TEXTS_OF = "SELECT at, id, text FROM audit WHERE owner = :owner"
REWRITE = "UPDATE audit SET text = :text WHERE at = :at AND id = :id"
_COLUMNS: Final = "at, id, owner, session, turn, agent, cause, cause_id, caller, tool, kind, text, ref, read, approval"


def deeds_of(owner: bool, session: bool, since: bool, before: bool) -> str:
    """The statement that lists deeds, the latest first; each argument: whether its parameter narrows it."""
    wanted = [("owner = :owner", owner), ("session = :session", session), ("at >= :since", since)]
    wanted += [("(at, id) < (SELECT at, id FROM audit WHERE id = :before)", before)]
    where = " AND ".join([condition for condition, holds in wanted if holds])
    return f"SELECT {_COLUMNS} FROM audit{f' WHERE {where}' if where else ''} ORDER BY at DESC, id DESC LIMIT :limit"  # noqa: S608 - words of ours


class AuditStore:
    """Reads the journal. Raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, owner: str | None, *, session: str | None = None, since: datetime | None = None, limit: int = 50, before: str | None = None
    ) -> Sequence[Deed]:
        """The latest first. `owner` None: of all. `before`: the id of the last one of the page before."""
        values: dict[str, SqlValue] = {
            "owner": optional(escape, owner),
            "session": optional(escape, session),
            "since": optional(to_micros, since),
            "before": optional(json_column, before),
        }
        given = {name: value for name, value in values.items() if value is not None}
        statement = deeds_of(*[name in given for name in values])
        return [_deed(row) for row in await self._database.select(statement, {**given, "limit": limit})]


def read_by(turn: NewTurn) -> int:
    """Whose words a turn brings, as stored; of a history too, which a session that is there already ignores. In a group, others have a say."""
    brought = [*turn.history, *turn.results, *([turn.message] if turn.message else [])]
    group: tuple[Provenance, ...] = ("stranger",) if asker(brought) else ()
    return encode_provenances((*turn.read, *sources(brought), *group))


def prepare_deeds(turn: str, at: int, messages: Sequence[AssistantMessage | ToolMessage], payer: Payer | None) -> list[dict[str, SqlValue]]:
    """The rows of a step but for its session; none for a step that changed nothing. `at`: microseconds."""
    cause = payer.cause if payer else MESSAGE
    rows: list[dict[str, SqlValue]] = []
    for message in messages:
        if not isinstance(message, ToolMessage) or not (message.effects or message.pending):
            continue
        under = cause.id if cause.kind == "approval" else ""
        done: list[tuple[str, str, str, str]] = [(each.kind, each.text, each.ref, under) for each in message.effects]
        if (waits := message.pending) is not None:
            done.append(("asked", waits.text, waits.id, waits.id))
        for kind, text, ref, approval in done:
            row: dict[str, SqlValue] = {"at": at, "id": new_id("aud"), "turn": turn, "agent": payer.agent if payer else ""}
            row |= {"cause": cause.kind, "cause_id": cause.id, "caller": json_column(payer.caller if payer else "")}
            rows.append(
                {**row, "tool": message.name, "kind": kind, "text": json_column(text), "ref": json_column(ref), "approval": approval}
            )
    return rows


def redact(connection: Transaction, owner: str, texts: Sequence[str]) -> None:
    """Take what mentions one of these statements out of the owner's journal: that something was done stays. For a job of `Database.write`."""
    for at, deed, text in connection.execute(TEXTS_OF, {"owner": escape(owner)}):
        if (kept := without(unescape(text), texts, "[forgotten]")) != unescape(text):
            connection.execute(REWRITE, {"at": at, "id": deed, "text": json_column(kept)})


def add_deeds(connection: Transaction, session: int, rows: Sequence[dict[str, SqlValue]]) -> None:
    """In the transaction that appends their step to the session, behind it."""
    for row in rows:
        connection.execute(ADD, {**row, "session": session})


def add_deeds_beside(connection: Transaction, at: int, turn: str, payer: Payer, tool: str, effects: Sequence[Effect]) -> None:
    """Of what a tool did in no step of a turn: in the background, or in a workflow. In the transaction that stores its end. `at`: microseconds."""
    owner, session = json_column(payer.owner), json_column(payer.session)
    told = ToolMessage(id="", call_id="", name=tool, text="", effects=tuple(effects))
    for row in prepare_deeds(turn, at, [told], payer):
        connection.execute(ADD_BESIDE, {**row, "owner": owner, "session": session, "space": owner, "key": session})


def _deed(row: SqlRow) -> Deed:
    at, id, owner, session, turn, agent, cause, cause_id, caller, tool, kind, text, ref, read, approval = row
    return Deed(
        id=id,
        at=from_micros(at),
        owner=unescape(owner),
        session=unescape(session),
        turn_id=turn,
        agent=agent,
        cause=Cause(kind=cause, id=cause_id),
        caller=unescape(caller),
        tool=tool,
        kind=kind,
        text=unescape(text),
        ref=unescape(ref),
        read=tuple(sorted(decode_provenances(read))),
        approval=approval,
    )

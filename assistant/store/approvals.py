"""Approvals: what waits for a person's yes, what was allowed for a session."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal, TypeVar

from assistant.contracts.addresses import Address
from assistant.contracts.approvals import Approval, ApprovalNotFound, ApprovalWord
from assistant.contracts.continuations import Continuation
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.records import record
from assistant.contracts.util import Clock, derived_id, utc_now
from assistant.store import approval_rows as rows
from assistant.store.codec import encode_json, json_column, json_key, optional, to_micros, unescape
from assistant.store.continuations import add_continuation
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.outbox_rows import add_events, prepare_event
from assistant.store.processes import Notifier

T = TypeVar("T")
Start = Literal["run", "cut off", "void"]
MOST_WAITING: Final = 50
"""Questions to one person at once."""


@record
class Outcome:
    """What follows when a question ends. `edit`: the new text of the message that asked; `note`: what the session is told without a model;
    `go`: the turn that runs the call."""

    state: Literal["approved", "denied", "expired", "void"]
    edit: str = ""
    note: Continuation | None = None
    go: Continuation | None = None


class ApprovalStore:
    """Each write is one transaction, durable when the call returns. Every method may raise StoreUnavailable. `person` None means any person's (the
    command line)."""

    def __init__(self, database: Database, notifier: Notifier, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._notifier = notifier
        self._clock = clock

    async def add(self, approval: Approval, event: OutboundEvent | None) -> Approval | None:
        """Store a question, once by its id, with the message that asks it; another question of the same place in the turn is void. Returns the stored
        one; None: too many wait for this person."""
        now = to_micros(approval.created)
        values = rows.columns_of(approval)
        drafts = [prepare_event(event, now)] if event else []

        def add(connection: Transaction) -> Approval | None:
            known = connection.execute(rows.BY_ID, {"id": values["id"]})
            if known:
                return rows.decode(known[0])
            connection.execute(rows.VOID_PLACE, {**values, "now": now})
            if connection.execute(rows.COUNT_WAITING, {**values, "now": now})[0][0] >= MOST_WAITING:
                return None
            connection.execute(rows.ADD, values)
            add_events(connection, drafts, self._notifier)
            return approval

        return await self._write(add)

    async def get(self, person: str | None, wanted: str) -> Approval:
        """By id or code; of equal codes the latest. Raises ApprovalNotFound."""
        return await self._database.read(lambda connection: _find(connection, person, wanted))

    async def list(self, person: str | None, *, waiting: bool = False, limit: int = 50, before: str | None = None) -> Sequence[Approval]:
        """The latest first. `waiting`: only those that can be answered. `before`: the id of the last one of the page before."""
        values: dict[str, SqlValue] = {"limit": limit, "now": to_micros(self._clock())}
        values |= {"person": optional(json_column, person)} if person is not None else {}
        values |= {"before": json_column(before)} if before is not None else {}
        found = await self._database.select(rows.listed(person=person is not None, waiting=waiting, before=before is not None), values)
        return [rows.decode(row) for row in found]

    async def answer(
        self, person: str | None, wanted: str, word: ApprovalWord, decide: Callable[[Approval], Outcome], *, edit: bool
    ) -> tuple[Approval, bool]:
        """End a question that waits, as `decide` (pure; may be called twice) says. (It as it is now, whether this answer counted: one that was
        answered before, or has expired, stays as it is.) `edit`: change the message that asked. Raises ApprovalNotFound."""
        now = self._clock()

        def write(connection: Transaction) -> tuple[Approval, bool]:
            found = _find(connection, person, wanted)
            if found.state != "waiting":
                return found, False
            outcome = decide(found)
            heard = outcome.state in ("approved", "denied")
            ended = self._end(connection, found, outcome, now, word if heard else None, edit=edit or not heard)
            if ended.state == "approved" and word == "session":
                connection.execute(rows.ALLOW, rows.columns_of(ended) | {"now": to_micros(now)})
            return ended, True

        return await self._write(write)

    async def expire(self, outcome: Callable[[Approval], Outcome]) -> int:
        """End the questions whose time is over; returns how many."""
        now = self._clock()

        def end(connection: Transaction) -> int:
            over = connection.execute(rows.OVER, {"now": to_micros(now)})
            for row in over:
                found = rows.decode(row)
                self._end(connection, found, outcome(found), now, None, edit=True)
            return len(over)

        # Most looks find nothing: they must not keep a writer busy.
        if not await self._database.select(rows.OVER, {"now": to_micros(now)}):
            return 0
        return await self._write(end)

    async def start(self, approval_id: str, digest: str, *, again: bool) -> Start:
        """An approved call is about to run. "void": it is not the one that was approved; "cut off": it was started, and must not run `again`."""
        values: dict[str, SqlValue] = {
            "id": json_column(approval_id),
            "digest": digest,
            "now": to_micros(self._clock()),
            "again": int(again),
        }

        def start(connection: Transaction) -> Start:
            if connection.execute(rows.START, values):
                return "run"
            return "cut off" if connection.execute(rows.STARTED, values) else "void"

        return await self._database.write(start)

    async def allows(self, owner: str, session: str, person: str, agent: str, tool: str, like: Sequence[str]) -> bool:
        """Whether this person allowed such calls in this session."""
        names = zip(("owner", "session", "person", "agent", "tool"), (owner, session, person, agent, tool), strict=True)
        values: dict[str, SqlValue] = {name: json_column(value) for name, value in names}
        found = await self._database.select(rows.ALLOWED, values)
        return any(unescape(each) in like for (each,) in found)

    async def purge(self, before: datetime) -> int:
        """Remove what ended before this time; returns how many."""
        return len(await self._database.execute(rows.PURGE, {"before": to_micros(before)}))

    def _end(
        self, connection: Transaction, found: Approval, outcome: Outcome, now: datetime, word: ApprovalWord | None, *, edit: bool
    ) -> Approval:
        go = outcome.go
        run = go and derived_id("turn", go.id)
        ended = None if go else now
        values: dict[str, SqlValue] = {"id": json_column(found.id), "state": outcome.state, "answer": word, "run": run}
        connection.execute(rows.END, {**values, "ended": optional(to_micros, ended)})
        for continuation in filter(None, (go, outcome.note)):
            add_continuation(connection, self._notifier, continuation, now)
        if edit and outcome.edit and found.asked is not None:
            self._edit(connection, found, found.asked, outcome.edit, now)
        return replace(found, state=outcome.state, answer=word, ended=ended)

    def _edit(self, connection: Transaction, found: Approval, chat: Address, text: str, now: datetime) -> None:
        """The message that asked loses its buttons; one that was not sent yet is not sent."""
        asked: dict[str, SqlValue] = {"event": found.question, "now": to_micros(now)}
        connection.execute(rows.CANCEL_QUESTION, asked)
        for (receipt,) in connection.execute(rows.RECEIPT, asked):
            closing = rows.closing(found, chat, text, unescape(receipt), now)
            add_events(connection, [prepare_event(closing, to_micros(now))], self._notifier)

    async def _write(self, job: Callable[[Transaction], T]) -> T:
        result = await self._database.write(job)
        self._notifier.announced()
        return result


def rewrite_approvals(connection: Transaction, change: Callable[[Approval], Approval]) -> None:
    """Change the questions that are open, as when their space or chat gets another name."""
    for row in connection.execute(rows.OPEN):
        approval = rows.decode(row)
        changed = change(approval)
        if changed != approval:
            id, owner, session, person = json_key(changed.id, changed.owner, changed.session, changed.person)
            values: dict[str, SqlValue] = {"id": id, "owner": owner, "session": session, "person": person}
            connection.execute(rows.REWRITE, {**values, "payload": encode_json(changed)})


def _find(connection: Transaction, person: str | None, wanted: str) -> Approval:
    """Raises ApprovalNotFound."""
    found = connection.execute(
        rows.BY_ID if wanted.startswith("apr_") else rows.BY_CODE, {"id": json_column(wanted), "code": json_column(wanted)}
    )
    mine = [approval for approval in map(rows.decode, found) if person in (None, approval.person)]
    if not mine:
        raise ApprovalNotFound
    return next((each for each in mine if each.state == "waiting"), mine[0])

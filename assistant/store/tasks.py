"""Background tasks: accepted, taken by one process, ended with their turn, and handed to the session that asked."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from assistant.contracts.causes import Cause, Payer
from assistant.contracts.continuations import Continuation
from assistant.contracts.effects import Effect
from assistant.contracts.sessions import ONCE, SessionStore
from assistant.contracts.tasks import ENDED_TASK, TASK_SESSION, NewTask, Task, TaskConflict, TaskNotFound, TaskOutcome, TaskState
from assistant.contracts.util import Clock, derived_id, utc_now
from assistant.store import task_rows as rows
from assistant.store.audit import add_deeds_beside
from assistant.store.codec import encode_json, json_column, json_key, to_micros, unescape
from assistant.store.continuations import add_continuation
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.processes import Notifier, Runner, dead_among
from assistant.store.sessions import interrupt
from assistant.store.task_rows import WHY, HeldTask, OpenTask, TaskRecord

MOST_WAITING: Final = 64
MOST_RUNS: Final = 4
"""Of one owner, over all processes."""
_MOST_CRASHES: Final = 2
_MOST_TOLD: Final = 200
"""Characters of a command in the journal, where it was cut off."""
Write = Callable[[Transaction, TaskRecord], object]


class TaskStore:
    """Each write is one transaction, durable when the call returns. Every method may raise StoreUnavailable. `sessions`: helpers' sessions are
    removed with their tasks. `owner` None: any owner's.

    `end_with_turn` is called in the transaction that stores a turn's end, so that a task ends once, with its answer.
    """

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, sessions: SessionStore, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._notifier = notifier
        self._sessions = sessions
        self._clock = clock

    async def add(self, new: NewTask) -> None:
        """Accept a task, once for its id. A run is this process's from the start. Raises TaskConflict where too many wait, or
        run."""
        now, runs = self._now(), new.kind == "run"
        most = MOST_RUNS if runs else MOST_WAITING
        id, owner, session, parent = json_key(new.id, new.owner, new.session, new.turn_id)
        values: dict[str, SqlValue] = {
            "id": id, "owner": owner, "session": session, "parent": parent, "kind": new.kind, "state": "running" if runs else "waiting",
            "runner": self._runner.id if runs else None, "started": now if runs else None, "background": int(new.background),
            "depth": new.depth, "now": now, "turn": rows.turn_of(id, 0), "payload": encode_json(new),
        }  # fmt: skip

        def write(connection: Transaction) -> None:
            if connection.execute(rows.COUNT_RUNS if runs else rows.COUNT_WAITING, {"owner": owner, "id": id})[0][0] >= most:
                raise TaskConflict(f"{most} {'commands run' if runs else 'tasks wait'} already: let some of them end first.")
            connection.execute(rows.ADD, values)

        await self._database.write(write)

    async def get(self, owner: str | None, task_id: str) -> Task:
        """Raises TaskNotFound."""
        found = await self._database.select(f"{rows.SHOWN} WHERE tasks.id = :id", {"id": json_column(task_id)})
        task = rows.shown(found[0]) if found else None
        if task is None or owner not in (None, task.new.owner):
            raise TaskNotFound(param="task_id")
        return task

    async def list(
        self, owner: str | None, *, state: TaskState | None = None, limit: int = 50, before: str | None = None
    ) -> Sequence[Task]:
        """The newest first. `before`: the id of the last one of the previous page."""
        values: dict[str, SqlValue] = {"limit": limit}
        conditions: list[str] = []
        for name, value in (("owner", owner), ("state", state)):
            if value is not None:
                conditions.append(f"tasks.{name} = :{name}")
                values[name] = json_column(value)
        if before is not None:
            conditions.append("(tasks.created, tasks.id) < (SELECT created, id FROM tasks AS last WHERE last.id = :before)")
            values["before"] = json_column(before)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        wanted = f"{rows.SHOWN}{where} ORDER BY tasks.created DESC, tasks.id DESC LIMIT :limit"
        return [rows.shown(row) for row in await self._database.select(wanted, values)]

    async def open(self) -> Sequence[OpenTask]:
        """All that has not ended, or was not handed over, the earliest first."""
        return [rows.open_of(row) for row in await self._database.select(rows.OPEN)]

    async def take(self, parallel: int, longest: timedelta) -> Sequence[HeldTask]:
        """Take what waits, at most `parallel` at work for each owner over all processes. The tasks of a helper share its place, one at a time."""
        clock = self._clock()
        values: dict[str, SqlValue] = {"runner": self._runner.id, "now": to_micros(clock), "deadline": to_micros(clock + longest)}

        def take(connection: Transaction) -> list[TaskRecord]:
            work = Counter([rows.place_of(*row) for row in connection.execute(rows.AT_WORK)])
            taken: list[TaskRecord] = []
            for id, owner, depth, session in connection.execute(rows.WAITING):
                place = rows.place_of(owner, depth, session)
                if work[place] < (1 if depth > 1 else parallel):
                    work[place] += 1
                    connection.execute(rows.TAKE, {**values, "id": id})
                    taken += _rows(connection, id)
            return taken

        return [rows.held_of(row) for row in await self._database.write(take)]

    async def take_over(self) -> Sequence[HeldTask]:
        """Hold what dead processes worked on, or handed back. What a second process died of has failed, and so has a command whose process died."""

        def take(connection: Transaction) -> list[TaskRecord]:
            others = [TaskRecord(*row) for row in connection.execute(rows.OF_OTHERS, {"runner": self._runner.id})]
            dead = dead_among(self._runner, connection, [row.runner for row in others])
            held: list[TaskRecord] = []
            for row in others:
                crashes = row.crashes + (row.runner is not None)
                if row.runner is not None and row.runner not in dead:
                    continue
                if row.kind == "run" or crashes >= _MOST_CRASHES:
                    self._end(connection, row, "failed", WHY["run" if row.kind == "run" else "twice"])
                else:
                    connection.execute(rows.HOLD, {"id": row.id, "runner": self._runner.id, "crashes": crashes})
                    held.append(row)
            return held

        held = await self._database.write(take)
        self._notifier.announced()
        return [rows.held_of(row) for row in held]

    async def hand_back(self, task_id: str) -> None:
        """Leave it to another process: this one stops."""
        await self._database.execute(rows.HAND_BACK, {"id": task_id, "runner": self._runner.id})

    async def note(self, task_id: str, outcome: TaskOutcome) -> None:
        """What a task of this process comes to, stored right before its end."""
        await self._database.execute(rows.NOTE, {"id": task_id, "runner": self._runner.id, "outcome": encode_json(outcome)})

    def end_with_turn(self, connection: Transaction, turn: str, state: str) -> bool:
        """A turn ended: with it the task whose turn it was, as its last `note` says. True: call `Notifier.announced` after the commit."""
        found = [TaskRecord(*row) for row in connection.execute(rows.OF_TURN, {"turn": turn})]
        for row in found:
            self._end(connection, row, "done" if state == "finished" else "stopped" if state == "cancelled" else "failed")
        return bool(found)

    async def end(self, task_id: str, state: TaskState, error: str = "") -> None:
        """End a task that no turn ends: one that could not begin, or a command. Raises TaskNotFound."""
        await self._change(None, task_id, lambda connection, row: self._end(connection, row, state, error))

    async def settle_lost(self, task_id: str) -> None:
        """The turn that waited for a task has ended. With an answer: it had the result, too. Stopped: so is the task. Cut off: the result is handed
        over, now or when it is there. Raises TaskNotFound."""

        def write(connection: Transaction, row: TaskRecord) -> None:
            (state,) = next(iter(connection.execute(rows.PARENT, {"id": row.id})), (None,))
            if state in rows.UNDER_WAY or row.handover != "" or row.background:
                return
            if state in ("finished", "cancelled") and row.ended is not None:
                connection.execute(rows.HAND_OVER, {"id": row.id, "handover": "read"})
            elif state == "cancelled":
                self._stop(connection, row)
            else:
                self._to_background(connection, row)

        await self._change(None, task_id, write)

    async def leave(self, owner: str, task_id: str) -> None:
        """The turn that asked waits no longer: the end is handed over. One that has ended stays the turn's to read. Raises TaskNotFound."""

        def write(connection: Transaction, row: TaskRecord) -> None:
            if row.ended is None:
                self._to_background(connection, row)

        await self._change(owner, task_id, write)

    async def stop(self, owner: str | None, task_id: str) -> None:
        """Tell the process that works on a task to stop it; end one that no living process works on. Raises TaskNotFound, TaskConflict."""

        def write(connection: Transaction, row: TaskRecord) -> None:
            if row.state in ENDED_TASK:
                raise TaskConflict(f"The task is {row.state}: there is nothing left to stop.", param="task_id")
            self._stop(connection, row)

        await self._change(owner, task_id, write)

    async def retry(self, owner: str | None, task_id: str) -> None:
        """Do a task that failed or was stopped again; hand over a result that was kept. Raises TaskNotFound, TaskConflict."""

        def write(connection: Transaction, row: TaskRecord) -> None:
            if row.state in ("failed", "stopped") and row.kind == "turn":
                connection.execute(rows.AGAIN, {"id": row.id, "turn": rows.turn_of(row.id, row.attempt + 1)})
            elif row.ended is not None and row.handover == "kept":
                self._hand_over(connection, row, always=True)
            else:
                raise TaskConflict(
                    "Only a helper's task that failed or was stopped is done again, and only a kept result is handed over.", param="task_id"
                )

        await self._change(owner, task_id, write)

    async def dismiss(self, owner: str | None, task_id: str) -> None:
        """Wait no longer for a session that could take a kept result. Raises TaskNotFound, TaskConflict."""

        def write(connection: Transaction, row: TaskRecord) -> None:
            if row.handover != "kept":
                raise TaskConflict("There is nothing to dismiss: no result of this task is kept.", param="task_id")
            connection.execute(rows.HAND_OVER, {"id": row.id, "handover": "dismissed"})

        await self._change(owner, task_id, write)

    async def hand_over_kept(self, task_id: str) -> None:
        """The session that asked is there again. Raises TaskNotFound."""
        await self._change(None, task_id, lambda connection, row: row.handover == "kept" and self._hand_over(connection, row))

    async def purge(self, before: datetime) -> int:
        """Remove the tasks that ended before this time, with their sessions; returns how many."""
        values: dict[str, SqlValue] = {"before": to_micros(before)}
        purged = 0
        while due := await self._database.select(rows.ENDED_BEFORE, values):
            for id, owner in due:
                await self._sessions.delete(unescape(owner), f"{TASK_SESSION}{id}")
                purged += len(await self._database.execute(rows.REMOVE, {**values, "id": id}))
        return purged

    async def _change(self, owner: str | None, task_id: str, write: Write) -> None:
        def change(connection: Transaction) -> None:
            found = _rows(connection, json_column(task_id))
            if not found or owner not in (None, unescape(found[0].owner)):
                raise TaskNotFound(param="task_id")
            write(connection, found[0])

        await self._database.write(change)
        self._notifier.announced()

    def _stop(self, connection: Transaction, row: TaskRecord) -> None:
        connection.execute(rows.CANCEL, {"id": row.id})
        if row.runner is None or dead_among(self._runner, connection, [row.runner]):
            self._end(connection, row, "stopped")

    def _to_background(self, connection: Transaction, row: TaskRecord) -> None:
        connection.execute(rows.IN_BACKGROUND, {"id": row.id})
        if row.ended is not None:
            self._hand_over(connection, row)

    def _end(self, connection: Transaction, row: TaskRecord, state: TaskState, error: str = "") -> None:
        """End it, and hand its result over; a turn of it that still counts as running is cut off."""
        outcome, now = rows.outcome_of(row), self._now()
        if state != "done" and not outcome.error:
            outcome = replace(outcome, error=error or WHY.get(state, WHY["cut"]))
        values: dict[str, SqlValue] = {"id": row.id, "state": state, "now": now, "outcome": encode_json(outcome)}
        if not connection.execute(rows.END, values):
            return
        interrupt(connection, row.turn, now)
        if row.kind == "run":
            self._tell(connection, rows.new_of(row), outcome, now)
        (ended,) = _rows(connection, row.id)
        if state == "stopped":
            connection.execute(rows.HAND_OVER, {"id": row.id, "handover": "read"})
        elif ended.background:
            self._hand_over(connection, ended)

    def _tell(self, connection: Transaction, new: NewTask, outcome: TaskOutcome, now: int) -> None:
        """The end of a command, in the journal: as it says itself, or why it was cut off."""
        cut = Effect(kind="ran", text=f"{' '.join(new.text.split())[:_MOST_TOLD]} · {outcome.error or 'ended'}", ref=new.id)
        cause = Cause(kind="task", id=new.id)
        payer = Payer(owner=new.owner, caller=new.caller or new.owner, session=new.session, agent=new.agent, cause=cause)
        add_deeds_beside(connection, now, new.turn_id, payer, "run", outcome.effects or (cut,))

    def _hand_over(self, connection: Transaction, row: TaskRecord, *, always: bool = False) -> None:
        """Make the session that asked go on, once for each attempt; keep the result where that session is gone, unless `always`."""
        task = rows.task_of(row)
        new = task.new
        there = always or connection.execute(rows.SESSION_THERE, {"owner": row.owner, "session": row.session})
        if not there or new.session.startswith((ONCE, TASK_SESSION)):
            connection.execute(rows.HAND_OVER, {"id": row.id, "handover": "kept"})
            return
        continuation = Continuation(
            id=derived_id("cont", new.id, str(row.attempt)),
            owner=new.owner,
            session=new.session,
            agent=new.within[-1] if new.within else new.agent,
            cause=Cause(kind="task", id=new.id),
            text=rows.told(task),
            provenance="tool",
            address=new.address,
            caller=new.caller,
            asker=new.asker,
            only_tools=new.parent_tools,
        )
        add_continuation(connection, self._notifier, continuation, self._clock())
        connection.execute(rows.HAND, {"id": row.id, "continuation": continuation.id})

    def _now(self) -> int:
        return to_micros(self._clock())


def _rows(connection: Transaction, task_id: str) -> list[TaskRecord]:
    return [TaskRecord(*row) for row in connection.execute(rows.BY_ID, {"id": task_id})]

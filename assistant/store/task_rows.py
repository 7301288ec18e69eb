"""The SQL of background tasks, and what is read from their rows."""

from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from assistant.contracts.messages import Usage
from assistant.contracts.records import record
from assistant.contracts.tasks import TASK_SESSION, Handover, NewTask, Task, TaskKind, TaskOutcome, TaskState
from assistant.contracts.util import derived_id
from assistant.store.codec import decode_new_task, decode_outcome, from_micros, optional, unescape
from assistant.store.database import SqlRow

COLUMNS: Final = """
    tasks.id, tasks.owner, tasks.session, tasks.state, tasks.handover, tasks.background, tasks.created, tasks.started, tasks.ended, tasks.payload,
    tasks.outcome, tasks.kind, tasks.runner, tasks.turn, tasks.attempt, tasks.crashes, tasks.deadline"""
TASK: Final = f"SELECT {COLUMNS} FROM tasks"  # noqa: S608 - columns of ours, here and below
SHOWN: Final = f"""
    SELECT {COLUMNS}, own.prompt_tokens, own.completion_tokens, own.cached_tokens
    FROM tasks LEFT JOIN sessions AS own ON own.owner = tasks.owner AND own.key = '{TASK_SESSION}' || tasks.id"""  # noqa: S608
ADD = """
    INSERT INTO tasks (id, owner, kind, state, runner, cancel, background, attempt, crashes, depth, created, started, session, parent, turn,
        handover, payload)
    VALUES (:id, :owner, :kind, :state, :runner, 0, :background, 0, 0, :depth, :now, :started, :session, :parent, :turn, '', :payload)
    ON CONFLICT (id) DO NOTHING"""
COUNT_WAITING = "SELECT COUNT(*) FROM tasks WHERE owner = :owner AND state = 'waiting' AND handover IN ('', 'kept') AND id <> :id"
COUNT_RUNS = (
    "SELECT COUNT(*) FROM tasks WHERE owner = :owner AND state = 'running' AND kind = 'run' AND handover IN ('', 'kept') AND id <> :id"
)
BY_ID = f"{TASK} WHERE tasks.id = :id"
OPEN = """
    SELECT id, kind, state, runner, cancel, handover, background,
        EXISTS (SELECT 1 FROM sessions WHERE sessions.owner = tasks.owner AND sessions.key = tasks.session),
        (SELECT turns.state FROM turns WHERE turns.id = tasks.parent)
    FROM tasks WHERE handover IN ('', 'kept') ORDER BY created, id"""
OF_OTHERS = f"{TASK} WHERE tasks.handover IN ('', 'kept') AND tasks.state = 'running' AND (tasks.runner IS NULL OR tasks.runner <> :runner)"
PARENT = "SELECT turns.state FROM turns JOIN tasks ON tasks.parent = turns.id WHERE tasks.id = :id"
UNDER_WAY: Final = ("running", "waiting")
"""States of a turn that has not ended."""
WAITING = "SELECT id, owner, depth, session FROM tasks WHERE handover IN ('', 'kept') AND state = 'waiting' ORDER BY created, id"
AT_WORK = "SELECT owner, depth, session FROM tasks WHERE handover IN ('', 'kept') AND state = 'running' AND kind = 'turn'"
TAKE = """
    UPDATE tasks SET state = 'running', runner = :runner, started = COALESCE(started, :now), deadline = COALESCE(deadline, :deadline)
    WHERE id = :id AND state = 'waiting' RETURNING id"""
HOLD = "UPDATE tasks SET runner = :runner, crashes = :crashes WHERE id = :id"
HAND_BACK = "UPDATE tasks SET runner = NULL WHERE id = :id AND runner = :runner AND ended IS NULL"
NOTE = "UPDATE tasks SET outcome = :outcome WHERE id = :id AND runner = :runner AND ended IS NULL RETURNING id"
END = "UPDATE tasks SET state = :state, ended = :now, runner = NULL, outcome = :outcome WHERE id = :id AND ended IS NULL RETURNING id"
OF_TURN = f"{TASK} WHERE tasks.turn = :turn AND tasks.ended IS NULL"
HAND_OVER = "UPDATE tasks SET handover = :handover WHERE id = :id"
HAND = "UPDATE tasks SET handover = 'handed', continuation = :continuation WHERE id = :id"
KEEP_RESULTS = """
    UPDATE tasks SET handover = 'kept' WHERE owner = :owner AND session = :key AND handover = 'handed'
        AND EXISTS (SELECT 1 FROM continuations WHERE continuations.id = tasks.continuation AND continuations.state = 'waiting')"""
"""Of a session that is removed while its continuations wait."""
IN_BACKGROUND = "UPDATE tasks SET background = 1 WHERE id = :id"
CANCEL = "UPDATE tasks SET cancel = 1 WHERE id = :id AND ended IS NULL"
AGAIN = """
    UPDATE tasks SET state = 'waiting', runner = NULL, cancel = 0, background = 1, attempt = attempt + 1, crashes = 0, started = NULL,
        deadline = NULL, ended = NULL, turn = :turn, handover = '', outcome = NULL WHERE id = :id"""
SESSION_THERE = "SELECT 1 FROM sessions WHERE owner = :owner AND key = :session"
ENDED_BEFORE = "SELECT id, owner FROM tasks WHERE ended < :before ORDER BY ended LIMIT 200"
REMOVE = "DELETE FROM tasks WHERE id = :id AND ended < :before RETURNING id"

_MOST_SHOWN: Final = 20_000
"""Characters of an answer that the session which asked reads; the helper's own session has all."""
WHY: Final = {
    "stopped": "it was stopped",
    "cut": "its turn was cut off",
    "twice": "the server was cut off during it, twice",
    "bug": "there is an error in this server; its log says where",
    "late": "it did not end by its deadline",
    "run": "the server ended while it ran, and the command with it",
}


class TaskRecord(NamedTuple):
    """A row, by `COLUMNS`; its names are as stored."""

    id: str
    owner: str
    session: str
    state: TaskState
    handover: Handover
    background: int
    created: int
    started: int | None
    ended: int | None
    payload: str
    outcome: str | None
    kind: TaskKind
    runner: str | None
    turn: str
    attempt: int
    crashes: int
    deadline: int | None


@record
class HeldTask:
    """A task that this process works on."""

    new: NewTask
    turn_id: str
    deadline: datetime


@record
class OpenTask:
    """What there may be to do about a task that has not ended, or was not handed over."""

    id: str
    kind: TaskKind
    state: TaskState
    runner: str | None
    cancel: bool
    lost: bool
    """The turn that waits for it has ended."""
    found: bool
    """Its result is kept, and the session that asked is there again."""


def turn_of(task_id: str, attempt: int) -> str:
    """The id of the turn that does a task."""
    return derived_id("turn", task_id, str(attempt))


def told(task: Task) -> str:
    """The end of a task in words, for the model that asked."""
    what = "command" if task.new.kind == "run" else "task"
    how = "has ended" if task.state == "done" else f"failed: {task.outcome.error}"
    words = [f"[The background {what} {task.id} {how}]", f"Asked: {task.new.text[:500]}"]
    if task.outcome.effects:
        words.append(f"It did: {', '.join(effect.text for effect in task.outcome.effects)}.")
    answer = task.outcome.answer
    if len(answer) > _MOST_SHOWN and task.new.kind == "turn":  # a command's output says itself where the rest is
        answer = f"{answer[:_MOST_SHOWN]}\n[{len(answer) - _MOST_SHOWN:,} more characters are in the session {task.session}.]"
    return "\n\n".join([*words, answer] if answer.strip() else words)


def place_of(owner: str, depth: int, session: str) -> tuple[str, str]:
    """What a limit of tasks at once counts: an owner; for the tasks of a helper, that helper."""
    return owner, session if depth > 1 else ""


def outcome_of(row: TaskRecord) -> TaskOutcome:
    return TaskOutcome() if row.outcome is None else decode_outcome(row.outcome)


def new_of(row: TaskRecord) -> NewTask:
    """As accepted, with the owner and the session as they are called now."""
    return replace(decode_new_task(row.payload), owner=unescape(row.owner), session=unescape(row.session))


def task_of(row: TaskRecord, prompt: int | None = None, completion: int | None = None, cached: int | None = None) -> Task:
    """`prompt`, `completion`, `cached`: the tokens of its session."""
    return Task(
        new=new_of(row),
        state=row.state,
        handover=row.handover,
        background=bool(row.background),
        created=from_micros(row.created),
        started=optional(from_micros, row.started),
        ended=optional(from_micros, row.ended),
        outcome=outcome_of(row),
        usage=Usage(prompt_tokens=prompt or 0, completion_tokens=completion or 0, cached_tokens=cached or 0),
    )


def shown(row: SqlRow) -> Task:
    """A row of `SHOWN`."""
    return task_of(TaskRecord(*row[:-3]), *row[-3:])


def held_of(row: TaskRecord) -> HeldTask:
    return HeldTask(new=new_of(row), turn_id=row.turn, deadline=from_micros(row.deadline or 0))


def open_of(row: SqlRow) -> OpenTask:
    """A row of `OPEN`."""
    id, kind, state, runner, cancel, handover, background, there, parent = row
    return OpenTask(
        id=id,
        kind=kind,
        state=state,
        runner=runner,
        cancel=bool(cancel),
        lost=handover == "" and not background and parent not in UNDER_WAY,
        found=handover == "kept" and bool(there),
    )

"""Jobs of workflows, and the runs of their nodes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from assistant.contracts.causes import Cause, Payer
from assistant.contracts.effects import Effect
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import Json
from assistant.contracts.sessions import SessionStore
from assistant.contracts.util import Clock, utc_now
from assistant.contracts.workflows import JOB_SESSION, HeldJob, Job, JobConflict, JobNotFound, JobState, NewJob, NodeRun, NodeState
from assistant.store.audit import add_deeds_beside
from assistant.store.codec import encode_json, from_micros, json_column, json_key, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.occurrence_rows import end_with_job
from assistant.store.processes import Notifier, Runner, dead_among

_JOB = "SELECT id, owner, workflow, state, created, ended, error, results FROM jobs"
ADD = """
    INSERT INTO jobs (id, owner, workflow, state, runner, cancel, created, payload)
    VALUES (:id, :owner, :workflow, 'queued', :runner, 0, :at, :payload)"""
BEGIN = "UPDATE jobs SET state = 'running' WHERE id = :id AND runner = :runner AND ended IS NULL AND cancel = 0 RETURNING id"
HELD = "SELECT 1 FROM jobs WHERE id = :id AND runner = :runner AND ended IS NULL"
HELD_BY_OTHERS = "SELECT id, runner FROM jobs WHERE ended IS NULL AND (runner IS NULL OR runner <> :runner) ORDER BY id"
TAKE_OVER = "UPDATE jobs SET runner = :runner WHERE id = :id RETURNING owner, workflow, created, payload"
RELEASE = "UPDATE jobs SET runner = NULL WHERE id = :id AND runner = :runner AND ended IS NULL"
START_NODE = """
    INSERT INTO job_nodes (job, path, state, starts, turn, started) VALUES (:id, :path, 'running', 1, :turn, :at)
    ON CONFLICT (job, path) DO UPDATE SET state = 'running', starts = job_nodes.starts + 1, ended = NULL"""
END_NODE = "UPDATE job_nodes SET state = :state, ended = :at, output = :output, error = :error WHERE job = :id AND path = :path"
BY_WHOM = "SELECT owner, payload, turn FROM jobs JOIN job_nodes ON job = id WHERE id = :id AND path = :path"
END = """
    UPDATE jobs SET state = :state, ended = :at, error = :error, results = :results, runner = NULL
    WHERE id = :id AND ended IS NULL RETURNING id"""
END_NODES = "UPDATE job_nodes SET state = :state, ended = :at WHERE job = :id AND state = 'running'"
ASK_TO_CANCEL = "UPDATE jobs SET cancel = 1 WHERE id = :id AND ended IS NULL"
TO_CANCEL = "SELECT id FROM jobs WHERE runner = :runner AND ended IS NULL AND cancel = 1"
JOB = f"{_JOB} WHERE id = :id"
HOLDER = "SELECT runner FROM jobs WHERE id = :id"
NODES = "SELECT path, state, starts, output, error, started, ended FROM job_nodes WHERE job = :id ORDER BY started, path"
ENDED_BEFORE = "SELECT id, owner FROM jobs WHERE ended < :before ORDER BY ended LIMIT 200"
PATHS = "SELECT path FROM job_nodes WHERE job = :id"
REMOVE = "DELETE FROM jobs WHERE id = :id AND ended < :before RETURNING id"


def jobs_of(*, everybody: bool, before: bool) -> str:
    """The statement that lists jobs, the latest first. `before`: those older than the one with the id `:before`."""
    conditions = ([] if everybody else ["owner = :owner"]) + (["id < :before"] if before else [])
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{_JOB}{where} ORDER BY id DESC LIMIT :limit"


class JobStore:
    """Jobs in a Database. Every write is one transaction and durable when the call returns.

    `sessions`: the nodes' sessions are removed with their job. All methods raise StoreUnavailable. Writes of a job that this process does not
    hold return False and write nothing.
    """

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, sessions: SessionStore, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._notifier = notifier
        self._sessions = sessions
        self._clock = clock

    async def add(self, job: NewJob) -> Job:
        """Accept a job, "queued" and held by this process."""
        now = self._now()
        owner, workflow = json_key(job.owner, job.workflow)
        payload = _dumped({"sources": dict(job.sources), "inputs": dict(job.inputs), "caller": job.caller})
        values: dict[str, SqlValue] = {
            "id": job.id, "owner": owner, "workflow": workflow, "runner": self._runner.id, "at": now, "payload": payload,
        }  # fmt: skip
        await self._database.execute(ADD, values)
        return _job((job.id, owner, workflow, "queued", now, None, None, None), ())

    async def begin(self, job_id: str) -> bool:
        return bool(await self._database.execute(BEGIN, self._mine(job_id)))

    async def take_over(self) -> Sequence[HeldJob]:
        """Hold the unended jobs that dead processes held, or that were released."""

        def take(connection: Transaction) -> list[tuple[SqlRow, list[SqlRow]]]:
            others = connection.execute(HELD_BY_OTHERS, {"runner": self._runner.id})
            dead = dead_among(self._runner, connection, [runner for _, runner in others])
            taken: list[tuple[SqlRow, list[SqlRow]]] = []
            for job, runner in others:
                if runner is None or runner in dead:
                    (row,) = connection.execute(TAKE_OVER, self._mine(job))
                    taken.append(((job, *row), connection.execute(NODES, {"id": job})))
            return taken

        return [_held(row, nodes) for row, nodes in await self._database.write(take)]

    async def release(self, job_id: str) -> None:
        """Stop holding a job, and leave it as it is: this process ends."""
        await self._database.execute(RELEASE, self._mine(job_id))

    async def start_node(self, job_id: str, path: str, turn_id: str) -> bool:
        """Record that a node starts. While it runs, its turn `turn_id` is not settled when it is cut off: it is resumed."""
        values: dict[str, SqlValue] = {"id": job_id, "path": path, "turn": turn_id, "at": self._now()}
        return await self._if_held(job_id, lambda connection: connection.execute(START_NODE, values))

    async def end_node(
        self,
        job_id: str,
        path: str,
        state: NodeState,
        output: Json = None,
        error: str | None = None,
        *,
        tool: str = "",
        did: Sequence[Effect] = (),
    ) -> bool:
        """`did`: what the node's `tool` did, for the journal of effects, which is written with the end."""
        now = self._now()
        values: dict[str, SqlValue] = {
            "id": job_id, "path": path, "state": state, "at": now, "output": _dumped(output),
            "error": optional(json_column, error),
        }  # fmt: skip

        def end(connection: Transaction) -> None:
            connection.execute(END_NODE, values)
            for owner, payload, turn in connection.execute(BY_WHOM, {"id": job_id, "path": path}) if did else ():
                cause, session, whose = Cause(kind="job", id=job_id), f"{JOB_SESSION}{job_id}:{path}", unescape(owner)
                payer = Payer(owner=whose, caller=orjson.loads(payload).get("caller") or whose, session=session, cause=cause)
                add_deeds_beside(connection, now, turn, payer, tool, did)

        return await self._if_held(job_id, end)

    async def end(self, job_id: str, state: JobState, *, results: Mapping[str, Json] | None = None, error: str | None = None) -> bool:
        """End a job; its running nodes get the same state."""
        now = self._now()
        values: dict[str, SqlValue] = {
            "id": job_id, "state": state, "at": now, "error": optional(json_column, error),
            "results": None if results is None else _dumped(dict(results)),
        }  # fmt: skip
        ended = await self._if_held(job_id, lambda connection: _end(connection, self._notifier, values, now))
        if ended and state == "failed":
            self._notifier.announced()
        return ended

    async def ask_to_cancel(self, owner: str | None, job_id: str) -> Job:
        """Tell the process that holds the job to cancel it; cancel a job that no living process holds at once.

        Raises JobNotFound, JobConflict for a job that ended otherwise.
        """
        now = self._now()

        def ask(connection: Transaction) -> None:
            row = _find(connection, owner, job_id)
            if row is None:
                raise JobNotFound(param="job_id")
            if row[3] in ("completed", "failed"):
                raise JobConflict(f"The job is {row[3]}: there is nothing left to cancel.", param="job_id")
            connection.execute(ASK_TO_CANCEL, {"id": job_id})
            ((holder,),) = connection.execute(HOLDER, {"id": job_id})
            if holder is None or dead_among(self._runner, connection, [holder]):
                cancel_job(connection, self._notifier, job_id, now)

        await self._database.write(ask)
        found = await self.get(owner, job_id)
        if found is None:
            raise JobNotFound(param="job_id")
        return found

    async def to_cancel(self) -> Sequence[str]:
        """The jobs of this process that are to be cancelled."""
        return [job for (job,) in await self._database.select(TO_CANCEL, {"runner": self._runner.id})]

    async def get(self, owner: str | None, job_id: str) -> Job | None:
        """`owner` None: any owner's job."""

        def look(connection: Transaction) -> tuple[SqlRow | None, list[SqlRow]]:
            row = _find(connection, owner, job_id)
            return row, connection.execute(NODES, {"id": job_id}) if row is not None else []

        row, nodes = await self._database.read(look)
        return None if row is None else _job(row, nodes)

    async def list(self, owner: str | None, *, limit: int = 50, before: str | None = None) -> Sequence[Job]:
        """The newest first, without nodes. `before`: the id of the last job of the previous page."""
        values: dict[str, SqlValue] = {"owner": optional(json_column, owner), "limit": limit}
        if before is not None:
            values["before"] = json_column(before)
        wanted = jobs_of(everybody=owner is None, before=before is not None)
        return [_job(row, ()) for row in await self._database.select(wanted, values)]

    async def purge(self, before: datetime) -> int:
        """Remove the jobs that ended before this time, with their nodes' sessions. Returns how many jobs were removed."""
        values: dict[str, SqlValue] = {"before": to_micros(before)}
        purged = 0
        while due := await self._database.select(ENDED_BEFORE, values):
            for job, owner in due:
                for (path,) in await self._database.select(PATHS, {"id": job}):
                    await self._sessions.delete(unescape(owner), f"{JOB_SESSION}{job}:{path}")

            def remove(connection: Transaction, due: Sequence[SqlRow] = due) -> int:
                return sum(len(connection.execute(REMOVE, {**values, "id": job})) for job, _ in due)

            purged += await self._database.write(remove)
        return purged

    async def _if_held(self, job_id: str, write: Callable[[Transaction], object]) -> bool:
        def write_if_held(connection: Transaction) -> bool:
            if not connection.execute(HELD, self._mine(job_id)):
                return False
            write(connection)
            return True

        return await self._database.write(write_if_held)

    def _mine(self, job_id: str) -> dict[str, SqlValue]:
        return {"id": job_id, "runner": self._runner.id}

    def _now(self) -> int:
        return to_micros(self._clock())


def _find(connection: Transaction, owner: str | None, job_id: str) -> SqlRow | None:
    rows = connection.execute(JOB, {"id": json_column(job_id)})
    return rows[0] if rows and (owner is None or unescape(rows[0][1]) == owner) else None


def cancel_job(connection: Transaction, notifier: Notifier, job_id: str, now: int) -> None:
    """End one that no living process holds."""
    _end(connection, notifier, {"id": job_id, "state": "cancelled", "at": now, "error": None, "results": None}, now)


def _end(connection: Transaction, notifier: Notifier, values: Mapping[str, SqlValue], now: int) -> None:
    """With the occurrence of a schedule that started it."""
    connection.execute(END, values)
    end_with_job(connection, notifier, str(values["id"]), str(values["state"]), now)
    connection.execute(END_NODES, {name: values[name] for name in ("id", "state", "at")})


def _job(row: SqlRow, nodes: Sequence[SqlRow]) -> Job:
    job, owner, workflow, state, created, ended, error, results = row
    return Job(
        id=job,
        owner=unescape(owner),
        workflow=unescape(workflow),
        state=state,
        created=from_micros(created),
        ended=optional(from_micros, ended),
        error=optional(unescape, error),
        results=optional(orjson.loads, results),
        nodes=tuple([_node(node) for node in nodes]),
    )


def _node(row: SqlRow) -> NodeRun:
    path, state, starts, output, error, started, ended = row
    return NodeRun(
        path=path,
        state=state,
        starts=starts,
        output=optional(orjson.loads, output),
        error=optional(unescape, error),
        started=from_micros(started),
        ended=optional(from_micros, ended),
    )


def _held(row: SqlRow, nodes: Sequence[SqlRow]) -> HeldJob:
    job, owner, workflow, created, payload = row
    raw: dict[str, Any] = orjson.loads(payload)
    new = NewJob(
        id=job,
        owner=unescape(owner),
        workflow=unescape(workflow),
        sources=raw["sources"],
        inputs=raw["inputs"],
        caller=raw.get("caller", ""),
    )
    return HeldJob(new=new, created=from_micros(created), nodes={node[0]: _node(node) for node in nodes})


def _dumped(value: Json) -> str:
    """JSON without line breaks, NUL escaped. Raises InvalidRequest for a number beyond 64 bits."""
    try:
        return encode_json(value)
    except TypeError:
        raise InvalidRequest("A number is too large to be kept: 64 bits are the most.") from None

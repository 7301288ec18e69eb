"""The statements of jobs, in the SQL that SQLite and PostgreSQL share."""

_JOB = """
    SELECT id, owner, workflow, state, created, ended, error, results FROM jobs"""

ADD = """
    INSERT INTO jobs (id, owner, workflow, state, runner, cancel, created, payload)
    VALUES (:id, :owner, :workflow, 'queued', :runner, 0, :at, :payload)"""

BEGIN = """
    UPDATE jobs SET state = 'running' WHERE id = :id AND runner = :runner AND ended IS NULL AND cancel = 0 RETURNING id"""

HELD = """
    SELECT 1 FROM jobs WHERE id = :id AND runner = :runner AND ended IS NULL"""

HELD_BY_OTHERS = """
    SELECT id, runner FROM jobs WHERE ended IS NULL AND (runner IS NULL OR runner <> :runner) ORDER BY id"""

TAKE_OVER = """
    UPDATE jobs SET runner = :runner WHERE id = :id RETURNING owner, workflow, created, payload"""

RELEASE = """
    UPDATE jobs SET runner = NULL WHERE id = :id AND runner = :runner AND ended IS NULL"""

START_NODE = """
    INSERT INTO job_nodes (job, path, state, starts, turn, started) VALUES (:id, :path, 'running', 1, :turn, :at)
    ON CONFLICT (job, path) DO UPDATE SET state = 'running', starts = job_nodes.starts + 1, ended = NULL"""

END_NODE = """
    UPDATE job_nodes SET state = :state, ended = :at, output = :output, error = :error WHERE job = :id AND path = :path"""

END = """
    UPDATE jobs SET state = :state, ended = :at, error = :error, results = :results, runner = NULL
    WHERE id = :id AND ended IS NULL RETURNING id"""

END_NODES = """
    UPDATE job_nodes SET state = :state, ended = :at WHERE job = :id AND state = 'running'"""

ASK_TO_CANCEL = """
    UPDATE jobs SET cancel = 1 WHERE id = :id AND ended IS NULL"""

TO_CANCEL = """
    SELECT id FROM jobs WHERE runner = :runner AND ended IS NULL AND cancel = 1"""

JOB = f"{_JOB} WHERE id = :id"

HOLDER = """
    SELECT runner FROM jobs WHERE id = :id"""

NODES = """
    SELECT path, state, starts, output, error, started, ended FROM job_nodes WHERE job = :id ORDER BY started, path"""

ENDED_BEFORE = """
    SELECT id, owner FROM jobs WHERE ended < :before ORDER BY ended LIMIT 200"""

PATHS = """
    SELECT path FROM job_nodes WHERE job = :id"""

REMOVE = """
    DELETE FROM jobs WHERE id = :id AND ended < :before RETURNING id"""


def jobs_of(*, everybody: bool, before: bool) -> str:
    """The statement that lists jobs, the latest first; `before`: those that are older than the one by the id `:before`."""
    conditions = ([] if everybody else ["owner = :owner"]) + (["id < :before"] if before else [])
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{_JOB}{where} ORDER BY id DESC LIMIT :limit"

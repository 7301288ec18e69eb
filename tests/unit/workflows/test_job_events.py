"""The updates that a listener gets of a job whose nodes changed since its last look."""

from datetime import UTC, datetime, timedelta

from assistant.contracts.workflows import Job, NodeRun, NodeState, NodeUpdate
from assistant.workflows.service import JobEvents

BEGIN = datetime(2026, 1, 2, tzinfo=UTC)


def node(path: str, started: int, ended: int | None, starts: int = 1) -> NodeRun:
    state: NodeState = "running" if ended is None else "completed"
    end = None if ended is None else BEGIN + timedelta(seconds=ended)
    return NodeRun(path=path, state=state, starts=starts, started=BEGIN + timedelta(seconds=started), ended=end)


def seen(events: JobEvents, *nodes: NodeRun) -> list[str]:
    job = Job(id="job_1", owner="local", workflow="w", state="running", created=BEGIN, ended=None, error=None, results=None, nodes=nodes)
    return [f"{update.node.path} {update.node.state}" for update in events.since_last(job) if isinstance(update, NodeUpdate)]


def test_two_nodes_that_changed_since_the_last_look_come_in_the_order_of_their_times() -> None:
    after_each_other = node("a", 1, 2), node("b", 3, 4)
    assert seen(JobEvents(), *after_each_other) == ["a running", "a completed", "b running", "b completed"]
    side_by_side = node("a", 1, 4), node("b", 2, 3)
    assert seen(JobEvents(), *side_by_side) == ["a running", "b running", "b completed", "a completed"]


def test_at_equal_times_an_end_comes_before_the_start_of_another_node_and_after_its_own() -> None:
    assert seen(JobEvents(), node("a", 1, 2), node("b", 2, 2), node("c", 2, None)) == [
        "a running",
        "a completed",
        "b running",
        "b completed",
        "c running",
    ]


def test_a_known_start_is_not_repeated_and_a_second_start_is_an_update() -> None:
    events = JobEvents()
    assert seen(events, node("a", 1, None)) == ["a running"]
    assert seen(events, node("a", 1, 2), node("b", 2, None)) == ["a completed", "b running"]
    assert seen(events, node("a", 1, 2), node("b", 2, 5, starts=2)) == ["b running", "b completed"]

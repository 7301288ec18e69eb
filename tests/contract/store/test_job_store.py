"""Jobs and their nodes, on SQLite and PostgreSQL: what was noted is there, and only the process that holds a job writes of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.contracts.causes import Cause
from assistant.contracts.effects import Effect
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import Json, Text, UserMessage
from assistant.contracts.sessions import NewTurn
from assistant.contracts.workflows import HeldJob, JobConflict, JobNotFound, NewJob
from assistant.store.store import Store

from .conftest import Opener, TurnedClock
from .processes import kill, line, other_process

SOURCES = {"main": "nodes: {}\n"}


def new(name: str, inputs: Mapping[str, Json] | None = None, owner: str = "anna") -> NewJob:
    return NewJob(id=f"job_{name}", owner=owner, workflow="main", sources=SOURCES, inputs=inputs or {"city": "Rome\0"})


async def test_a_job_is_kept_as_it_goes(store: Store, clock: TurnedClock) -> None:
    jobs = store.jobs
    added = await jobs.add(new("1"))
    assert (added.state, added.created, added.nodes) == ("queued", clock.now, ())
    assert await jobs.get("anna", "job_1") == added
    assert await jobs.begin("job_1")
    assert await jobs.start_node("job_1", "a", "turn_a")
    clock.turn(timedelta(seconds=2))
    assert await jobs.start_node("job_1", "b", "turn_b")
    assert await jobs.end_node("job_1", "a", "completed", {"said": ["x\0", 1.5, None]})
    assert await jobs.end_node("job_1", "b", "failed", error="it broke \ud800 off")
    running = await jobs.get("anna", "job_1")
    assert running is not None
    assert running.state == "running"
    assert [(node.path, node.state, node.output, node.error, node.starts) for node in running.nodes] == [
        ("a", "completed", {"said": ["x\0", 1.5, None]}, None, 1),
        ("b", "failed", None, "it broke \ufffd off", 1),
    ]
    assert running.nodes[0].ended == clock.now
    assert await jobs.end("job_1", "completed", results={"all": "done"})
    ended = await jobs.get("anna", "job_1")
    assert ended is not None
    assert (ended.state, ended.results, ended.ended, ended.error) == ("completed", {"all": "done"}, clock.now, None)
    for late in (
        jobs.begin("job_1"), jobs.start_node("job_1", "c", "turn_c"), jobs.end_node("job_1", "a", "failed"), jobs.end("job_1", "failed"),
    ):  # fmt: skip
        assert not await late
    assert await jobs.get("anna", "job_1") == ended


async def test_what_a_tool_of_a_node_did_is_in_the_journal_with_its_end_and_only_then(store: Store, clock: TurnedClock) -> None:
    sent = Effect(kind="sent", text="sent to telegram:42", ref="evt_1")
    await store.jobs.add(replace(new("1"), caller="key:7"))
    await store.jobs.start_node("job_1", "in/a", "turn_a")
    assert await store.jobs.end_node("job_1", "in/a", "completed", "sent", tool="message", did=[sent])
    await store.jobs.end("job_1", "completed")
    assert not await store.jobs.end_node("job_1", "in/a", "completed", "sent", tool="message", did=[sent])
    (deed,) = await store.audit.list("anna")
    assert (deed.at, deed.session, deed.turn_id, deed.caller) == (clock.now, "job:job_1:in/a", "turn_a", "key:7")
    assert (deed.cause, deed.tool, deed.kind, deed.text, deed.ref) == (Cause(kind="job", id="job_1"), "message", "sent", sent.text, "evt_1")


async def test_another_owners_job_is_not_there(store: Store) -> None:
    await store.jobs.add(new("1"))
    await store.jobs.add(new("2", owner="bert"))
    assert await store.jobs.get("bert", "job_1") is None
    assert [job.id for job in await store.jobs.list("anna")] == ["job_1"]
    assert [job.id for job in await store.jobs.list(None)] == ["job_2", "job_1"]
    assert [job.id for job in await store.jobs.list(None, limit=1, before="job_2")] == ["job_1"]
    with pytest.raises(JobNotFound):
        await store.jobs.ask_to_cancel("bert", "job_1")


async def test_a_number_beyond_64_bits_is_refused_and_nothing_else(store: Store) -> None:
    with pytest.raises(InvalidRequest):
        await store.jobs.add(new("1", {"n": 2**70}))
    await store.jobs.add(new("2", {"n": 2**60, "words": "\ud83d"}))
    assert await store.jobs.get("anna", "job_1") is None


async def test_a_job_that_was_let_go_of_is_taken_over_with_what_was_done(open_again: Opener) -> None:
    first, second = await open_again(), await open_again()
    await first.jobs.add(new("1"))
    await first.jobs.begin("job_1")
    await first.jobs.start_node("job_1", "a", "turn_a")
    await first.jobs.end_node("job_1", "a", "completed", "said")
    await first.jobs.start_node("job_1", "b", "turn_b")
    assert await second.jobs.take_over() == []
    await first.jobs.release("job_1")
    (held,) = await second.jobs.take_over()
    assert held.new == new("1")
    assert {path: (node.state, node.output) for path, node in held.nodes.items()} == {"a": ("completed", "said"), "b": ("running", None)}
    assert not await first.jobs.end_node("job_1", "b", "completed", "late")
    assert await second.jobs.start_node("job_1", "b", "turn_b")
    assert await second.jobs.end("job_1", "cancelled")
    ended = await first.jobs.get("anna", "job_1")
    assert ended is not None
    assert [(node.path, node.state, node.starts) for node in ended.nodes] == [("a", "completed", 1), ("b", "cancelled", 2)]
    assert await first.jobs.take_over() == []


async def test_the_job_of_a_process_that_was_killed_is_taken_over(open_again: Opener, url: str, tmp_path: Path) -> None:
    store = await open_again()
    async with other_process("job", url, tmp_path) as process:
        assert await line(process) == "job_1"
        assert await store.jobs.take_over() == []
        await kill(process)
    taken: Sequence[HeldJob] = ()
    async with asyncio.timeout(30):
        while not taken:  # PostgreSQL notices a dead client when it looks at its socket
            taken = await store.jobs.take_over()
    (held,) = taken
    assert (held.new.id, [node.state for node in held.nodes.values()]) == ("job_1", ["running"])


async def test_a_cancel_reaches_whoever_holds_the_job(open_again: Opener) -> None:
    first, second = await open_again(), await open_again()
    await first.jobs.add(new("1"))
    assert (await second.jobs.ask_to_cancel("anna", "job_1")).state == "queued"
    assert await first.jobs.to_cancel() == ["job_1"]
    assert await second.jobs.to_cancel() == []
    assert not await first.jobs.begin("job_1")
    assert await first.jobs.end("job_1", "cancelled")
    assert (await second.jobs.ask_to_cancel("anna", "job_1")).state == "cancelled"
    await first.jobs.add(new("2"))
    await first.jobs.release("job_2")
    assert (await second.jobs.ask_to_cancel("anna", "job_2")).state == "cancelled"
    await first.jobs.add(new("3"))
    await first.jobs.end("job_3", "failed", error="no")
    with pytest.raises(JobConflict, match="failed"):
        await second.jobs.ask_to_cancel("anna", "job_3")


async def test_the_turn_of_a_node_that_runs_is_not_settled(open_again: Opener) -> None:
    first, second = await open_again(), await open_again()
    await first.jobs.add(new("1"))
    await first.jobs.start_node("job_1", "a", "turn_a")
    for turn in ("turn_a", "turn_other"):
        message = UserMessage(id=f"msg_{turn}", parts=(Text(text="hi"),))
        await first.sessions.begin_turn(NewTurn(id=turn, owner="anna", session=f"job:{turn}", message=message), None)
    await first.close()
    async with asyncio.timeout(30):
        while not (settled := await second.sessions.recover()):  # noqa: ASYNC110 - PostgreSQL lets go a moment later
            await asyncio.sleep(0.01)
    assert settled == 1
    assert len(await second.sessions.messages("anna", "job:turn_a")) == 1
    await second.jobs.take_over()
    await second.jobs.end_node("job_1", "a", "failed")
    assert await second.sessions.recover() == 1


async def test_what_ended_is_purged_with_the_sessions_of_its_nodes(store: Store, clock: TurnedClock) -> None:
    for name in "12":
        await store.jobs.add(new(name))
        await store.jobs.start_node(f"job_{name}", "a", f"turn_{name}")
        message = UserMessage(id=f"msg_{name}", parts=(Text(text="hi"),))
        await store.sessions.begin_turn(NewTurn(id=f"turn_{name}", owner="anna", session=f"job:job_{name}:a", message=message), None)
    await store.jobs.end("job_1", "failed", error="no")
    clock.turn(timedelta(days=2))
    assert await store.jobs.purge(clock.now - timedelta(days=1)) == 1
    assert [job.id for job in await store.jobs.list(None)] == ["job_2"]
    assert [session.key for session in await store.sessions.list(None)] == ["job:job_2:a"]
    assert await store.jobs.purge(clock.now) == 0

"""A job's process is killed; the next one goes on at the node that was cut off, and no effect happens twice."""

import asyncio
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pytest

from assistant.contracts.messages import UserMessage
from assistant.contracts.workflows import Job, JobFailed, NewJob
from assistant.testing.scripted import ScriptedModel
from tests.doubles.forked import forked_script
from tests.flow.outgoing import open_outbox

from .works import OWNER, Gate, Works

SCRIPT = Path(__file__).with_name("job_process.py")
MAIN = """
inputs: {chat: text}
nodes:
  think: {kind: prompt, prompt: "What do you think?"}
  send: {kind: message, to: "{{ inputs.chat }}", text: "{{ think.output }}"}
  more: {kind: workflow, workflow: inner, needs: send, params: {word: "{{ think.output }}"}}
outputs: {all: "{{ think.output }} {{ more.output.said }}"}
"""
INNER = """
inputs: {word: text}
nodes:
  stamp: {kind: tool, tool: stamp}
outputs: {said: "{{ inputs.word }} {{ stamp.output }}"}
"""
BOUNDARIES = [
    "begun think", "asked", "done think", "noted think", "begun send", "done send", "noted send",
    "begun more", "begun more/stamp", "done more/stamp", "noted more/stamp", "done more", "noted more",
]  # fmt: skip


async def until_killed(folder: Path, workflow: str, passed: Collection[str]) -> str:
    """Run it until the first boundary that is not among `passed`, and kill it there. Returns that boundary, or how the job ended."""
    async with forked_script(SCRIPT, str(folder), workflow) as script, asyncio.timeout(40):
        while said := (await script.stdout.readline()).decode().strip():
            kind, _, rest = said.partition(" ")
            if kind == "ended":
                assert await script.wait() == 0
                return rest
            if rest not in passed:
                return rest
            script.tell("go on")
    raise AssertionError("it ended without a word")


async def kept(folder: Path) -> tuple[Job, int, list[str]]:
    """The only job, how many messages wait to go out, and who said what in the session of its prompt."""
    async with open_outbox(folder) as outbox:
        (listed,) = await outbox.store.jobs.list(OWNER)
        job = await outbox.store.jobs.get(OWNER, listed.id)
        assert job is not None
        said = await outbox.store.sessions.messages(OWNER, f"job:{job.id}:think")
        return job, len(await outbox.store.outbox.list(None)), [each.message.role for each in said]


@pytest.mark.timeout(240)
async def test_a_job_killed_at_every_boundary_ends_with_each_effect_once(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "main.yaml").write_text(MAIN)
    (tmp_path / "workflows" / "inner.yaml").write_text(INNER)
    killed_at: list[str] = []
    said = await until_killed(tmp_path, "main", killed_at)
    while said in BOUNDARIES:
        killed_at.append(said)
        said = await until_killed(tmp_path, "", killed_at)
    assert said == "completed {'all': 'thought thought stamped'}"
    assert killed_at == BOUNDARIES
    job, sent, roles = await kept(tmp_path)
    assert {node.path: node.state for node in job.nodes} == dict.fromkeys(("think", "send", "more", "more/stamp"), "completed")
    assert sent == 1
    assert roles == ["user", "assistant"]
    # The model was asked again only where it was cut off before it had answered.
    assert Counter((tmp_path / "effects").read_text().split()) == {"asked": 2, "stamped": 1}


async def test_what_may_have_happened_and_can_not_be_told_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "main.yaml").write_text("inputs: {chat: text}\nnodes:\n  a: {kind: tool, tool: push}")
    assert await until_killed(tmp_path, "main", ["begun a"]) == "done a"
    said = await until_killed(tmp_path, "", ["begun a", "done a", "noted a"])
    assert said.startswith("failed node 'a': the server stopped while push ran. Whether it did its work is not known")
    assert (tmp_path / "effects").read_text().split() == ["pushed"]


async def test_a_node_that_the_server_dies_on_again_and_again_is_given_up(works: Works) -> None:
    jobs, source = works.outbox.store.jobs, "nodes:\n  a: {kind: prompt, prompt: x}"
    new = NewJob(id="job_1", owner=OWNER, workflow="main", sources={"main": source}, inputs={})
    await jobs.add(new)
    for _ in range(5):
        await jobs.start_node("job_1", "a", "turn_1")
    await jobs.release("job_1")
    model = ScriptedModel()
    service = works.service(model)
    await service.begin(takes_over=True)
    with pytest.raises(JobFailed, match="node 'a': the server stopped 5 times while it ran; it is not tried again"):
        await service.result(OWNER, "job_1")
    assert model.requests == []


async def test_a_job_whose_tool_is_gone_after_the_restart_fails_in_words(works: Works) -> None:
    jobs = works.outbox.store.jobs
    await jobs.add(NewJob(id="job_1", owner=OWNER, workflow="main", sources={"main": "nodes: {a: {kind: tool, tool: gate}}"}, inputs={}))
    await jobs.release("job_1")
    service = works.service(ScriptedModel())
    await service.begin(takes_over=True)
    with pytest.raises(JobFailed, match=r"it can't be resumed: .*there is no tool 'gate'"):
        await service.result(OWNER, "job_1")


async def test_a_server_that_ends_in_order_leaves_the_job_to_the_next(works: Works) -> None:
    works.write(
        main="nodes:\n  a: {kind: prompt, prompt: x}\n  b: {kind: tool, tool: gate}\noutputs: {a: '{{ a.output }}', b: '{{ b.output }}'}"
    )
    gate, model = Gate(), ScriptedModel("first words")
    model.gate.clear()
    service = works.service(model, tools=[gate])
    job = await service.start(OWNER, "main", {}, {})
    await model.asked_times(1)
    await gate.holds(1)
    await works.end()
    assert (await works.outbox.store.jobs.list(OWNER))[0].state == "running"
    gate.open.set()
    again = works.service(ScriptedModel("second words"), tools=[gate])
    await again.begin(takes_over=True)
    assert await again.result(OWNER, job.id) == {"a": "second words", "b": f"job:{job.id}:b"}
    kept = await works.outbox.store.sessions.messages(OWNER, f"job:{job.id}:a")
    assert [isinstance(each.message, UserMessage) for each in kept] == [True, False]

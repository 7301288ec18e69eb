"""Jobs: values between nodes, permissions, how jobs end, and their updates."""

from collections.abc import Mapping
from typing import Any

import pytest

from assistant.contracts.errors import ProviderFailed, StoreUnavailable
from assistant.contracts.messages import Document, Json, Text, UserMessage
from assistant.contracts.workflows import (
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobState,
    NewJob,
    NodeUpdate,
    OutputUpdate,
)
from assistant.store.jobs import JobStore
from assistant.testing.scripted import ScriptedModel
from assistant.workflows.settings import WorkflowSettings

from .works import GREET, OWNER, Gate, Works, heard, run, side_by_side

OUTER = """
inputs: {city: text, report: file}
nodes:
  one: {kind: workflow, workflow: inner, params: {name: "{{ inputs.city }}", paper: "{{ inputs.report }}"}}
  two: {kind: template, text: "{{ one.output.said }} and {{ one.output.more.0 }}"}
outputs: {all: "{{ two.output }}"}
"""
INNER = """
inputs: {name: text, paper: file, sign: {default: "?"}}
nodes: {a: {kind: template, text: "{{ inputs.name }}{{ inputs.sign }} {{ inputs.paper.name }}: {{ inputs.paper.text }}"}}
outputs: {said: "{{ a.output }}", more: ["{{ inputs.name }}"]}
"""


async def test_nodes_give_each_other_what_they_have_made(works: Works) -> None:
    works.write(greet=GREET)
    model = ScriptedModel("Hello Rome! Hello Rome!")
    job = await run(works.service(model), "greet", {"city": "Rome"})
    assert (job.state, job.error) == ("completed", None)
    assert job.results == {"said": "Hello Rome! Hello Rome!", "list": [2, {"of": "Hello Rome!"}]}
    assert {node.path: (node.state, node.output) for node in job.nodes} == {
        "hello": ("completed", "Hello Rome"),
        "think": ("completed", "Hello Rome! Hello Rome!"),
    }


async def test_the_callers_words_are_words_and_all_else_is_material(works: Works) -> None:
    works.write(greet=GREET)
    model = ScriptedModel("ok")
    await run(works.service(model), "greet", {"city": "Rome", "times": "3"})
    (asked,) = model.requests[0].messages
    assert isinstance(asked, UserMessage)
    assert [(part.text, part.quoted) for part in asked.parts if isinstance(part, Text)] == [
        ("Say it 3 times: ", False),
        ("Hello Rome", True),
    ]


async def test_a_file_goes_to_the_prompt_as_a_file_and_its_text_into_templates(works: Works) -> None:
    works.write(
        read="inputs: {paper: file}\nnodes:\n  a: {kind: prompt, prompt: Read., files: [inputs.paper]}\n"
        "  b: {kind: template, text: '{{ inputs.paper.name }} {{ inputs.paper.size }}'}\noutputs: {a: '{{ a.output }}', b: '{{ b.output }}'}"
    )
    model = ScriptedModel("read")
    paper = works.upload("offer.md", "# Offer\n\n30 EUR")
    job = await run(works.service(model), "read", paper=paper)
    assert job.results == {"a": "read", "b": "offer.md 15"}
    assert paper.path.exists(), "it stays the caller's"
    (asked,) = model.requests[0].messages
    assert isinstance(asked, UserMessage)
    assert [part.text for part in asked.parts if isinstance(part, Document)] == ["# Offer\n\n30 EUR"]
    assert list((works.folder / "spool").iterdir()) == []


async def test_a_workflow_within_a_workflow_gives_its_outputs(works: Works) -> None:
    works.write(outer=OUTER, inner=INNER)
    job = await run(works.service(ScriptedModel()), "outer", {"city": "Rome"}, report=works.upload("r.txt", "all well"))
    assert job.results == {"all": "Rome? r.txt: all well and Rome"}
    assert [node.path for node in job.nodes] == ["one", "one/a", "two"]


async def test_nodes_that_do_not_need_each_other_run_together_and_bounded(works: Works) -> None:
    works.write(wide=side_by_side(6))
    gate = Gate()
    service = works.service(ScriptedModel(), tools=[gate], settings=WorkflowSettings(parallel=3))
    job = await service.start(OWNER, "wide", {}, {})
    await gate.holds(3)
    gate.open.set()
    results = await service.result(OWNER, job.id)
    assert gate.most == 3
    assert results == {"first": f"job:{job.id}:n0"}


async def test_no_more_jobs_run_than_may(works: Works) -> None:
    works.write(wide=side_by_side(1))
    gate = Gate()
    service = works.service(ScriptedModel(), tools=[gate], settings=WorkflowSettings(jobs=2))
    jobs = [await service.start(OWNER, "wide", {}, {}) for _ in range(4)]
    await gate.holds(2)
    assert [(await service.get(OWNER, job.id)).state for job in jobs] == ["running", "running", "queued", "queued"]
    assert (await service.cancel(OWNER, jobs[3].id)).state == "cancelled"
    gate.open.set()
    for job in jobs[:3]:
        await service.result(OWNER, job.id)
    assert gate.most == 2


async def test_a_failure_names_the_node_and_what_runs_beside_it_ends_first(works: Works) -> None:
    works.write(
        main="nodes:\n  a: {kind: prompt, prompt: x}\n  slow: {kind: tool, tool: gate}\n  b: {kind: template, text: '{{ a.output }}'}\n"
        "  c: {kind: template, text: x, needs: [slow]}"
    )
    gate = Gate()
    service = works.service(ScriptedModel(ProviderFailed("The provider said no.")), tools=[gate])
    job = await service.start(OWNER, "main", {}, {})
    await gate.holds(1)
    async for batch in service.updates(OWNER, job.id):
        if any(isinstance(update, NodeUpdate) and update.node.state == "failed" for update in batch):
            break
    gate.open.set()
    with pytest.raises(JobFailed, match=r"Workflow main, node 'a': The provider said no\."):
        await service.result(OWNER, job.id)
    ended = await service.get(OWNER, job.id)
    assert {node.path: node.state for node in ended.nodes} == {"a": "failed", "slow": "completed"}


async def test_a_job_whose_time_is_up_fails(works: Works) -> None:
    works.write(wide=side_by_side(1))
    job = await run(works.service(ScriptedModel(), tools=[Gate()], settings=WorkflowSettings(timeout=1)), "wide")
    assert (job.state, job.error) == ("failed", "its time was up: 1 s")
    assert [node.state for node in job.nodes] == ["failed"]


async def test_what_a_message_node_sent_is_in_the_journal_of_its_job(works: Works) -> None:
    works.write(main="inputs: {chat: text}\nnodes:\n  b: {kind: message, to: '{{ inputs.chat }}', text: hello}")
    job = await run(works.service(ScriptedModel()), "main", {"chat": "telegram:1"})
    assert job.state == "completed", job.error
    (deed,) = await works.outbox.store.audit.list(OWNER)
    assert (deed.cause.kind, deed.cause.id, deed.tool, deed.session) == ("job", job.id, "message", f"job:{job.id}:b")
    assert deed.text.endswith("telegram:1")


async def test_a_job_that_is_cancelled_stops_where_it_is(works: Works) -> None:
    works.write(main="nodes:\n  a: {kind: prompt, prompt: x}\n  b: {kind: message, to: 'telegram:1', text: '{{ a.output }}'}")
    model = ScriptedModel("words")
    model.gate.clear()
    service = works.service(model)
    job = await service.start(OWNER, "main", {}, {})
    await model.asked_times(1)
    assert (await service.cancel(OWNER, job.id)).state == "cancelled"
    with pytest.raises(JobCancelled):
        await service.result(OWNER, job.id)
    assert {node.path: node.state for node in (await service.get(OWNER, job.id)).nodes} == {"a": "cancelled"}
    assert await works.sent() == []
    assert (await service.cancel(OWNER, job.id)).state == "cancelled"


async def test_another_process_cancels_too(works: Works) -> None:
    works.write(wide=side_by_side(1))
    gate = Gate()
    here, there = works.service(ScriptedModel(), tools=[gate]), works.service(ScriptedModel(), tools=[gate])
    await here.begin(takes_over=True)
    job = await here.start(OWNER, "wide", {}, {})
    await gate.holds(1)
    await there.cancel(OWNER, job.id)
    with pytest.raises(JobCancelled):
        await there.result(OWNER, job.id)


class FailsOnce(JobStore):
    """Can't settle a failed job the first time."""

    failed = 0

    async def end(self, job_id: str, state: JobState, *, results: Mapping[str, Json] | None = None, error: str | None = None) -> bool:
        if state == "failed":
            self.failed += 1
            if self.failed == 1:
                raise StoreUnavailable
        return await super().end(job_id, state, results=results, error=error)


async def test_a_job_that_can_not_go_on_keeps_no_other_from_it_whatever_the_store_does(works: Works) -> None:
    store = works.outbox.store
    for job_id, node in (("job_1", "{kind: tool, tool: gone}"), ("job_2", "{kind: template, text: here}")):
        text = f"nodes: {{a: {node}}}"
        await store.jobs.add(NewJob(id=job_id, owner=OWNER, workflow="main", sources={"main": text}, inputs={}))
        await store.jobs.release(job_id)
    service = works.service(ScriptedModel(), jobs=FailsOnce(store.database, store.runner, store.notifier, store.sessions))
    with pytest.raises(StoreUnavailable):
        await service.begin(takes_over=True)
    assert await service.result(OWNER, "job_2") == {}
    await service.begin(takes_over=True)
    with pytest.raises(JobFailed, match=r"can't be resumed: .*gone"):
        await service.result(OWNER, "job_1")


async def test_who_comes_late_hears_the_same(works: Works) -> None:
    works.write(greet=GREET)
    service = works.service(ScriptedModel("ok"))
    job = await service.start(OWNER, "greet", {"city": "Rome"}, {})
    first = await heard(service, job.id)

    def told(updates: list[Any]) -> list[tuple[str, str, Json]]:
        return [
            (update.kind, update.node.path, update.node.state)
            if isinstance(update, NodeUpdate)
            else (update.kind, update.name, update.value)
            if isinstance(update, OutputUpdate)
            else (update.kind, update.job.state, None)
            for update in updates
        ]

    assert told(first) == [
        ("job", "queued", None),
        ("job", "running", None),
        ("node", "hello", "running"),
        ("node", "hello", "completed"),
        ("node", "think", "running"),
        ("node", "think", "completed"),
        ("output", "said", "ok"),
        ("output", "list", [2, {"of": "Hello Rome!"}]),
        ("job", "completed", None),
    ]
    late = await heard(works.service(ScriptedModel()), job.id)
    assert told(late) == told(first)
    with pytest.raises(JobNotFound):
        await heard(service, "job_none")


async def test_a_job_runs_what_was_written_when_it_was_accepted(works: Works) -> None:
    works.write(
        main="nodes:\n  a: {kind: tool, tool: gate}\n  b: {kind: workflow, workflow: inner, needs: a}\noutputs: {x: '{{ b.output.x }}'}"
    )
    works.write(inner="nodes: {a: {kind: template, text: old}}\noutputs: {x: '{{ a.output }}'}")
    gate = Gate()
    service = works.service(ScriptedModel(), tools=[gate])
    job = await service.start(OWNER, "main", {}, {})
    await gate.holds(1)
    works.write(main="nodes: 5", inner="nodes: {a: {kind: template, text: new}}\noutputs: {x: '{{ a.output }}'}")
    await works.end()
    gate.open.set()
    again = works.service(ScriptedModel(), tools=[gate])
    await again.begin(takes_over=True)
    assert await again.result(OWNER, job.id) == {"x": "old"}

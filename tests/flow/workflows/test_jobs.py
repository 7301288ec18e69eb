"""Jobs: what nodes give each other, what they may, how they end, and what is heard of them."""

import asyncio
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from assistant.contracts.errors import InvalidRequest, ProviderFailed, ShuttingDown
from assistant.contracts.messages import Document, Json, Text, UserMessage
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.contracts.workflows import (
    InvalidWorkflow,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobUpdate,
    NodeUpdate,
    OutputUpdate,
    WorkflowNotFound,
)
from assistant.testing.scripted import ScriptedModel
from assistant.workflows.settings import WorkflowSettings

from .works import OWNER, Works, heard, run

GREET = """
inputs: {city: text, times: {type: integer, default: 2}, chat: {required: false}}
nodes:
  hello: {kind: template, text: "Hello {{ inputs.city }}"}
  think: {kind: prompt, prompt: "Say it {{ inputs.times }} times: {{ hello.output }}"}
outputs: {said: "{{ think.output }}", list: ["{{ inputs.times }}", {of: "{{ hello.output }}!"}]}
"""
SEND = """
inputs: {chat: {default: "telegram:99999999"}, document: {type: file, required: false}}
nodes:
  find: {kind: prompt, prompt: "Whom?"}
  send: {kind: message, to: "{{ %s }}", text: "It is done."}
outputs: {delivery: "{{ send.output }}"}
"""
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


class Nothing(BaseModel):
    """No parameters."""


class Gate:
    """A tool that says when it was begun, and waits until it may end."""

    name: ClassVar[str] = "gate"
    description: ClassVar[str] = "Wait."
    params: ClassVar[type[BaseModel]] = Nothing
    reads_only: ClassVar[bool] = True
    timeout: ClassVar[float] = 20.0

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.entered = asyncio.Condition()
        self.open = asyncio.Event()

    async def run(self, params: Any, ctx: ToolContext) -> ToolResult:
        async with self.entered:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.entered.notify_all()
        try:
            await self.open.wait()
        finally:
            self.inside -= 1
        return ToolResult(text=ctx.session)

    async def holds(self, count: int) -> None:
        async with self.entered:
            await self.entered.wait_for(lambda: self.inside == count)


def side_by_side(count: int) -> str:
    nodes = "\n".join(f"  n{number}: {{kind: tool, tool: gate}}" for number in range(count))
    return f"nodes:\n{nodes}\noutputs: {{first: '{{{{ n0.output }}}}'}}\n"


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


@pytest.mark.parametrize(
    ("to", "params", "delivered"),
    [
        ("inputs.chat", {"chat": "telegram:12345678"}, True),
        ("inputs.chat", {}, False),
        ("find.output", {}, False),
        ("find.output", {"chat": "tell telegram 99999999, please"}, True),
    ],
    ids=["the caller names it", "the file names it", "a model names it", "the caller names whom the model found"],
)
async def test_a_message_goes_to_whom_the_caller_named_and_to_no_stranger(
    works: Works, to: str, params: dict[str, Json], delivered: bool
) -> None:
    works.write(send=SEND % to)
    job = await run(works.service(ScriptedModel("telegram:99999999")), "send", params)
    assert len(await works.sent()) == int(delivered)
    assert job.state == ("completed" if delivered else "failed")
    assert delivered or "node 'send': Not sent: telegram:99999999 is nobody that you know" in str(job.error)


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


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("{kind: tool, tool: gate, timeout: 1}", "its time was up: 1 s"),
        ("{kind: tool, tool: read_attachment, arguments: {id: att_none}}", "There is no document 'att_none'"),
        ("{kind: tool, tool: read_attachment}", "the arguments are not valid"),
        ("{kind: message, to: nowhere, text: x}", "An address is written <channel>:<chat_id>"),
        ("{kind: message, to: 'carrier-pigeon:5', text: x}", "carrier-pigeon"),
        (
            "{kind: template, text: '{{ inputs.data.no.such }}'}",
            "inputs.data.no.such leads to nothing: there is no 'no' in an object with yes",
        ),
        ("{kind: prompt, prompt: ' {{ inputs.empty }}'}", "its prompt is empty"),
    ],
)
async def test_a_node_that_can_not_says_why(works: Works, node: str, words: str) -> None:
    works.write(main=f"inputs: {{data: {{type: json, default: {{yes: 1}}}}, empty: {{required: false}}}}\nnodes:\n  a: {node}")
    job = await run(works.service(ScriptedModel(), tools=[Gate()]), "main")
    assert job.state == "failed"
    assert words in str(job.error)


async def test_a_job_whose_time_is_up_fails(works: Works) -> None:
    works.write(wide=side_by_side(1))
    job = await run(works.service(ScriptedModel(), tools=[Gate()], settings=WorkflowSettings(timeout=0.2)), "wide")
    assert (job.state, job.error) == ("failed", "its time was up: 0.2 s")
    assert [node.state for node in job.nodes] == ["failed"]


async def test_what_is_larger_than_is_kept_fails_in_words(works: Works) -> None:
    works.write(main="inputs: {x: text}\nnodes:\n  a: {kind: template, text: '" + "{{ inputs.x }}" * 6 + "'}")
    job = await run(works.service(ScriptedModel()), "main", {"x": "y" * 100_000})
    assert "it gives 600,000 characters, and 500,000 are the most that is kept" in str(job.error)


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
    assert sorted(told(late), key=str) == sorted(told(first), key=str)
    assert isinstance(late[-1], JobUpdate)
    with pytest.raises(JobNotFound):
        await heard(service, "job_none")


@pytest.mark.parametrize(
    ("params", "param", "words"),
    [
        ({}, "city", "Workflow greet needs 'city', a text"),
        ({"city": 5}, "city", "'city' must be a text"),
        ({"city": "x", "times": "many"}, "times", "'times' must be a integer"),
        ({"city": "x", "town": "y"}, "town", "Workflow greet has no input 'town': it takes city, times, chat."),
        ({"city": "x" * 200_001}, "city", "200,000 are the most"),
    ],
)
async def test_inputs_that_do_not_fit_are_refused_by_name(works: Works, params: dict[str, Json], param: str, words: str) -> None:
    works.write(greet=GREET)
    service = works.service(ScriptedModel())
    with pytest.raises(InvalidRequest, match=words) as refused:
        await service.start(OWNER, "greet", params, {})
    assert refused.value.param == param
    assert await service.list(OWNER) == []


async def test_what_can_not_be_run_is_refused_before_anything_is_kept(works: Works) -> None:
    works.write(bad="nodes: 5", greet=GREET)
    service = works.service(ScriptedModel())
    with pytest.raises(InvalidWorkflow, match=r"workflows/bad\.yaml, line 1"):
        await service.start(OWNER, "bad", {}, {})
    with pytest.raises(WorkflowNotFound, match=r"^Workflow none not found$"):
        await service.start(OWNER, "none", {}, {})
    with pytest.raises(InvalidRequest, match="'city' is a text, not a file"):
        await service.start(OWNER, "greet", {}, {"city": works.upload("a", "b")})
    await service.close(grace=0)
    with pytest.raises(ShuttingDown):
        await service.start(OWNER, "greet", {"city": "x"}, {})
    assert await service.list(OWNER) == []


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

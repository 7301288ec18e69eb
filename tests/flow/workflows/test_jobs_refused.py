"""What a job and its nodes may not, or can't: refused, or failed, each in words that say why."""

import pytest

from assistant.contracts.errors import InvalidRequest, ShuttingDown
from assistant.contracts.messages import Json
from assistant.contracts.workflows import InvalidWorkflow, WorkflowNotFound
from assistant.testing.scripted import ScriptedModel

from .works import GREET, OWNER, Gate, Works, run

SEND = """
inputs: {chat: {default: "telegram:99999999"}, document: {type: file, required: false}}
nodes:
  find: {kind: prompt, prompt: "Whom?"}
  send: {kind: message, to: "{{ %s }}", text: "It is done."}
outputs: {delivery: "{{ send.output }}"}
"""


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
    assert delivered or "node 'send': Not sent: telegram:99999999 is not a known recipient" in str(job.error)


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


async def test_what_is_larger_than_is_kept_fails_in_words(works: Works) -> None:
    works.write(main="inputs: {x: text}\nnodes:\n  a: {kind: template, text: '" + "{{ inputs.x }}" * 6 + "'}")
    job = await run(works.service(ScriptedModel()), "main", {"x": "y" * 100_000})
    assert "more than 500,000 characters, which is the most that is kept" in str(job.error)


@pytest.mark.parametrize(
    ("params", "param", "words"),
    [
        ({}, "city", "Workflow greet needs 'city', a text"),
        ({"city": 5}, "city", "'city' must be a text"),
        ({"city": "x", "times": "many"}, "times", "'times' must be a whole number"),
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

"""Functions of the client on agents, by Responses: as items, in a chain and in a session."""

from typing import Any

import openai
import pytest
from openai.types.responses import FunctionToolParam, Response, ResponseFunctionToolCall

from .conftest import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHELL: FunctionToolParam = {
    "type": "function",
    "name": "shell",
    "parameters": {"type": "object", "properties": {"run": {"type": "string"}}},
    "strict": False,
}
BOTH = 'CALLALL [["shell", {"run": "ls"}], ["list_attachments", {}], ["shell", {"run": "pwd"}]]'


def calls_of(made: Response) -> list[ResponseFunctionToolCall]:
    return [item for item in made.output if isinstance(item, ResponseFunctionToolCall)]


def outputs(*calls: ResponseFunctionToolCall) -> list[Any]:
    return [{"type": "function_call_output", "call_id": call.call_id, "output": f"result {n}"} for n, call in enumerate(calls)]


async def test_a_chain_goes_on_with_the_outputs(served: Served) -> None:
    made = await served.sdk.responses.create(model="agent:main", input=BOTH, tools=[SHELL], tool_choice="required")
    calls = calls_of(made)
    assert (made.status, [(call.name, call.arguments) for call in calls]) == (
        "completed",
        [("shell", '{"run": "ls"}'), ("shell", '{"run": "pwd"}')],
    )
    with pytest.raises(openai.BadRequestError, match="no function_call_output"):
        await served.sdk.responses.create(model="agent:main", input="and?", tools=[SHELL], previous_response_id=made.id)
    done = await served.sdk.responses.create(model="agent:main", input=outputs(*calls), tools=[SHELL], previous_response_id=made.id)
    assert done.output_text == "done"
    assert served.told() == [("user", BOTH), ("assistant", None), ("tool", "result 0"), ("tool", "result 1")]
    assert [each["function"]["name"] for each in served.asked()["tools"]][-1] == "shell"
    after = await served.sdk.responses.create(model="agent:main", input="ECHO on", previous_response_id=done.id)
    assert after.output_text == "on"


async def test_items_of_the_clients_own_history(served: Served) -> None:
    made = await served.sdk.responses.create(model="agent:main", input=BOTH, tools=[SHELL], store=False)
    items: list[Any] = [{"role": "user", "content": BOTH}, *[item.model_dump(exclude_none=True) for item in made.output]]
    done = await served.sdk.responses.create(model="agent:main", input=[*items, *outputs(*calls_of(made))], tools=[SHELL], store=False)
    assert done.output_text == "done"


@pytest.mark.parametrize("with_calls", [False, True])
async def test_a_session_takes_the_outputs_alone(served: Served, with_calls: bool) -> None:
    session = {"session_id": f"of-tools-{with_calls}"}
    made = await served.sdk.responses.create(input=BOTH, tools=[SHELL], extra_body=session)
    calls = calls_of(made)
    items: list[Any] = [item.model_dump(exclude_none=True) for item in made.output] if with_calls else []
    done = await served.sdk.responses.create(input=[*items, *outputs(*calls)], tools=[SHELL], previous_response_id=made.id)
    assert done.output_text == "done"
    stored = (await served.http.get(f"/v1/sessions/{session['session_id']}")).json()["data"]
    assert [message["role"] for message in stored] == ["user", "assistant", "tool", "tool", "tool", "assistant"]
    with pytest.raises(openai.BadRequestError, match="waits for a result"):
        await served.sdk.responses.create(input=outputs(*calls), tools=[SHELL], previous_response_id=done.id)


async def test_a_session_takes_outputs_and_a_message(served: Served) -> None:
    session = {"session_id": "of-tools-and-words"}
    made = await served.sdk.responses.create(input=BOTH, tools=[SHELL], extra_body=session)
    one, _ = calls_of(made)
    done = await served.sdk.responses.create(input=[*outputs(one), {"role": "user", "content": "ECHO stop"}], extra_body=session)
    assert done.output_text == "stop"
    told = served.told()
    assert [role for role, _ in told] == ["user", "assistant", "tool", "tool", "tool", "user"]
    assert "went on without one" in told[4][1]


async def test_a_stream_has_the_calls_as_items(served: Served) -> None:
    async with served.sdk.responses.stream(model="agent:main", input=BOTH, tools=[SHELL]) as stream:
        kinds = [event.type async for event in stream]
        made = await stream.get_final_response()
    assert len(calls_of(made)) == 2
    assert kinds.count("response.function_call_arguments.done") == 2
    assert kinds[-1] == "response.completed"


@pytest.mark.parametrize("path", ["compact", "input_tokens"])
async def test_what_looks_like_an_id_is_404_in_plain_words(served: Served, path: str) -> None:
    answer = await served.http.post(f"/v1/responses/{path}", json={"model": "agent:main", "input": "hi"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert answer.json()["error"]["message"].startswith("There is no such path here. ")
    other = await served.http.post("/v1/responses/resp_1", json={})
    assert (other.status_code, other.headers["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS")

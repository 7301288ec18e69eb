"""POST /v1/responses by the official client: what agents and models answer, and how a conversation goes on."""

from typing import Any, cast

import openai
import pytest
from openai.types.responses import FunctionToolParam, ResponseFormatTextJSONSchemaConfigParam, ResponseInputParam

from .conftest import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "description": "Tells it.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    "strict": False,
}


async def test_a_text_is_answered_by_a_whole_response(served: Served) -> None:
    made = await served.sdk.responses.create(model="tuned", input="ECHO hello", instructions="Be brief.", metadata={"a": "b"})
    assert made.output_text == "hello"
    assert (made.status, made.model, made.object, made.error, made.metadata) == ("completed", "tuned", "response", None, {"a": "b"})
    assert made.usage is not None
    assert (made.usage.input_tokens, made.usage.output_tokens, made.usage.total_tokens) == (100, 1, 101)
    assert served.asked()["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "ECHO hello"}]
    assert served.asked()["temperature"] == 0.25


async def test_a_models_conversation_is_what_came_before_in_its_responses(served: Served) -> None:
    first = await served.sdk.responses.create(model="tuned", input="ECHO one", instructions="Not for later.")
    second = await served.sdk.responses.create(model="tuned", input="ECHO two", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    third = await served.sdk.responses.create(model="tuned", input="ECHO three", previous_response_id=second.id)
    assert third.output_text == "three"
    assert served.told() == [
        ("user", "ECHO one"), ("assistant", "one"), ("user", "ECHO two"), ("assistant", "two"), ("user", "ECHO three")
    ]  # fmt: skip
    assert "Not for later." not in str(served.asked())
    fork = await served.sdk.responses.create(model="tuned", input="ECHO else", previous_response_id=first.id)
    assert (fork.output_text, len(served.told())) == ("else", 3)


async def test_an_agents_responses_go_on_from_each_other_too(served: Served) -> None:
    first = await served.sdk.responses.create(model="agent:main", input="ECHO one")
    await served.sdk.responses.create(model="agent:main", input="ECHO two", previous_response_id=first.id)
    assert served.told() == [("user", "ECHO one"), ("assistant", "one"), ("user", "ECHO two")]
    assert served.asked()["messages"][0]["content"].startswith("You are nanobot")


async def test_in_a_session_the_server_keeps_the_conversation(served: Served) -> None:
    session = {"session_id": "of-responses"}
    first = await served.sdk.responses.create(input="ECHO one", extra_body=session)
    await served.sdk.chat.completions.create(model="fake-model", messages=[{"role": "user", "content": "ECHO by chat"}], extra_body=session)
    goes_on = await served.sdk.responses.create(input="ECHO two", previous_response_id=first.id)
    assert served.told() == [
        ("user", "ECHO one"), ("assistant", "one"), ("user", "ECHO by chat"), ("assistant", "by chat"), ("user", "ECHO two")
    ]  # fmt: skip
    assert await served.sdk.responses.create(input="ECHO x", previous_response_id=goes_on.id, extra_body=session)
    with pytest.raises(openai.BadRequestError, match="another conversation"):
        await served.sdk.responses.create(input="hi", previous_response_id=goes_on.id, extra_body={"session_id": "else"})
    stored = (await served.http.get("/v1/sessions/of-responses")).json()["data"]
    assert [message["content"] for message in stored][-1] == "x"


async def test_the_default_agent_without_a_session_is_asked_in_its_shared_one_unless_nothing_is_to_be_stored(served: Served) -> None:
    await served.sdk.responses.create(input="ECHO shared")
    assert (await served.http.get("/v1/sessions/default")).json()["data"][-1]["content"] == "shared"
    history: ResponseInputParam = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "ECHO a"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "ECHO alone"},
    ]
    with pytest.raises(openai.BadRequestError, match="Send one user message") as refused:
        await served.sdk.responses.create(input=history)
    assert refused.value.param == "input"
    alone = await served.sdk.responses.create(input=history, store=False)
    assert served.told() == [("user", "ECHO a"), ("assistant", "a"), ("user", "ECHO alone")]
    assert (await served.http.get("/v1/sessions/default")).json()["data"][-1]["content"] == "shared"
    with pytest.raises(openai.NotFoundError):
        await served.sdk.responses.retrieve(alone.id)
    with pytest.raises(openai.BadRequestError, match="no response") as unknown:
        await served.sdk.responses.create(input="hi", previous_response_id=alone.id)
    assert unknown.value.code == "previous_response_not_found"


async def test_functions_of_the_client_are_called_and_answered(served: Served) -> None:
    made = await served.sdk.responses.create(model="tuned", input='CALLTOOL weather {"at": "home"}', tools=[WEATHER], tool_choice="auto")
    (call,) = made.output
    assert call.type == "function_call"
    assert (call.name, call.arguments, call.status) == ("weather", '{"at": "home"}', "completed")
    assert served.asked()["tools"][0]["function"]["name"] == "weather"
    with pytest.raises(openai.BadRequestError, match="has no function_call_output"):
        await served.sdk.responses.create(model="tuned", input="and?", tools=[WEATHER], previous_response_id=made.id)
    output: ResponseInputParam = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
    done = await served.sdk.responses.create(model="tuned", input=output, tools=[WEATHER], previous_response_id=made.id)
    assert done.output_text == "done"
    roles = [message["role"] for message in served.asked()["messages"]]
    assert roles == ["user", "assistant", "tool"]
    assert served.asked()["messages"][1]["tool_calls"][0]["id"] == call.call_id
    # The same as a client that keeps the conversation itself sends it.
    kept: list[Any] = [{"role": "user", "content": 'CALLTOOL weather {"at": "home"}'}, *made.output, *output]
    again = await served.sdk.responses.create(model="tuned", input=cast("ResponseInputParam", kept), tools=[WEATHER], store=False)
    assert again.output_text == "done"
    assert [message["role"] for message in served.asked()["messages"]] == roles


async def test_a_call_whose_response_was_deleted_leaves_no_output_without_a_call(served: Served) -> None:
    made = await served.sdk.responses.create(model="tuned", input='CALLTOOL weather {"at": "x"}', tools=[WEATHER])
    (call,) = made.output
    assert call.type == "function_call"
    output: ResponseInputParam = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
    done = await served.sdk.responses.create(model="tuned", input=output, tools=[WEATHER], previous_response_id=made.id)
    await served.sdk.responses.delete(made.id)
    await served.sdk.responses.create(model="tuned", input="ECHO on", previous_response_id=done.id)
    assert served.told() == [("assistant", "done"), ("user", "ECHO on")]


async def test_how_the_answer_is_drawn_reaches_the_model(served: Served) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    wanted: ResponseFormatTextJSONSchemaConfigParam = {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}
    made = await served.sdk.responses.create(
        model="tuned",
        input="ECHO {}",
        temperature=1.5,
        top_p=0.5,
        max_output_tokens=77,
        reasoning={"effort": "low"},
        tool_choice={"type": "function", "name": "weather"},
        tools=[WEATHER],
        parallel_tool_calls=False,
        text={"format": wanted},
    )
    asked = served.asked()
    assert (asked["temperature"], asked["top_p"], asked["reasoning_effort"], asked["parallel_tool_calls"]) == (1.5, 0.5, "low", False)
    assert 77 in (asked.get("max_tokens"), asked.get("max_completion_tokens"))
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert asked["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    assert (made.temperature, made.max_output_tokens) == (1.5, 77)
    assert made.text is not None
    assert made.text.to_dict() == {"format": wanted}


async def test_the_agents_sdk_is_told_in_its_own_errors_what_is_wrong(served: Served) -> None:
    wrong: list[tuple[type[openai.APIStatusError], dict[str, Any]]] = [
        (openai.NotFoundError, {"model": "unheard-of", "input": "hi"}),
        (openai.NotFoundError, {"model": "agent:nobody", "input": "hi"}),
        (openai.BadRequestError, {"model": "vectors", "input": "hi"}),
        (openai.BadRequestError, {"model": "tuned", "input": []}),
        (openai.BadRequestError, {"model": "tuned", "input": ""}),
        (openai.BadRequestError, {"model": "tuned", "input": "hi", "background": True}),
        (openai.BadRequestError, {"model": "tuned", "input": "hi", "conversation": "conv_1"}),
        (openai.NotFoundError, {"model": "tuned", "input": [{"type": "item_reference", "id": "msg_1"}]}),
    ]
    for status, fields in wrong:
        with pytest.raises(status):
            await served.sdk.post("/responses", cast_to=object, body=fields)


async def test_many_words_of_an_assistants_in_a_row_are_one_message_and_hold_nobody_up(served: Served) -> None:
    said = [{"role": "assistant", "content": "x" * 11_000}] * 2_047
    answered = await served.send(model="tuned", input=[*said, {"role": "user", "content": "ECHO there"}])
    assert answered.status_code == 200, answered.text[:300]
    (role, text), last = served.told()
    assert (role, len(text), last) == ("assistant", 2_047 * 11_001 - 1, ("user", "ECHO there"))


async def test_what_is_no_item_or_part_here_is_refused_with_those_that_are(served: Served) -> None:
    nonsense: dict[str, object] = {"type": "nonsense", "id": "rs_1"}
    text: dict[str, object] = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    for item, param, words in (
        (nonsense, "input.0.type", "reasoning, item_reference or web_search_call and the like."),
        (text, "input.0.content.0.type", "send input_text, input_image, input_file, output_text or refusal."),
    ):
        error = (await served.send(model="tuned", input=[item])).json()["error"]
        assert (error["code"], error["param"]) == ("unsupported_content", param)
        assert error["message"].endswith(words)


async def test_a_kept_response_is_not_streamed_and_says_so(served: Served) -> None:
    made = await served.sdk.responses.create(model="tuned", input="hi")
    with pytest.raises(openai.BadRequestError, match="is not streamed"):
        await served.sdk.responses.retrieve(made.id, stream=True)

"""What an input may hold besides messages: references, outputs out of order and with pictures, thoughts, traces of tools that ran elsewhere."""

import base64
from typing import Any

import pytest

from .conftest import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = f"data:image/png;base64,{PIXEL}"
TOOL: dict[str, Any] = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def call(name: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": name, "name": "weather", "arguments": "{}"}


def output(name: str, said: object = None) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name, "output": said if said is not None else f"of {name}"}


def shape(served: Served) -> list[str]:
    """What the provider got, in short: `u`, `s text`, `s(a,b)` for calls, `t:a` for their results."""
    told: list[str] = []
    for message in served.asked()["messages"]:
        calls = ",".join(each["id"] for each in message.get("tool_calls") or ())
        role = {"user": "u", "assistant": "s", "tool": f"t:{message.get('tool_call_id')}", "system": "i"}[message["role"]]
        told.append(f"{role}({calls})" if calls else role)
    return told


ORDERS: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([call("a"), output("a")], ["s(a)", "t:a"]),
    ([call("a"), call("b"), output("b"), output("a")], ["s(a,b)", "t:a", "t:b"]),
    ([call("a"), call("b"), output("a"), call("c"), output("b"), output("c")], ["s(a,b)", "t:a", "t:b", "s(c)", "t:c"]),
    ([call("a"), user("wait"), output("a")], ["s(a)", "t:a", "u"]),
    ([call("a"), {"role": "assistant", "content": "hm"}, output("a")], ["s(a)", "t:a"]),
    (
        [call("a"), output("a"), {"role": "assistant", "content": "x"}, user("y"), call("b"), output("b")],
        ["s(a)", "t:a", "s", "u", "s(b)", "t:b"],
    ),
    ([call("a"), user("one"), user("two"), output("a"), user("three")], ["s(a)", "t:a", "u", "u", "u"]),
    ([call("a"), user("x"), call("b"), output("b"), output("a")], ["s(a)", "t:a", "u", "s(b)", "t:b"]),
    ([call("a"), output("a"), output("a")], ["s(a)", "t:a"]),
    ([call("a"), call("a"), output("a")], ["s(a)", "t:a"]),
    ([call("a"), {"role": "developer", "content": "x"}, output("a")], ["i", "s(a)", "t:a"]),
    ([call("a"), call("b"), call("c"), output("c"), user("u"), output("a"), output("b")], ["s(a,b,c)", "t:a", "t:b", "t:c", "u"]),
]


@pytest.mark.parametrize(("items", "expected"), ORDERS, ids=lambda value: str(len(value)))
async def test_outputs_stand_behind_their_calls_wherever_the_client_puts_them(
    served: Served, items: list[Any], expected: list[str]
) -> None:
    answered = await served.send(model="tuned", input=[user("go"), *items], tools=[TOOL], store=False)
    assert answered.status_code == 200, answered.text
    wanted = ["i", "u", *expected[1:]] if expected[0] == "i" else ["u", *expected]
    assert shape(served) == wanted


async def test_an_id_that_comes_again_after_its_output_is_another_call(served: Served) -> None:
    answered = await served.send(model="tuned", input=[user("go"), call("a"), output("a"), call("a"), output("a", "again")], tools=[TOOL])
    assert answered.status_code == 200, answered.text
    told = served.asked()["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "assistant", "tool"]
    assert [message["content"] for message in told if message["role"] == "tool"] == ["of a", "again"]
    assert [told[place]["tool_calls"][0]["id"] for place in (1, 3)] == [told[place]["tool_call_id"] for place in (2, 4)]


WRONG: list[tuple[list[dict[str, Any]], str, str]] = [
    ([user("go"), call("a")], "input.1", "The function call 'a' has no function_call_output."),
    ([user("go"), call("a"), call("b"), output("b"), user("x")], "input.1", "The function call 'a' has no function_call_output."),
    ([output("a"), call("a")], "input.0.call_id", "This answers no call that was made before."),
    ([user("go"), output("unknown")], "input.1.call_id", "This answers no call that was made before."),
    ([call("a"), output("a"), output("a", "else")], "input.2.call_id", "This call has another output already."),
    ([call("a"), {**call("a"), "arguments": "[]"}, output("a")], "input.1.call_id", "Two calls have the same id."),
]


@pytest.mark.parametrize(("items", "param", "words"), WRONG, ids=lambda value: str(value)[:30])
async def test_what_is_missing_is_named_where_it_is_missing(served: Served, items: list[Any], param: str, words: str) -> None:
    error = (await served.send(model="tuned", input=items, store=False)).json()["error"]
    assert (error["param"], error["message"]) == (param, words)


async def test_a_message_may_come_before_the_output_of_the_previous_responses_call(served: Served) -> None:
    """As Semantic Kernel's agent sends it: the user's message again, then the output."""
    made = (await served.send(model="tuned", input='CALLTOOL weather {"at": "x"}', tools=[TOOL])).json()
    (called,) = [item for item in made["output"] if item["type"] == "function_call"]
    items = [user("ECHO thanks"), output(called["call_id"], "rain")]
    answered = await served.send(model="tuned", input=items, tools=[TOOL], previous_response_id=made["id"])
    assert answered.status_code == 200, answered.text
    assert [role.partition(":")[0] for role in shape(served)] == ["u", f"s({called['call_id']})", "t", "u"]
    missing = (await served.send(model="tuned", input=[user("hi")], tools=[TOOL], previous_response_id=made["id"])).json()["error"]
    assert missing["param"] == "input"
    repeated = [called, output(called["call_id"], "rain"), user("ECHO on")]
    again = await served.send(model="tuned", input=repeated, tools=[TOOL], previous_response_id=made["id"])
    assert again.status_code == 200, again.text


async def test_what_an_output_shows_follows_as_a_message(served: Served) -> None:
    shown = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PICTURE, "detail": "high"}]
    items = [user("go"), call("a"), call("b"), output("a", shown), output("b")]
    made = await served.send(model="tuned", input=items, tools=[TOOL])
    assert made.status_code == 200, made.text
    assert shape(served) == ["u", "s(a,b)", "t:a", "t:b", "u"]
    asked = served.asked()["messages"]
    assert asked[2]["content"] == "see"
    assert asked[4]["content"] == [
        {"type": "text", "text": "Output of the call a of weather:"},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "high"}},
    ]
    listed = (await served.http.get(f"/v1/responses/{made.json()['id']}/input_items?order=asc")).json()["data"]
    assert [part["type"] for part in listed[3]["output"]] == ["input_text", "input_image"]
    goes_on = await served.send(model="tuned", input="ECHO and?", previous_response_id=made.json()["id"])
    assert goes_on.status_code == 200, goes_on.text
    assert served.asked()["messages"][4]["content"] == asked[4]["content"]


@pytest.mark.parametrize(
    ("part", "kinds"),
    [
        ({"type": "input_image", "image_url": PICTURE}, ["text", "image_url"]),
        ({"type": "input_image", "image_url": "https://example.org/x.png"}, ["text", "image_url"]),
        ({"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64," + base64.b64encode(b"words").decode()}, None),
    ],
)
async def test_an_output_that_is_a_file_alone_says_where_it_is(served: Served, part: dict[str, Any], kinds: list[str] | None) -> None:
    made = await served.send(model="tuned", input=[user("go"), call("a"), output("a", [part])], tools=[TOOL], store=False)
    assert made.status_code == 200, made.text
    told = served.asked()["messages"]
    assert told[2]["content"] == "The output is in the message that follows."
    content = told[3]["content"]
    assert [each["type"] for each in content] == kinds if kinds else "words" in content


async def test_items_are_referred_to_by_the_ids_that_were_given_out(served: Served) -> None:
    """As the AI SDK's default provider goes on: the user's messages whole, the model's by reference."""
    first = (await served.send(model="tuned", input=[user("ECHO one")])).json()
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    second = await served.send(model="tuned", input=[user("ECHO one"), reference, user("ECHO two")])
    assert second.status_code == 200, second.text
    assert served.told() == [("user", "ECHO one"), ("assistant", "one"), ("user", "ECHO two")]
    listed = (await served.http.get(f"/v1/responses/{second.json()['id']}/input_items?order=asc")).json()["data"]
    assert [item["type"] for item in listed] == ["message", "message", "message"]
    # Items of the input have ids as well; a reference may leave out its type; what is there already is not there twice.
    told = [{"id": listed[0]["id"]}, {"type": None, "id": listed[1]["id"]}, reference, reference, user("ECHO three")]
    assert (await served.send(model="tuned", input=told)).status_code == 200
    assert served.told() == [("user", "ECHO one"), ("assistant", "one\none"), ("user", "ECHO three")]
    chained = await served.send(model="tuned", input=[reference, user("ECHO four")], previous_response_id=first["id"])
    assert chained.status_code == 200
    assert served.told() == [("user", "ECHO one"), ("assistant", "one"), ("user", "ECHO four")]


async def test_calls_are_referred_to_too_and_an_agents_items(served: Served) -> None:
    made = (await served.send(model="tuned", input='CALLTOOL weather {"at": "x"}', tools=[TOOL])).json()
    (called,) = made["output"]
    items = [user('CALLTOOL weather {"at": "x"}'), {"type": "item_reference", "id": called["id"]}, output(called["call_id"], "rain")]
    done = (await served.send(model="tuned", input=items, tools=[TOOL])).json()
    assert done["output"][0]["content"][0]["text"] == "done"
    first = (await served.send(model="agent:main", input=[user("ECHO one")])).json()
    second = await served.send(
        model="agent:main", input=[user("ECHO one"), {"type": "item_reference", "id": first["output"][0]["id"]}, user("ECHO two")]
    )
    assert second.status_code == 200, second.text
    assert served.told() == [("user", "ECHO one"), ("assistant", "one"), ("user", "ECHO two")]


async def test_a_reference_to_what_is_not_kept_is_404_and_says_what_to_do(served: Served) -> None:
    gone = (await served.send(model="tuned", input="ECHO x", store=False)).json()["output"][0]["id"]
    deleted = (await served.send(model="tuned", input="ECHO x")).json()
    await served.http.delete(f"/v1/responses/{deleted['id']}")
    known = (await served.send(model="tuned", input="ECHO x")).json()["output"][0]["id"]
    for item_id in (
        gone, deleted["output"][0]["id"], "msg_1", "rs_68af2f3b2f2881a2b1f2f3b2f2881a2b", "x" * 256, "fc_" + "0" * 28 + "0",
        known + "7", known.replace("msg_", "fc_"), "resp_" + "0" * 28, "../../etc/passwd", "ü", known.upper(),
    ):  # fmt: skip
        refused = await served.send(model="tuned", input=[user("hi"), {"type": "item_reference", "id": item_id}])
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["param"]) == (404, "item_not_found", "input.1.id"), item_id
        assert "Send the item itself." in error["message"]


THOUGHTS: list[dict[str, Any]] = [
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "status": "completed"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABo"},
    {"type": "reasoning", "summary": [], "encrypted_content": None, "content": None, "id": None},
    {"type": "reasoning", "summary": [], "encrypted_content": "nanobot1.!!!"},
    {"type": "reasoning", "summary": [], "encrypted_content": "nanobot1." + base64.b64encode(b"[1]").decode()},
    {"type": "reasoning"},
]


@pytest.mark.parametrize("thought", THOUGHTS, ids=lambda value: str(value)[20:70])
@pytest.mark.parametrize("model", ["tuned", "agent:main"])
async def test_thoughts_of_another_server_do_no_harm(served: Served, thought: dict[str, Any], model: str) -> None:
    items = [user("ECHO a"), thought, {"role": "assistant", "content": "a"}, thought, call("c"), output("c"), user("ECHO b"), thought]
    answered = await served.send(model=model, input=items)
    assert answered.status_code == 200, answered.text
    assert shape(served)[-4:] == ["u", "s(c)", "t:c", "u"]


HOSTED = ["web_search_call", "file_search_call", "computer_call", "code_interpreter_call", "image_generation_call", "local_shell_call", "mcp_call",
          "mcp_list_tools", "mcp_approval_request", "shell_call", "apply_patch_call", "tool_search_call"]  # fmt: skip


async def test_what_tools_at_openai_did_is_left_out_with_a_notice(served: Served) -> None:
    for kind in HOSTED:
        made = await served.send(model="tuned", input=[user("ECHO a"), {"type": kind, "id": "x_1", "status": "completed"}, user("ECHO b")])
        assert made.status_code == 200, made.text
        assert made.headers["x-nanobot-notice"] == f"Items of the type '{kind}' were left out: only functions are called here."
        assert made.json()["notices"] == [made.headers["x-nanobot-notice"]]
        assert [role for role, _ in served.told()] == ["user", "user"]
        kept = (await served.http.get(f"/v1/responses/{made.json()['id']}")).json()
        assert kept["notices"] == made.json()["notices"]


@pytest.mark.parametrize(
    "item",
    [{"type": HOSTED[0], "id": "x_1"}, {"type": "reasoning", "id": "rs_1", "summary": []}, {"role": "system", "content": " "}],
    ids=lambda item: item.get("type", "blank"),
)
async def test_an_input_without_words_asks_nobody(served: Served, item: dict[str, Any]) -> None:
    asked = len(served.model.bodies)
    for model in ("tuned", "agent:main"):
        refused = await served.send(model=model, input=[item])
        assert refused.status_code == 400, refused.text
    assert "nothing to answer" in (await served.send(model="tuned", input=[item])).json()["error"]["message"]
    assert len(served.model.bodies) == asked
    with_words = await served.send(model="tuned", input=[item], instructions="Say hello.")
    assert with_words.status_code == 200, with_words.text


@pytest.mark.parametrize("value", [5, None, {"a": 1}, True])
async def test_an_output_of_another_form_is_told_what_it_may_be(served: Served, value: object) -> None:
    refused = await served.send(
        model="tuned", input=[user("go"), call("c"), {"type": "function_call_output", "call_id": "c", "output": value}]
    )
    assert refused.json()["error"]["message"] == "'input.2.output' must be a string or an array of parts."


async def test_a_tool_of_plain_text_is_seen_as_a_function(served: Served) -> None:
    items = [
        user("go"),
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin\n"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done!"},
    ]
    made = await served.send(model="tuned", input=items)
    assert made.status_code == 200, made.text
    assert served.asked()["messages"][1]["tool_calls"][0]["function"] == {"name": "apply_patch", "arguments": '{"input":"*** Begin\\n"}'}
    goes_on = await served.send(model="tuned", input="ECHO on", previous_response_id=made.json()["id"])
    assert goes_on.status_code == 200, goes_on.text

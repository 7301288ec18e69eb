"""OpenAI's SDK for Python."""

from checks import BASE, CALL, MODEL, equal, run
from openai import OpenAI

client = OpenAI(base_url=BASE, api_key="none", max_retries=0)
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}
HISTORY = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "ECHO a"}, {"role": "assistant", "content": "a"}]


def history() -> None:
    made = client.chat.completions.create(model=MODEL, messages=[*HISTORY, {"role": "user", "content": "ECHO b"}])
    equal(made.choices[0].message.content, "b")


def stream() -> None:
    with client.chat.completions.stream(model=MODEL, messages=[*HISTORY, {"role": "user", "content": "ECHO b"}]) as made:
        equal(made.get_final_completion().choices[0].message.content, "b")


def tools() -> None:
    asked = [{"role": "user", "content": CALL}]
    first = client.chat.completions.create(model=MODEL, messages=asked, tools=[TOOL]).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in first.tool_calls or ()]
    second = client.chat.completions.create(model=MODEL, messages=[*asked, first, *results], tools=[TOOL])
    equal(second.choices[0].message.content, "done")


def responses() -> None:
    first = client.responses.create(model=MODEL, input=[{"role": "user", "content": "ECHO a"}])
    equal(client.responses.create(model=MODEL, input="ECHO b", previous_response_id=first.id, truncation="auto").output_text, "b")


run(history, stream, tools, responses)

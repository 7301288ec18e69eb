"""Many requests at once: each gets its own answer and its own usage, and a session stays in order."""

import asyncio

import pytest
from openai import AsyncOpenAI

from tests.flow.live.conftest import Live

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def live(shared: Live) -> Live:
    return shared


async def test_requests_of_one_session_at_the_same_time_run_one_after_another(live: Live) -> None:
    live.model.configure(latency_ms=30)
    responses = await asyncio.gather(*(live.ask(f"ECHO {number}") for number in range(6)))
    assert [response.status_code for response in responses] == [200] * 6
    assert live.model.stats.max_inflight == 1
    messages = await live.session()
    assert [message["role"] for message in messages] == ["user", "assistant"] * 6
    for asked, answered in zip(messages[::2], messages[1::2], strict=True):
        assert asked["content"] == f"ECHO {answered['content']}"
    assert len(live.asked()["messages"]) == 1 + 11


async def test_the_seventeenth_that_would_wait_is_refused(live: Live) -> None:
    live.model.hold()
    asked = [asyncio.create_task(live.ask(f"ECHO {number}")) for number in range(19)]
    async with asyncio.timeout(60):
        while sum(each.done() for each in asked) < 2:
            await asyncio.wait([each for each in asked if not each.done()], return_when=asyncio.FIRST_COMPLETED)
    live.model.go_on()
    responses = await asyncio.gather(*asked)
    codes = sorted(response.status_code for response in responses)
    assert codes == [200] * 17 + [409] * 2
    refused = next(response for response in responses if response.status_code == 409)
    assert refused.json()["error"]["code"] == "session_busy"
    assert refused.headers["retry-after"] == "1"


async def test_every_request_is_told_its_own_usage(live: Live) -> None:
    """Those that call a tool ask the model twice, the others once; all run at the same time."""
    live.model.configure(latency_ms=20)
    texts = ["CALLTOOL list_attachments {}" if number % 2 else "ECHO once" for number in range(20)]
    responses = await asyncio.gather(*(live.ask(text, f"s{number}") for number, text in enumerate(texts)))
    counted = [response.json()["usage"]["prompt_tokens"] for response in responses]
    assert counted == [200 if number % 2 else 100 for number in range(20)]


async def test_the_official_client_talks_and_streams(live: Live) -> None:
    async with AsyncOpenAI(base_url=f"{live.server.url}/v1", api_key="dummy", max_retries=0) as client:
        model = (await client.models.list()).data[0].id
        answer = await client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "ECHO hi"}], extra_body={"session_id": "sdk"}
        )
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("hi", "stop")
        stream = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "go on"}],
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"session_id": "sdk"},
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).startswith("tok0 tok1 ")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 100
    assert len(live.asked()["messages"]) == 4


async def test_an_upload_without_words_reaches_the_model_as_it_is(live: Live) -> None:
    response = await live.client.post("/v1/chat/completions", files={"files": ("notes.txt", b"Buy bread.")})
    assert response.status_code == 200
    (_, message) = live.asked()["messages"]
    assert message["content"].startswith('<file name="notes.txt"')
    assert "Buy bread." in message["content"]

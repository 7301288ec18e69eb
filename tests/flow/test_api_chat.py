"""POST /v1/chat/completions: what it takes and what it gives, whole."""

from collections.abc import AsyncGenerator
from pathlib import Path

import openai
import pytest

from assistant.contracts.access import Admission
from assistant.contracts.errors import ProviderFailed, SessionBusy, TurnTimeout
from assistant.contracts.turns import ToolStarted, TurnRequest, UserText
from assistant.turns.handle import RunningTurn

from .api_rig import Running, error_of, fail, finish, says, serving


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path) as running:
        yield running


async def test_a_message_is_answered(api: Running) -> None:
    response = await api.chat("hi", session_id="mine")
    body = response.json()
    assert response.status_code == 200
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "Hello there", "refusal": None}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["model"] == "gpt-test"
    assert body["usage"] == {
        "prompt_tokens": 12,
        "completion_tokens": 3,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert api.turns.only.content == (UserText(text="hi"),)
    assert api.turns.only.session == "api:mine"
    assert api.turns.only.owner == "local"
    assert api.turns.only.stream is False


async def test_the_official_client_reads_the_answer(api: Running) -> None:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy") as client:
        answer = await client.chat.completions.create(
            model="gpt-test", messages=[{"role": "user", "content": "hi"}], extra_body={"session_id": "mine"}
        )
    assert answer.choices[0].message.content == "Hello there"
    assert answer._request_id is not None  # pyright: ignore[reportPrivateUsage]
    assert answer._request_id.startswith("req_")  # pyright: ignore[reportPrivateUsage]


async def test_without_a_session_id_the_shared_session_is_used(api: Running) -> None:
    await api.chat("hi")
    assert api.turns.only.session == "api:default"


async def test_the_finish_reason_is_the_turns_own(api: Running) -> None:
    api.turns.play = says("cut", finish_reason="length")
    response = await api.chat("hi")
    assert response.json()["choices"][0]["finish_reason"] == "length"


async def test_system_and_developer_messages_are_instructions_for_this_turn(api: Running) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Speak"}, {"type": "text", "text": "French."}]},
        {"role": "user", "content": "hi"},
    ]
    response = await api.client.post("/v1/chat/completions", json={"messages": messages})
    assert response.status_code == 200
    assert api.turns.only.instructions == ("Be brief.", "Speak\nFrench.")


async def test_sampling_is_passed_on(api: Running) -> None:
    response_format = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}
    response = await api.chat(
        "hi",
        temperature=1,
        top_p=0.5,
        max_tokens=7,
        max_completion_tokens=9,
        stop=["a", "b"],
        seed=-3,
        reasoning_effort="low",
        response_format=response_format,
        something_new={"of": "OpenAI's"},
    )
    assert response.status_code == 200
    sampling = api.turns.only.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (1.0, 0.5, 9)
    assert (sampling.stop, sampling.seed, sampling.reasoning_effort) == (("a", "b"), -3, "low")
    assert sampling.response_format == response_format


async def test_a_text_that_begins_with_a_slash_is_text(api: Running) -> None:
    await api.chat("/etc/hosts")
    assert api.turns.only.content == (UserText(text="/etc/hosts"),)


async def test_half_an_emoji_becomes_a_replacement_character(api: Running) -> None:
    body = rb'{"messages":[{"role":"user","content":"cut \ud83d here, whole \ud83d\ude00"}]}'
    response = await api.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 200
    assert api.turns.only.content == (UserText(text="cut � here, whole 😀"),)


async def test_of_keys_that_come_twice_the_last_counts(api: Running) -> None:
    body = b'{"session_id":"a","session_id":"b","messages":[{"role":"user","content":"hi"}]}'
    response = await api.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json; charset=utf-8"})
    assert response.status_code == 200
    assert api.turns.only.session == "api:b"


async def test_a_busy_session_is_409_and_says_when_to_come_back(api: Running) -> None:
    api.turns.refusal = SessionBusy(retry_after=1.5)
    response = await api.chat("hi")
    assert response.status_code == 409
    assert error_of(response)["code"] == "session_busy"
    assert response.headers["retry-after"] == "2"
    assert response.headers["retry-after-ms"] == "1500"


async def test_a_turn_that_fails_is_answered_with_its_error(api: Running) -> None:
    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        fail(turn, TurnTimeout())

    api.turns.play = play
    response = await api.chat("hi")
    assert response.status_code == 504
    assert error_of(response)["code"] == "turn_timeout"
    assert error_of(response)["type"] == "server_error"
    assert "x-should-retry" not in response.headers


async def test_a_turn_that_failed_after_acting_is_not_to_be_repeated(api: Running) -> None:
    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(ToolStarted(call_id="call_1", name="message", arguments="{}", reads_only=False))
        fail(turn, ProviderFailed())

    api.turns.play = play
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy", max_retries=2) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.status_code == 502
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(api.turns.requests) == 1


async def test_an_unexpected_error_is_500_without_details(api: Running, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Exception):
        pass

    def start(request: TurnRequest, admission: Admission | None = None) -> RunningTurn:
        raise Broken(str(request.content))

    api.turns.start = start
    response = await api.chat("my private words")
    assert response.status_code == 500
    assert error_of(response)["code"] == "internal_error"
    assert "private words" not in response.text
    assert response.headers["x-request-id"] in caplog.text
    assert "Broken" in caplog.text
    assert "private words" not in caplog.text


async def test_answers_do_not_get_mixed_up_on_one_connection(api: Running) -> None:
    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        (words,) = request.content
        assert isinstance(words, UserText)
        finish(turn, words.text)

    api.turns.play = play
    for number in range(5):
        response = await api.chat(f"number {number}")
        assert response.json()["choices"][0]["message"]["content"] == f"number {number}"

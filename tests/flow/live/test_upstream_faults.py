"""What a failing model's server looks like to the client: its own status or error event each, a truthful session, and life afterwards."""

import json

import pytest

from tests.flow.live.conftest import Live, Start

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEFORE_THE_FIRST_WORD: list[tuple[str, dict[str, str], int, str]] = [
    ("500", {}, 502, "provider_error"),
    ("401", {}, 502, "provider_error"),
    ("429", {}, 503, "provider_overloaded"),
    ("429", {"retry_after": "3600"}, 503, "provider_overloaded"),
    ("garbage", {}, 502, "provider_error"),
    ("empty", {}, 502, "provider_error"),
    ("drop", {}, 502, "provider_error"),
    ("context", {}, 502, "provider_error"),  # "hello" is not what is too long
]


@pytest.fixture
def live(shared: Live) -> Live:
    return shared


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("mode", "more", "status", "code"), BEFORE_THE_FIRST_WORD)
async def test_a_failure_before_the_first_word_is_an_error_status(
    live: Live, stream: bool, mode: str, more: dict[str, str], status: int, code: str
) -> None:
    live.model.configure(mode=mode, **more)
    response = await live.ask("hello", stream=stream)
    assert response.status_code == status
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error" if status == 400 else "server_error", code)
    assert "not-a-secret" not in response.text
    assert "sk-SECRET" not in response.text
    assert response.headers.get("retry-after") == more.get("retry_after", "2" if status == 503 else None)
    await it_is_marked_and_goes_on(live)


async def it_is_marked_and_goes_on(live: Live, said: str = "") -> None:
    user, mark = await live.session()
    assert (user["role"], user["content"]) == ("user", "hello")
    assert (mark["role"], mark["content"].strip(), mark["cut_off"]) == ("assistant", said, "failed")
    live.model.configure(mode="ok")
    response = await live.ask("ECHO again")
    assert response.json()["choices"][0]["message"]["content"] == "again"
    assert [message["role"] for message in live.asked()["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("mode", ["midcut", "nodone"])
async def test_a_stream_cut_in_the_middle_ends_with_an_error_event_and_without_done(live: Live, mode: str) -> None:
    live.model.configure(mode=mode)
    status, lines = await live.stream("hello")
    assert status == 200
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "provider_error"
    assert "data: [DONE]" not in lines
    pieces = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    said = "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces)
    assert said.startswith("tok0 ")
    assert all(piece["choices"][0]["finish_reason"] is None for piece in pieces)
    await it_is_marked_and_goes_on(live, said.strip())


@pytest.mark.parametrize("mode", ["precut", "garbage_sse", "stream_error"])
async def test_a_stream_that_breaks_before_its_first_word_is_no_answer(live: Live, mode: str) -> None:
    live.model.configure(mode=mode)
    status, lines = await live.stream("hello")
    assert status in (200, 502)
    assert "data: [DONE]" not in lines
    assert '"error"' in lines[-1]
    live.model.configure(mode="ok")
    assert (await live.ask("ECHO again")).status_code == 200


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_never_answers_is_given_up_when_the_time_is_up(start: Start, stream: bool) -> None:
    live = await start(api={"timeout": 2})
    live.model.configure(mode="hang")
    response = await live.ask("hello", stream=stream)
    assert (response.status_code, response.json()["error"]["code"]) == (504, "turn_timeout")
    assert [message["cut_off"] for message in await live.session()] == [None, "timeout"]
    live.model.configure(mode="ok")
    assert (await live.ask("ECHO again")).status_code == 200


async def test_a_passing_fault_is_not_even_noticed(live: Live) -> None:
    live.model.configure(mode="500", fail_first=1)
    assert (await live.ask("hello")).status_code == 200
    assert live.model.stats.requests == 2


async def test_a_fault_that_stays_is_told_after_three_attempts(live: Live) -> None:
    live.model.configure(mode="500")
    assert (await live.ask("hello")).status_code == 502
    assert live.model.stats.requests == 3


async def test_one_refused_key_does_not_poison_the_requests_after_it(live: Live) -> None:
    live.model.configure(mode="401")
    assert (await live.ask("hello")).status_code == 502
    assert live.model.stats.requests == 1
    live.model.configure(mode="ok")
    assert (await live.ask("hello", "t")).status_code == 200


async def test_no_key_stands_in_the_log(live: Live) -> None:
    begun = len(live.server.log.read_text())
    for mode in ("401", "500", "garbage"):
        live.model.configure(mode=mode)
        await live.ask("my secret words")
    log = live.server.log.read_text()
    assert "provider.retry" in log[begun:]
    for secret in ("not-a-secret", "sk-SECRET", "my secret words"):
        assert secret not in log

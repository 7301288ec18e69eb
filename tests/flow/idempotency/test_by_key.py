"""Idempotency-Key on a POST: what comes again is answered with what was answered first, and nothing is done twice."""

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from assistant.access.principals import OWNER
from assistant.api.idempotency.middleware import IdempotencyMiddleware
from assistant.api.middleware.request import STATE, RequestState
from assistant.contracts.errors import AnswerInterrupted, NanobotError, ProviderFailed, ProviderOverloaded, SessionBusy
from assistant.contracts.turns import TextDelta, ToolStarted, TurnRequest
from assistant.turns.handle import RunningTurn
from tests.flow.api_rig import error_of, fail, finish, form_part, says
from tests.flow.idempotency.conftest import CHAT, Rig, opened, replayed
from tests.flow.test_api_streams import until, waiting


@pytest.mark.parametrize("stream", [False, True])
async def test_a_repeat_gets_the_first_answer_byte_by_byte_and_no_turn_is_run(rig: Rig, stream: bool) -> None:
    first, second = await rig.ask(stream=stream), await rig.ask(stream=stream)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert first.headers["content-type"] == second.headers["content-type"]
    assert (replayed(first), replayed(second)) == (False, True)
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert len(rig.api.turns.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_the_answer_survives_the_server(tmp_path: Path, stream: bool) -> None:
    async with opened(tmp_path) as rig:
        first = await rig.ask(stream=stream)
    async with opened(tmp_path) as rig:
        second = await rig.ask(stream=stream)
        assert rig.api.turns.requests == []
    assert (second.status_code, second.content, replayed(second)) == (200, first.content, True)


async def test_a_thousand_requests_at_once_under_one_key_are_one_turn_and_a_thousand_equal_answers(tmp_path: Path) -> None:
    play, gate = waiting(lambda turn: finish(turn, "once"))
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n" % CHAT.encode()
    request = head + b"Idempotency-Key: k\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with opened(tmp_path, play=play) as rig:
        asked = [asyncio.create_task(rig.api.raw(request, wait=60)) for _ in range(1000)]
        await until(lambda: bool(rig.api.turns.turns))
        gate.set()
        answers = [answer.partition(b"\r\n\r\n") for answer in await asyncio.gather(*asked)]
        assert len(rig.api.turns.requests) == 1
    assert {(head.split(b"\r\n")[0], body) for head, _, body in answers} == {(b"HTTP/1.1 200 OK", answers[0][2])}
    assert sum(b"idempotency-replayed: true" in head for head, _, _ in answers) == 999


async def test_a_repeat_joins_a_stream_from_its_first_event_on_and_hears_the_rest_live(tmp_path: Path) -> None:
    play, gate = waiting(lambda turn: finish(turn, "one two"), "one")

    async def and_two(turn: RunningTurn, request: TurnRequest) -> None:
        await play(turn, request)

    async with opened(tmp_path, play=and_two) as rig:
        first = asyncio.create_task(rig.ask(stream=True))
        await until(lambda: bool(rig.api.turns.turns))
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with rig.api.client.stream("POST", CHAT, json=body, headers={"idempotency-key": "k"}) as joined:
            pieces = joined.aiter_bytes()
            heard = await anext(pieces)
            while b'"one"' not in heard:
                heard += await anext(pieces)
            assert not first.done()
            gate.set()
            async for piece in pieces:
                heard += piece
        assert heard == (await first).content
        assert heard.endswith(b"data: [DONE]\n\n")
        assert len(rig.api.turns.requests) == 1


async def test_a_client_that_went_away_finds_its_answer_when_it_comes_again(tmp_path: Path) -> None:
    play, gate = waiting(lambda turn: finish(turn, "kept"))
    async with opened(tmp_path, play=play) as rig:
        first = asyncio.create_task(rig.ask())
        await until(lambda: bool(rig.api.turns.turns))
        first.cancel()
        await asyncio.wait([first])
        second = asyncio.create_task(rig.ask())
        gate.set()
        assert (await second).json()["choices"][0]["message"]["content"] == "kept"
        assert len(rig.api.turns.requests) == 1


async def test_two_processes_on_one_store_answer_once(tmp_path: Path) -> None:
    play, gate = waiting(lambda turn: finish(turn, "mine"), "mi")
    async with opened(tmp_path, play=play) as one, opened(tmp_path) as other:
        first = asyncio.create_task(one.ask(stream=True))
        await until(lambda: bool(one.api.turns.turns))
        second = asyncio.create_task(other.ask(stream=True))
        done, _ = await asyncio.wait([second], timeout=0.2)
        assert not done
        gate.set()
        answers = [await first, await second]
        assert answers[0].content == answers[1].content
        assert other.api.turns.requests == []


@pytest.mark.parametrize(
    ("path", "text"), [(CHAT, "other words"), (f"{CHAT}?x=1", "hi"), ("/v1/models", "hi")], ids=["body", "query", "path"]
)
async def test_a_key_that_was_used_for_another_request_is_refused(rig: Rig, path: str, text: str) -> None:
    await rig.ask()
    body = {"messages": [{"role": "user", "content": text}]}
    response = await rig.api.client.post(path, json=body, headers={"idempotency-key": "k"})
    assert (response.status_code, error_of(response)["code"]) == (422, "idempotency_key_reused")
    assert len(rig.api.turns.requests) == 1


async def test_a_key_in_use_now_is_refused_to_another_request_at_once(tmp_path: Path) -> None:
    play, gate = waiting(lambda turn: finish(turn, "mine"))
    async with opened(tmp_path, play=play) as rig:
        first = asyncio.create_task(rig.ask())
        await until(lambda: bool(rig.api.turns.turns))
        assert (await rig.ask(text="other")).status_code == 422
        gate.set()
        assert (await first).status_code == 200


async def test_headers_that_choose_a_session_make_another_request(rig: Rig) -> None:
    await rig.ask(headers={"x-nanobot-session-key": "a"})
    assert (await rig.ask(headers={"x-nanobot-session-key": "b"})).status_code == 422


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "tab\there", "ünï", "nul\0l"])
async def test_a_key_that_can_t_be_one_is_refused(rig: Rig, key: str) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    answer = await rig.api.raw(head.encode() + b"Idempotency-Key: " + key.encode() + b"\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert await rig.kept() == 0


async def test_two_keys_on_one_request_are_refused(rig: Rig) -> None:
    response = await rig.api.client.post(CHAT, json={}, headers=[("idempotency-key", "a"), ("idempotency-key", "a")])
    assert (response.status_code, error_of(response)["param"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize("key", ["a" * 255, "!", "a b", "~" * 64, '"quoted"', "key:k"])
async def test_any_printable_key_will_do(rig: Rig, key: str) -> None:
    assert [replayed(await rig.ask(key)) for _ in range(2)] == [False, True]


@pytest.mark.parametrize("refusal", [SessionBusy(), ProviderOverloaded(retry_after=0.1), NanobotError()])
async def test_what_was_refused_or_failed_before_it_acted_is_tried_again(rig: Rig, refusal: NanobotError) -> None:
    rig.api.turns.refusal = refusal
    assert (await rig.ask()).status_code == refusal.status
    rig.api.turns.refusal = None
    again = await rig.ask()
    assert (again.status_code, replayed(again)) == (200, False)
    assert await rig.kept() == 1


async def test_an_invalid_request_is_not_kept(rig: Rig) -> None:
    assert [(await rig.ask(temperature=9)).status_code for _ in range(2)] == [400, 400]
    assert (await rig.ask(temperature=1)).status_code == 200


async def test_whoever_waits_for_a_request_that_is_refused_gets_its_refusal(tmp_path: Path) -> None:
    play, gate = waiting(lambda turn: fail(turn, ProviderFailed("No.")))
    async with opened(tmp_path, play=play) as rig:
        asked = [asyncio.create_task(rig.ask()) for _ in range(5)]
        await until(lambda: bool(rig.api.turns.turns))
        gate.set()
        answers = await asyncio.gather(*asked)
    assert {(answer.status_code, answer.content) for answer in answers} == {(502, answers[0].content)}


async def test_a_failure_after_it_acted_is_its_answer_and_is_kept(tmp_path: Path) -> None:
    async def act_and_fail(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(ToolStarted(call_id="c", name="send", arguments="{}", reads_only=False))
        fail(turn, ProviderFailed("Gone."))

    async with opened(tmp_path, play=act_and_fail) as rig:
        first, second = await rig.ask(), await rig.ask()
        assert (first.status_code, second.status_code) == (502, 502)
        assert second.content == first.content
        assert (second.headers["x-should-retry"], replayed(second)) == ("false", True)
        assert len(rig.api.turns.requests) == 1


async def test_a_stream_that_broke_off_is_replayed_as_it_was(tmp_path: Path) -> None:
    async def begin_and_fail(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(TextDelta(text="Well"))
        await asyncio.sleep(0)
        fail(turn, ProviderFailed("Gone."))

    async with opened(tmp_path, play=begin_and_fail) as rig:
        first, second = await rig.ask(stream=True), await rig.ask(stream=True)
        assert first.content == second.content
        assert json.loads(first.text.split("data: ")[-1])["error"]["message"] == "Gone."
        assert len(rig.api.turns.requests) == 1


async def test_an_answer_too_large_to_keep_is_given_once_and_said_to_be(tmp_path: Path) -> None:
    async with opened(tmp_path, play=says("x" * 5_000_000)) as rig:
        first, second = await rig.ask(), await rig.ask()
        assert (first.status_code, len(first.content) > 5_000_000) == (200, True)
        assert (second.status_code, error_of(second)["code"]) == (409, "idempotency_answer_not_kept")
        assert second.headers["x-should-retry"] == "false"
        assert len(rig.api.turns.requests) == 1


@pytest.mark.parametrize("size", [10, 300_000, 3_000_000])
async def test_a_form_is_the_same_whatever_its_boundary(rig: Rig, size: int) -> None:
    data = b"".join(b"%d--B\r\n" % number for number in range(size // 8))

    async def post(boundary: str, name: str = "a.txt") -> httpx2.Response:
        parts = form_part('name="message"', b"Read") + form_part(f'name="files"; filename="{name}"', data) + b"--B--\r\n"
        body = parts.replace(b"\r\n--B", b"\r\n--" + boundary.encode()).replace(
            b"--B\r\nContent", b"--" + boundary.encode() + b"\r\nContent"
        )
        headers = {"content-type": f"multipart/form-data; boundary={boundary}", "idempotency-key": "k"}
        return await rig.api.client.post(CHAT, content=body, headers=headers)

    first, second = await post("x" * 30), await post("boundary-of-another-try")
    assert (first.status_code, second.status_code, second.content) == (200, 200, first.content)
    assert replayed(second)
    assert (await post("x" * 30, "b.txt")).status_code == 422
    assert (len(rig.api.turns.requests), rig.api.spooled) == (1, [])


async def test_without_a_key_every_request_is_one_of_its_own_and_nothing_is_kept(rig: Rig) -> None:
    assert [replayed(await rig.ask(None)) for _ in range(2)] == [False, False]
    assert (len(rig.api.turns.requests), await rig.kept()) == (2, 0)


async def test_a_key_is_for_post_alone(rig: Rig) -> None:
    await rig.ask()
    assert not replayed(await rig.api.client.get("/v1/models", headers={"idempotency-key": "k"}))


async def test_whoever_waits_for_a_request_that_is_cut_off_is_told_that_it_may_have_acted(rig: Rig) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await gate.wait()
        raise ZeroDivisionError

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        raise AssertionError("there is no answer")

    def scope() -> Scope:
        made = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": [(b"idempotency-key", b"k")]}
        return {**made, STATE: RequestState(id="req_1", principal=OWNER)}

    layer = IdempotencyMiddleware(app, rig.store.idempotency, patience=1)
    first = asyncio.create_task(layer(scope(), receive, send))
    await begun.wait()
    second = asyncio.create_task(layer(scope(), receive, send))
    gate.set()
    with pytest.raises(ZeroDivisionError):
        await first
    with pytest.raises(AnswerInterrupted):
        await second

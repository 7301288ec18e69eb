"""Connections that are slow, many, malformed, or there when the server ends."""

import asyncio
import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from assistant.api.server.bind import CannotServe, bind
from assistant.api.settings import ApiSettings
from assistant.contracts.turns import TextDelta, TurnRequest
from assistant.turns.handle import RunningTurn

from .api_rig import finish, serving

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"messages":[{"role":"user","content":"hi"}]}'


def settings(**fields: Any) -> ApiSettings:
    return ApiSettings.model_validate(fields)


def code_of(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-request-id: req_" in head
    assert b"openai-processing-ms: " in head
    return json.loads(body)["error"]["code"]


@pytest.mark.parametrize("head", [b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: loc", CHAT])
async def test_headers_that_stop_coming_are_408(tmp_path: Path, head: bytes) -> None:
    async with serving(tmp_path, settings(timeouts={"headers": 0.1})) as api:
        answer = await api.raw(head)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert code_of(answer) == "request_timeout"


@pytest.mark.parametrize("nothing", [b"", b"\r\n", b"\r\n\r\n\r\n"])
async def test_a_connection_that_never_begins_a_request_is_closed(tmp_path: Path, nothing: bytes) -> None:
    async with serving(tmp_path, settings(timeouts={"headers": 0.1})) as api:
        await api.raw(nothing)  # returns when the server has closed


async def test_empty_lines_after_a_request_do_not_keep_a_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(timeouts={"headers": 0.5, "idle": 60})) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(30):
            await reader.readuntil(b"}")
            writer.write(b"\r\n")
            await reader.read()  # returns when the server has closed, long before it closes an idle connection
        writer.close()
        await writer.wait_closed()


async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(timeouts={"idle": 0.1})) as api:
        assert (await api.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_later_request_on_a_connection_must_hurry_as_well(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(timeouts={"headers": 0.5})) as api:
        answer = await api.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"HTTP/1.1 408 " in answer


async def test_a_body_that_stops_coming_is_408(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(timeouts={"body": 0.1})) as api:
        answer = await api.raw(CHAT + b"Content-Length: 1000\r\n\r\n" + BODY)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert code_of(answer) == "request_timeout"
        assert api.turns.requests == []


async def test_a_body_that_comes_slowly_but_comes_is_read(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(timeouts={"body": 2, "idle": 0.1})) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(CHAT + b"Content-Length: %d\r\n\r\n" % len(BODY))
        for byte in BODY:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.001)
        async with asyncio.timeout(30):
            assert b" 200 " in await reader.readline()
            await reader.read()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
async def test_what_is_no_http_is_400_as_json(tmp_path: Path, data: bytes) -> None:
    async with serving(tmp_path) as api:
        answer = await api.raw(data)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert code_of(answer) == "invalid_value"


@pytest.mark.parametrize("field", [b"X: " + b"a" * 200_000, b"\r\n".join(b"X-%d: %s" % (n, b"b" * 1000) for n in range(200))])
async def test_headers_beyond_64_kib_are_413(tmp_path: Path, field: bytes) -> None:
    async with serving(tmp_path) as api:
        answer = await api.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + field)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert code_of(answer) == "request_too_large"


async def test_connections_beyond_the_cap_are_503(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(maxConnections=2)) as api:
        open_ones = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(2)]
        answer = await api.raw(b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert code_of(answer) == "server_overloaded"
        assert b"retry-after: " in answer
        for _, writer in open_ones:
            writer.close()
            await writer.wait_closed()


async def test_requests_sent_at_once_on_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(timeouts={"idle": 0.2})) as api:
        one = CHAT + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
        answer = await api.raw(one + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" + one)
        assert answer.count(b"HTTP/1.1 200 OK") == 3
        assert answer.index(b'"chat.completion"') < answer.index(b'"version"') < answer.rindex(b'"chat.completion"')


async def test_a_refusal_is_read_although_the_body_was_not(tmp_path: Path) -> None:
    """Closing at once would reset the connection under the answer."""
    async with serving(tmp_path) as api:
        for _ in range(5):
            response = await api.client.post(
                "/v1/chat/completions",
                content=bytes(5_000_000),
                headers={"content-type": "application/json", "origin": "https://evil.example"},
            )
            assert response.status_code == 403


async def test_a_stop_lets_a_turn_end_and_takes_no_more(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(TextDelta(text="so far"))
        await gate.wait()
        finish(turn, "so far")

    async with serving(tmp_path, play=play, grace=5) as api:
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with asyncio.timeout(30), api.client.stream("POST", "/v1/chat/completions", json=body) as response:
            api.stop.set()
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
                except ConnectionError:
                    break
                writer.close()
                await asyncio.sleep(0.01)
            gate.set()
            assert (await response.aread()).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("spoken", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_stop_tells_whoever_outlasts_the_grace(tmp_path: Path, stream: bool, spoken: bool) -> None:
    begun = asyncio.Event()

    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        if spoken:
            turn.emit(TextDelta(text="for ever"))
        begun.set()
        await asyncio.Event().wait()

    async with serving(tmp_path, play=play, grace=0.1) as api:
        request = asyncio.create_task(api.chat("hi", stream=stream))
        async with asyncio.timeout(30):
            await begun.wait()
            api.stop.set()
            response = await request
        assert response.status_code == (200 if stream and spoken else 503)
        assert '"shutting_down"' in response.text
        assert "[DONE]" not in response.text
        for turn in api.turns.turns:
            turn.cancel()


async def test_a_second_request_that_is_malformed_does_not_cost_the_first_its_answer(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        await gate.wait()
        finish(turn, "the first")

    async with serving(tmp_path, play=play) as api:
        both = asyncio.create_task(api.raw(CHAT + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + b"GARBAGE\r\n\r\n"))
        async with asyncio.timeout(30):
            while not api.turns.turns:  # noqa: ASYNC110 - the turn begins on the other side of a socket
                await asyncio.sleep(0.005)
        gate.set()
        answer = await both
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_port_in_use_on_either_loopback_is_one_clear_sentence(place: int, host: str) -> None:
    taken = bind(ApiSettings(port=0))
    port = taken[0].getsockname()[1]
    taken[place].listen()
    taken[1 - place].close()
    named = f"[::1]:{port} is in use already, where clients may look for 'localhost':" if place else f"{host}:{port} is in use already:"
    with taken[place], pytest.raises(CannotServe, match=f"^{re.escape(named)} stop what listens there"):
        bind(ApiSettings(port=port, host=host))


@pytest.mark.parametrize(("host", "addresses"), [("127.0.0.1", 2), ("localhost", 2), ("127.0.0.2", 1), ("::1", 1), ("[::1]", 1)])
def test_both_loopbacks_are_bound_where_the_host_is_the_default(host: str, addresses: int) -> None:
    with ExitStack() as sockets:
        bound = [sockets.enter_context(each) for each in bind(ApiSettings(port=0, host=host))]
        assert len(bound) == addresses
        assert len({each.getsockname()[1] for each in bound}) == 1


async def test_localhost_is_answered_on_both_loopbacks(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        for address, host in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::1", "localhost")):
            reader, writer = await asyncio.open_connection(address, api.port)
            writer.write(f"GET /v1/models HTTP/1.1\r\nHost: {host}:{api.port}\r\nConnection: close\r\n\r\n".encode())
            async with asyncio.timeout(30):
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()


def test_a_host_that_is_not_this_machines_is_one_clear_sentence() -> None:
    with pytest.raises(CannotServe, match="address of this machine"):
        bind(ApiSettings(host="192.0.2.1", port=0))

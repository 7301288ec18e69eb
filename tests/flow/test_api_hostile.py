"""What no client sends by mistake: requests made to be misread, to stall the server, or to stay in its memory."""

import asyncio
import gc
import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from assistant.api.body.request import replace_lone_surrogates
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import NanobotError, ProviderFailed
from assistant.contracts.messages import Text, UserMessage
from assistant.contracts.turns import TextDelta, TurnRequest
from assistant.turns.handle import RunningTurn

from .api_rig import Play, Running, fail, form_part, serving

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
BODY = b'{"messages":[{"role":"user","content":"hi"}]}'
CHUNK = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)


def code_of(answer: bytes) -> str:
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


@pytest.mark.parametrize(
    ("head", "trailers", "status"),
    [
        (CHAT, JSON, 415),
        (b"POST /v1/chat/completions HTTP/1.1\r\n" + JSON, b"Host: localhost\r\n", 421),
        (CHAT + JSON, b"Authorization: Bearer key\r\n", 401),
    ],
)
async def test_a_trailer_is_not_taken_for_a_header(tmp_path: Path, head: bytes, trailers: bytes, status: int) -> None:
    async with serving(tmp_path, ApiSettings.model_validate({"apiKey": "key"} if status == 401 else {})) as api:
        answer = await api.raw(head + CHUNKED + CHUNK + trailers + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert api.turns.requests == []


@pytest.mark.parametrize("trailer", [b"a:\r\n", b"X: " + b"b" * 1000 + b"\r\n"])
async def test_trailers_beyond_64_kib_are_413(tmp_path: Path, trailer: bytes) -> None:
    """Counted as they stand on the wire: by their letters alone, 65,000 of the short ones once took the server minutes."""
    async with serving(tmp_path) as api:
        trailers = trailer * (70_000 // len(trailer))
        answer = await api.raw(CHAT + JSON + CHUNKED + CHUNK + trailers + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert code_of(answer) == "request_too_large"


@pytest.mark.parametrize("body", [b"zz\r\n", b"-5\r\nhello\r\n", b"ffffffffffffffffff\r\n", b"2\r\n{}XX0\r\n\r\n"])
async def test_a_body_that_breaks_is_answered_with_400(tmp_path: Path, body: bytes) -> None:
    async with serving(tmp_path) as api:
        answer = await api.raw(CHAT + JSON + CHUNKED + body)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert code_of(answer) == "invalid_value"
        assert api.turns.requests == []


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.3"])
async def test_a_wish_to_change_the_protocol_costs_no_request_its_body(tmp_path: Path, protocol: bytes) -> None:
    """Java's HTTP client wishes for HTTP/2 with every request to an address that it does not know."""
    async with serving(tmp_path) as api:
        wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\nHTTP2-Settings: AAMAAABk\r\n"
        length = b"Content-Length: %d\r\n" % len(BODY)
        answer = await api.raw(CHAT + JSON + wish + length + b"\r\n" + BODY + CHAT + JSON + length + b"Connection: close\r\n\r\n" + BODY)
        assert answer.count(b"HTTP/1.1 200 ") == 2
        assert len(api.turns.requests) == 2


@pytest.mark.parametrize("apart", [True, False])
async def test_what_a_file_says_of_upgrades_is_left_as_it_is(tmp_path: Path, apart: bool) -> None:
    async with serving(tmp_path) as api:
        file = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"
        form = form_part('name="files"; filename="a.txt"', file) + b"--B--\r\n"
        head = CHAT + b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(form)
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(head if apart else head + form)
        async with asyncio.timeout(30):
            if apart:
                await asyncio.sleep(0.05)  # so that the two come in pieces of their own, which nothing tells us
                writer.write(form)
            assert b" 200 " in await reader.readline()
        writer.close()
        assert api.turns.files == [file]


async def read_slowly(api: Running, request: bytes, *, pause: float) -> int:
    """How many bytes came, a few at a time."""
    loop = asyncio.get_running_loop()
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        reader.setblocking(False)
        await loop.sock_connect(reader, ("127.0.0.1", api.port))
        await loop.sock_sendall(reader, request)
        count = 0
        try:
            while data := await loop.sock_recv(reader, 256 * 1024):
                count += len(data)
                await asyncio.sleep(pause)
        except ConnectionResetError:
            pass
        return count


async def test_a_large_answer_that_is_read_slowly_but_steadily_is_not_cut(tmp_path: Path) -> None:
    async with serving(tmp_path, ApiSettings.model_validate({"timeouts": {"unread": 1, "idle": 1}})) as api:
        api.sessions.keep("api:long", UserMessage(id="msg_1", parts=(Text(text="x" * 20_000_000),)))
        async with asyncio.timeout(60):
            assert await read_slowly(api, b"GET /v1/sessions/long HTTP/1.1\r\nHost: localhost\r\n\r\n", pause=0.01) > 20_000_000


async def refuse(turn: RunningTurn, request: TurnRequest) -> None:
    fail(turn, ProviderFailed("no"))


async def break_off(turn: RunningTurn, request: TurnRequest) -> None:
    turn.emit(TextDelta(text="so far"))
    fail(turn, ProviderFailed("no"))


@pytest.mark.parametrize(
    ("fields", "play"),
    [({"temperature": 9}, None), ({"model": "other"}, None), ({}, refuse), ({"stream": True}, refuse), ({"stream": True}, break_off)],
)
async def test_a_refused_request_is_not_kept_in_memory(tmp_path: Path, fields: dict[str, Any], play: Play | None) -> None:
    """The frames that an error has passed through hold the request's body: they must be released once it is reported."""
    async with serving(tmp_path, play=play) as api:
        await api.chat("hi", **fields)
        gc.collect()
        gc.disable()
        try:
            before = _held()  # by other tests of this process
            await api.chat("hi", **fields)
            assert _held() <= before
        finally:
            gc.enable()


def _held() -> set[int]:
    """Errors that are still referenced with their frames."""
    errors = [thing for thing in gc.get_objects() if isinstance(thing, NanobotError)]
    return {id(error) for error in errors if isinstance(error.__traceback__, TracebackType)}


@pytest.mark.parametrize(
    ("sent", "mended"),
    [
        (rb'"\ud800"', rb'"\ufffd"'),
        (rb'"a\uDC00\ud800\udc00\uDBFFb"', rb'"a\ufffd\ud800\udc00\ufffdb"'),
        (rb'"\ud800\ud800\udc00"', rb'"\ufffd\ud800\udc00"'),
        (rb'"\\ud800 \\\ud800"', rb'"\\ud800 \\\ufffd"'),
        (rb'"\u00e9\n\u\ud8"', rb'"\u00e9\n\u\ud8"'),
        (rb"\ud83", rb"\ud83"),
    ],
)
def test_half_of_a_character_is_replaced_and_nothing_else(sent: bytes, mended: bytes) -> None:
    assert replace_lone_surrogates(sent) == mended

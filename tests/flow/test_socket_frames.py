"""Frames that are wrong, hostile or odd: each costs an error frame, and nothing else."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from assistant.api.sockets.codec import check_msgpack, decode
from assistant.contracts.errors import InvalidRequest, NanobotError, RequestTooLarge
from assistant.contracts.turns import UserText

from .api_rig import serving
from .socket_client import talking, words

LOOKUP = {"name": "lookup", "parameters": {"type": "object"}}

BAD: list[tuple[dict[str, object], str]] = [
    ({"type": "client_tools_manifest", "tools": [{"name": "message"}]}, "There is a tool called 'message' already"),
    ({"type": "client_tools_manifest", "tools": [LOOKUP, LOOKUP]}, "There is a tool called 'lookup' already"),
    ({"type": "client_tools_manifest", "tools": [{"name": "a b"}]}, "'tools.0.name' must match"),
    ({"type": "client_tools_manifest", "tools": [{"name": f"t{n}"} for n in range(65)]}, "'tools' holds more than 64"),
    ({"type": "client_tools_manifest", "tools": [{**LOOKUP, "parameters": {"x": "y" * 300_000}}]}, "larger than 256 KiB"),
    ({"type": "client_tools_manifest"}, "'tools' is missing"),
    ({"type": "tool_result", "result": 1}, "'tool_call_id' is missing"),
    ({"type": "dance"}, "There is no frame of the type 'dance'"),
    ({"type": 7}, "'type' must be a string"),
    ({"command": ["stop"]}, "'command' must be a string"),
    ({"command": "stop", "data": "now"}, "'data' must be an object"),
    ({}, "'content' is missing"),
    ({"role": "assistant", "content": "I am you"}, "'role' must be one of 'user'"),
    ({"content": ""}, "The message is empty"),
    ({"content": [{"type": "video"}]}, "Content of type 'video' is not supported"),
    ({"content": [{"type": "image_url"}]}, "'content.0' holds no image"),
    ({"content": [{"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}]}, "Images are not fetched from the web"),
    ({"content": [{"type": "image_url", "image": {"uri": "memory://1"}}]}, "must be a data URL"),
    ({"content": "hi", "thread_id": "telegram:1"}, "must not begin with 'telegram:'"),
    ({"content": "hi", "thread_id": 5}, "'thread_id' must be a string"),
    ({"content": "hi", "model": "gpt-9"}, "There is no model 'gpt-9' here"),
]


@pytest.mark.parametrize("binary", [True, False])
async def test_what_is_wrong_with_a_frame_is_told_and_the_socket_stays(tmp_path: Path, binary: bool) -> None:
    async with serving(tmp_path) as api, talking(api.port, binary=binary) as talk:
        for frame, told in BAD:
            assert told in (await talk.refused(frame))["message"]
        assert api.turns.requests == []
        assert words(await talk.ask("hi")) == "Hello there"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "ends too early"),
        (b"\xc1", "not valid MessagePack"),
        (b"\xdd\xff\xff\xff\xff", "ends too early"),
        (b"\xdf\xff\xff\xff\xff", "ends too early"),
        (b"\xdb\xff\xff\xff\xff", "ends too early"),
        (b"\xd6\xff\0\0\0\1", "extension types"),
        (b"\xc7\x01\x05x", "extension types"),
        (b"\x81\xa4type\xa2\xff\xff", "strings must be UTF-8"),
        (b"\x81\xa4type\xa3\xed\xa0\x80", "strings must be UTF-8"),
        (b"\x81\x01\x02", "keys must be strings"),
        (b"\x91" * 1000 + b"\xc0", "nested deeper than 64"),
        (b"\xdd\x00\x06\x1a\x80" + b"\x80" * 400_000, "more than 200,000 values"),
        (b"\x80\x80", "more than one MessagePack value"),
        (b"\x93\x01\x02\x03", "must be a map"),
        (ormsgpack.packb("text"), "must be a map"),
        ("[" * 100_000, "nested deeper"),
        ("{", "not valid JSON"),
        ("[1]", "must be a JSON object"),
        ('{"content": NaN}', "not valid JSON"),
    ],
)
async def test_hostile_frames_cost_an_error_frame(tmp_path: Path, data: bytes | str, told: str) -> None:
    async with serving(tmp_path) as api, talking(api.port, binary=isinstance(data, bytes)) as talk:
        await talk.socket.send(data)
        error = await talk.hear()
        assert error["type"] == "error"
        assert told in error["message"]
        assert words(await talk.ask("hi")) == "Hello there"


async def test_keys_that_come_twice_and_halves_of_characters_are_no_error(tmp_path: Path) -> None:
    async with serving(tmp_path) as api, talking(api.port) as talk:
        await talk.socket.send(b"\x82\xa7content\xa1a\xa7content\xa1b")
        await talk.until("message")
        talk.binary = False
        await talk.socket.send('{"content": "\\ud83d"}')
        await talk.until("message")
        assert [request.content[0].text for request in api.turns.requests if isinstance(request.content[0], UserText)] == ["b", "\ufffd"]


_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
    | st.binary(max_size=40)
)
_values = st.recursive(
    _leaves, lambda inside: st.lists(inside, max_size=5) | st.dictionaries(st.text(max_size=8), inside, max_size=5), max_leaves=30
)


@given(st.dictionaries(st.text(max_size=8), _values, max_size=8))
def test_what_a_client_packs_is_what_is_read(frame: dict[str, object]) -> None:
    packed = ormsgpack.packb(frame)
    check_msgpack(packed)
    assert ormsgpack.unpackb(packed) == frame


@given(st.binary(max_size=200) | st.text(max_size=200))
@settings(max_examples=300)
async def test_any_frame_is_an_object_or_an_error_that_says_why(data: bytes | str) -> None:
    message: Message = {"type": "websocket.receive", ("text" if isinstance(data, str) else "bytes"): data}
    try:
        frame = await decode(message)
    except (InvalidRequest, RequestTooLarge):
        return
    assert all(isinstance(key, str) for key in frame)


@given(st.dictionaries(st.text(max_size=8), _values, min_size=1, max_size=8), st.data())
def test_a_frame_that_is_cut_off_is_refused_before_it_is_parsed(frame: dict[str, object], data: st.DataObject) -> None:
    packed = ormsgpack.packb(frame)
    with pytest.raises(NanobotError):
        check_msgpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


_fields = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "stop", "ping", "pong", "client_tools_manifest", "tool_result"]) | _values,
        "content": _values, "tools": _values, "thread_id": _values, "model": _values, "tool_call_id": _values, "result": _values,
        "command": st.sampled_from(["chat_message", "stop", "ping"]) | _values, "data": _values, "workflow_id": _values, "role": _values,
    },
)  # fmt: skip


def test_whatever_is_said_the_socket_stays(tmp_path: Path) -> None:
    async def say(port: int, frames: list[dict[str, object]]) -> None:
        async with talking(port) as talk:
            for frame in frames:
                await talk.say(frame)
            await talk.say({"type": "ping"})
            await talk.until("pong")

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        api = runner.run(stack.enter_async_context(serving(tmp_path)))

        @settings(max_examples=40, deadline=None, database=None)
        @given(frames=st.lists(_fields, min_size=1, max_size=6))
        def example(frames: list[dict[str, object]]) -> None:
            runner.run(say(api.port, frames))

        try:
            example()
        finally:
            runner.run(stack.aclose())

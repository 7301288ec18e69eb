"""Frames that a socket should not be given: near to right ones, and far from them."""

import copy
import json
import random
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import ormsgpack
from hypothesis import strategies as st

Data = bytes | str

RIGHT: list[dict[str, Any]] = [
    {"role": "user", "content": "ECHO hi", "thread_id": "t", "model": "fake-model", "tools": []},
    {"role": "user", "content": "ECHO hi", "model": "talker"},
    {"role": "user", "content": 'CALLTOOL lookup {"a": 1}'},
    {"role": "user", "content": [{"type": "text", "text": "ECHO a"}, {"type": "file", "file": {"filename": "a.txt", "file_data": "aGk="}}]},
    {"role": "user", "content": "hello", "workflow_id": "greet", "params": {"message": "ECHO hi"}},
    {"command": "chat_message", "data": {"role": "user", "content": "ECHO hi", "thread_id": "u"}},
    {
        "type": "client_tools_manifest",
        "tools": [{"name": "lookup", "description": "d", "parameters": {"type": "object", "properties": {}}}],
    },
    {"type": "tool_result", "tool_call_id": "call_1", "result": {"a": [1]}, "ok": True, "error": "no"},
    {"type": "stop"},
    {"type": "ping"},
    {"command": "run_job", "data": {"workflow_id": "greet", "params": {"message": "ECHO hi"}}},
    {"command": "reconnect_job", "data": {"job_id": "job_" + "0" * 28}},
    {"command": "cancel_job", "data": {"job_id": "job_" + "0" * 28}},
    {"command": "get_status", "data": {}},
    {"command": "set_mode", "data": {"mode": "text"}},
]


def _deep(levels: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(levels):
        inner = [inner]
    return inner


_STRANGE: list[Any] = [
    None, True, 0, -1, 2**53, 2**63 - 1, -(2**63), 1.5, 1e308, float("inf"), float("nan"), "", " ", "\x00", "\u202e", "a" * 70_000, [], {},
    {"": {"": None}}, [None] * 300, _deep(30), {"type": "text"}, {"type": "file", "file": {"file_data": "!"}}, {"$ref": "#"}, "job_", "../../x",
    [{"type": "text", "text": "ECHO b"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
]  # fmt: skip
_IN_JSON: list[Any] = [2**64, -(10**30), "\ud83d", _deep(90)]
_IN_MSGPACK: list[Any] = [2**64 - 1, b"", b"\xff\x00", ormsgpack.Ext(5, b"x"), ormsgpack.Ext(127, b"\0\0\0\1")]


@st.composite
def _near(draw: st.DrawFn) -> Data:
    """A right frame, in which up to three things are others."""
    dice = random.Random(draw(st.integers(0, 2**32)))
    frame, binary = copy.deepcopy(dice.choice(RIGHT)), dice.random() < 0.5
    strange = _STRANGE + (_IN_MSGPACK if binary else _IN_JSON)
    for _ in range(dice.randrange(4)):
        dice.choice(_places(frame))(_fresh(dice.choice(strange)))
    return ormsgpack.packb(frame, option=ormsgpack.OPT_NON_STR_KEYS) if binary else json.dumps(frame)


def _fresh(value: Any) -> Any:
    """What may be changed afterwards."""
    return copy.deepcopy(value) if type(value) in (list, dict) else value


def _places(value: object) -> list[Callable[[Any], None]]:
    """What replaces whatever may be replaced within, or adds to it."""
    found: list[Callable[[Any], None]] = []
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        for name, inner in fields.items():
            found += [partial(fields.__setitem__, name), *_places(inner)]
        found.append(partial(fields.__setitem__, "more"))
    if isinstance(value, list):
        entries = cast("list[Any]", value)
        for index, inner in enumerate(entries):
            found += [partial(entries.__setitem__, index), *_places(inner)]
        found.append(entries.append)
    return found


@st.composite
def _damaged(draw: st.DrawFn) -> Data:
    """A frame of which a piece is missing, or a byte is another."""
    data = draw(_near())
    if not data:
        return data
    place = draw(st.integers(0, len(data) - 1))
    if isinstance(data, str):
        return data[:place] + draw(st.sampled_from(["", "{", '"', "\\ud800", "]", "\x00"])) + data[place + 1 :]
    return data[:place] + draw(st.binary(max_size=3)) + data[place + 1 :]


HOSTILE: st.SearchStrategy[Data] = _near() | _near() | _damaged() | st.binary(max_size=64) | st.text(max_size=64)

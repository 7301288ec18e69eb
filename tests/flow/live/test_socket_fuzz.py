"""Sockets of the real process under hostile frames: they answer, they stay open, and memory does not grow."""

import asyncio
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

from tests.doubles.live_server import LiveServer, live_server, with_model
from tests.doubles.model_process import running_model
from tests.flow.hostile_frames import HOSTILE, Data
from tests.flow.live.test_sockets import port_of
from tests.flow.socket_client import Talk, talking
from tests.process_usage import resident_mib

_EXAMPLES = int(os.environ.get("CASES", "500")) // 5
_MOST_GROWTH = 64.0
"""MiB."""
_WORKFLOW = """\
name: Greet
inputs:
  message: {default: ECHO hi}
nodes:
  line: {kind: prompt, prompt: "{{ inputs.message }}"}
outputs: {line: "{{ line.output }}"}
"""


@contextmanager
def serving(home: Path) -> Generator[LiveServer]:
    """A server whose log, in the end, names no bug."""
    folder = home / "workspace" / "workflows"
    folder.mkdir(parents=True)
    (folder / "greet.yaml").write_text(_WORKFLOW)
    with running_model() as model:
        config = with_model(model.url)
        defaults = {"provider": "custom", "model": "fake-model", "workspace": str(home / "workspace")}
        config |= {"agents": {"defaults": defaults}, "models": {"talker": {"provider": "custom"}}}
        with live_server(home, config=config) as server:
            yield server
        log = server.log.read_text(errors="replace")
        assert "api.bug" not in log, log[-4000:]
        assert "Traceback" not in log, log[-4000:]


class Marks:
    """Questions that are answered in words of their own, to know that all before them was taken in."""

    def __init__(self) -> None:
        self.asked = 0

    async def answered(self, talk: Talk) -> None:
        self.asked += 1
        mark = f"mark-{self.asked}"
        await talk.socket.send(json.dumps({"type": "tool_result", "tool_call_id": mark, "result": 1}))
        async with asyncio.timeout(20):
            while mark not in str(heard(await talk.socket.recv()).get("message")):
                pass


def heard(data: Data) -> dict[str, Any]:
    return ormsgpack.unpackb(data) if isinstance(data, bytes) else json.loads(data)


@pytest.mark.timeout(120 + _EXAMPLES)
def test_whatever_is_said_over_a_socket_it_stays_and_the_server_keeps_nothing_of_it(tmp_path: Path) -> None:
    marks = Marks()

    async def say(port: int, path: str, frames: list[Data]) -> None:
        async with talking(port, path=path) as talk:
            for frame in frames:
                await talk.socket.send(frame)
            await marks.answered(talk)

    with serving(tmp_path / "home") as server, asyncio.Runner() as runner:
        before = resident_mib(server.process.pid)

        @seed(1)
        @settings(
            max_examples=_EXAMPLES, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
        )
        @given(path=st.sampled_from(["/chat", "/predict"]), frames=st.lists(HOSTILE, min_size=1, max_size=8))
        def example(path: str, frames: list[Data]) -> None:
            runner.run(say(port_of(server), path, frames))

        example()
        assert resident_mib(server.process.pid) - before < _MOST_GROWTH


async def _pings(socket: ClientConnection) -> None:
    for _ in range(5_000):
        await socket.ping()


async def _manifests(socket: ClientConnection) -> None:
    tools = [{"name": f"tool_{number}", "description": "d" * 3_000} for number in range(64)]
    for _ in range(100):
        await socket.send(ormsgpack.packb({"type": "client_tools_manifest", "tools": tools}))


async def _fragments(socket: ClientConnection) -> None:
    """A message in pieces of a byte, with pings between them."""
    data = json.dumps({"role": "user", "content": "ECHO pieces"})
    for _ in range(20):
        await socket.send(iter(data))
        await socket.ping()


async def _stops(socket: ClientConnection) -> None:
    for _ in range(100):
        await socket.send('{"role": "user", "content": "ECHO again"}')
        await socket.send('{"type": "stop"}')


async def test_floods_are_taken_in_and_leave_nothing_behind(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        before = resident_mib(server.process.pid)
        for flood in (_pings, _manifests, _fragments, _stops):
            async with talking(port_of(server)) as talk, asyncio.timeout(60):
                await flood(talk.socket)
                await Marks().answered(talk)
        assert resident_mib(server.process.pid) - before < _MOST_GROWTH


BREAKS = [
    (Frame(Opcode.TEXT, b"\xff\xfe"), 1007),
    (Frame(Opcode.TEXT, b'{"content": "\xed\xa0\x80"}'), 1007),
    (Frame(Opcode.CONT, b"x"), 1002),
    (Frame(Opcode.BINARY, b"x", rsv1=True), 1002),
    (Frame(Opcode.PING, b"x" * 126), 1002),
    (Frame(Opcode.PING, b"x", fin=False), 1002),
    (Frame(Opcode.BINARY, bytes(4 * 1024 * 1024 + 1)), 1009),
]


async def test_what_breaks_the_protocol_closes_that_socket_with_its_reason_and_no_other(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        async with talking(port_of(server)) as other:
            marks = Marks()
            for frame, code in BREAKS:
                async with talking(port_of(server)) as talk:
                    talk.socket.transport.write(_as_sent(frame))
                    async with asyncio.timeout(30):
                        await talk.socket.wait_closed()
                    assert talk.socket.close_code == code, frame
                await marks.answered(other)


def _as_sent(frame: Frame) -> bytes:
    """Masked, without the checks of the library's own sender."""
    first = (0x80 if frame.fin else 0) | (0x40 if frame.rsv1 else 0) | frame.opcode
    size = len(frame.data)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return bytes([first]) + length + bytes(4) + bytes(frame.data)

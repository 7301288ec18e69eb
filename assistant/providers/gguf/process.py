"""The server's end of a model's child process: starting it, its messages, killing it."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import orjson

import assistant

_LONGEST_LINE: Final = 1_048_576
"""Bytes; no vector is that long."""
_START: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from assistant.providers.gguf.worker import main; main()"
_ENVIRONMENT: Final = (
    *("LD_LIBRARY_PATH", "SYSTEMROOT"),
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES"),
)
"""Variables passed to the child: what an interpreter may need to start, and which graphics cards it may use."""


def worker_command(file: Path) -> Sequence[str]:
    """The command that runs `worker`. `file` is only shown in the process list: the worker gets it in its `load` message."""
    home = str(Path(assistant.__file__).parents[1])
    imports = [home, *(os.path.abspath(place) for place in sys.path if place)]  # the child runs in "/"
    return [sys.executable, "-I", "-S", "-c", _START, json.dumps(imports), str(file)]


class ProcessBroke(Exception):
    """The process ended or broke the protocol. The text has no subject: "ended (signal 9)"."""


class ModelProcess:
    """A running child process. One socket pair is its standard input and output; it has its own session, out of reach of the terminal's signals."""

    def __init__(self, child: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._child = child
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, command: Sequence[str]) -> "ModelProcess":
        """Raises ProcessBroke if no process can be started."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
            try:
                child = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=asyncio.subprocess.DEVNULL,
                    env={"LC_ALL": "C.UTF-8", **{key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}},
                    cwd="/",
                    start_new_session=True,
                )
            except BaseException as error:
                writer.transport.abort()
                if isinstance(error, OSError):
                    raise ProcessBroke(f"can't be started ({error.strerror})") from error
                raise
        return cls(child, reader, writer)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def runs(self) -> bool:
        return self._child.returncode is None

    def send(self, **fields: object) -> None:
        """Never blocks: what the socket does not take is buffered, one request at a time."""
        self._writer.write(orjson.dumps(fields) + b"\n")

    async def receive(self) -> dict[str, Any]:
        """The next message. Raises ProcessBroke."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            line = b""
        except ValueError:
            raise ProcessBroke("sent a line that is too long") from None
        if not line:
            code = await self._child.wait()
            raise ProcessBroke(f"ended (signal {-code})" if code < 0 else f"ended (status {code})")
        try:
            value: object = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise ProcessBroke("sent a line that is not JSON") from None
        if not isinstance(value, dict):
            raise ProcessBroke("sent a line that is not an object")
        message = cast("dict[str, Any]", value)
        if "broke" in message:
            raise ProcessBroke(f"broke: {str(message['broke'])[:200]}")
        return message

    async def kill(self) -> None:
        """Kill its process group and reap it. Safe to call twice."""
        self._writer.transport.abort()
        if self._child.returncode is None:
            with suppress(ProcessLookupError):  # it ended by itself and is not yet reaped
                os.killpg(self._child.pid, signal.SIGKILL)
            await self._child.wait()

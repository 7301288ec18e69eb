"""The parent's end of a worker: the process, and its lines as objects."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import orjson

import assistant

_LONGEST_LINE: Final = 1_048_576
"""Bytes: more than any vector is long."""
_START: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from assistant.providers.gguf.worker import main; main()"
_ENVIRONMENT: Final = (
    *("LD_LIBRARY_PATH", "SYSTEMROOT"),
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES"),
)
"""All that the child gets of our environment: what an interpreter may need to start, and which graphics cards it may use."""


class WorkerBroke(Exception):
    """The worker ended, or said what no worker says; the text says which, without a subject: "ended (signal 9)"."""


def worker_command(file: Path) -> Sequence[str]:
    """What starts a worker. `file` is there for whoever looks at the list of processes: the worker is told on its input."""
    home = str(Path(assistant.__file__).parents[1])
    imports = [home, *(os.path.abspath(place) for place in sys.path if place)]  # the child has no working folder of ours
    return [sys.executable, "-I", "-S", "-c", _START, json.dumps(imports), str(file)]


class Worker:
    """A worker that runs, in a session of its own: what is typed at our terminal does not reach it."""

    def __init__(
        self, child: asyncio.subprocess.Process, sink: asyncio.StreamWriter, source: asyncio.StreamReader, pipe: asyncio.BaseTransport
    ) -> None:
        """`pipe`: what `source` reads."""
        self._child = child
        self._sink = sink
        self._source = source
        self._pipe = pipe

    @classmethod
    async def start(cls, command: Sequence[str]) -> "Worker":
        """Raises WorkerBroke where no process can be had."""
        source = asyncio.StreamReader(limit=_LONGEST_LINE)
        try:
            pipe, written_to = await _pipe_into(source)
            try:
                child = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=written_to,
                    stderr=asyncio.subprocess.DEVNULL,
                    env={"LC_ALL": "C.UTF-8", **{key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}},
                    cwd="/",
                    start_new_session=True,
                )
            except BaseException:
                pipe.close()
                raise
            finally:
                os.close(written_to)
        except OSError as error:
            raise WorkerBroke(f"can't be started ({error.strerror})") from error
        if child.stdin is None:
            raise WorkerBroke("has no pipes")
        return cls(child, child.stdin, source, pipe)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def runs(self) -> bool:
        return self._child.returncode is None

    def say(self, **fields: object) -> None:
        """Never blocks: what its pipe does not hold waits here. There is one order at a time."""
        self._sink.write(orjson.dumps(fields) + b"\n")

    async def hear(self) -> dict[str, Any]:
        """Its next line. Raises WorkerBroke."""
        try:
            line = await self._source.readline()
        except ValueError:
            raise WorkerBroke("said a line without an end") from None
        if not line:
            code = await self._child.wait()
            raise WorkerBroke(f"ended (signal {-code})" if code < 0 else f"ended (status {code})")
        try:
            value: object = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise WorkerBroke("said what is not JSON") from None
        if not isinstance(value, dict):
            raise WorkerBroke("said what is no object")
        said = cast("dict[str, Any]", value)
        if "broke" in said:
            raise WorkerBroke(f"broke: {str(said['broke'])[:200]}")
        return said

    async def end(self) -> None:
        """Kill it and whatever it started, and reap it. Safe to call twice."""
        self._pipe.close()
        if not self._sink.is_closing():
            self._sink.transport.abort()
        if self._child.returncode is None:
            with suppress(ProcessLookupError):  # it may have ended by itself, and wait to be reaped
                os.killpg(self._child.pid, signal.SIGKILL)
            await self._child.wait()


async def _pipe_into(source: asyncio.StreamReader) -> tuple[asyncio.BaseTransport, int]:
    """A pipe that `source` reads, and its other end. One that subprocesses have from asyncio could not be closed: whoever waited for the process
    would wait until all was read that it had said, or until nobody had that end any more. Raises OSError."""
    read_from, written_to = os.pipe()
    file = os.fdopen(read_from, "rb", buffering=0)
    try:
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(source), file)
    except BaseException:
        file.close()
        os.close(written_to)
        raise
    return pipe, written_to

"""The queue of one local model, and the child process that serves it.

The first request starts the child process. Requests run one at a time; the process ends when idle, when it stalls or breaks, and with the server.
"""

import asyncio
import json
import logging
import os
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

import orjson

import assistant
from assistant.contracts.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    NanobotError,
    ProviderFailed,
    ProviderOverloaded,
    ProviderTimeout,
    ShuttingDown,
)
from assistant.contracts.records import record

_LONGEST_LINE: Final = 1_048_576
"""Bytes; no vector is that long."""
_START: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from assistant.providers.gguf.worker import main; main()"
_ENVIRONMENT: Final = (
    *("LD_LIBRARY_PATH", "SYSTEMROOT"),
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES"),
)
"""Variables passed to the child: what an interpreter may need to start, and which graphics cards it may use."""
log = logging.getLogger(__name__)
WorkerStart = tuple[Sequence[str], Mapping[str, object]]
"""The command of the child process, and its `load` message."""
_RETRY_AFTER: Final = (1.0, 60.0)
"""Least and most seconds of `Retry-After` when the queue is full."""


def worker_command(file: Path) -> Sequence[str]:
    """The command that runs `worker`. `file` is only shown in the process list: the worker gets it in its `load` message."""
    home = str(Path(assistant.__file__).parents[1])
    imports = [home, *(os.path.abspath(place) for place in sys.path if place)]  # the child runs in "/"
    return [sys.executable, "-I", "-S", "-c", _START, json.dumps(imports), str(file)]


class ProcessBroke(Exception):
    """The process ended or broke the protocol. The text has no subject: "ended (signal 9)"."""


@dataclass(frozen=True, slots=True)
class ModelProcess:
    """A running child process. One socket pair is its standard input and output; it has its own session, out of reach of the terminal's signals."""

    child: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def start(cls, command: Sequence[str]) -> "ModelProcess":
        """Raises ProcessBroke if no process can be started."""
        try:
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
                except BaseException:
                    writer.transport.abort()
                    raise
        except OSError as error:
            raise ProcessBroke(f"can't be started ({error.strerror})") from error
        return cls(child, reader, writer)

    def send(self, **fields: object) -> None:
        """Never blocks: what the socket does not take is buffered, one request at a time."""
        self.writer.write(orjson.dumps(fields) + b"\n")

    async def receive(self) -> dict[str, Any]:
        """The next message. Raises ProcessBroke."""
        try:
            line = await self.reader.readline()
        except ConnectionError:
            line = b""
        except ValueError:
            raise ProcessBroke("sent a line that is too long") from None
        if not line:
            code = await self.child.wait()
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

    def is_alive(self) -> bool:
        """Asks the kernel whether the other end of the socket is closed: asyncio notes the end of a process later."""
        if self.child.returncode is not None or self.writer.is_closing():
            return False
        hung_up = select.poll()
        hung_up.register(self.writer.get_extra_info("socket"), 0)
        return not hung_up.poll(0)

    async def kill(self) -> None:
        """Kill its process group and reap it. Safe to call twice."""
        self.writer.transport.abort()
        if self.child.returncode is None:
            with suppress(ProcessLookupError):  # it ended by itself and is not yet reaped
                os.killpg(self.child.pid, signal.SIGKILL)
            await self.child.wait()


@record
class GgufLimits:
    """In seconds, except `queue`."""

    queue: int = 16
    """Requests that may wait behind the running one."""
    idle: float = 600
    """Without a request, until the process ends."""
    load: float = 300
    stall: float = 60
    """Without a line from a working process, until it is killed. It sends one every second."""
    cancel: float = 3
    """For the process to stop a cancelled request, until it is killed."""
    after_failure: float = 30
    """Between attempts to load a file that failed to load."""


@dataclass(slots=True, eq=False)
class _Request:
    number: int
    fields: Mapping[str, object]
    emit: Callable[[str], None]
    result: asyncio.Future[dict[str, Any]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def is_open(self) -> bool:
        """False once the caller has its result or was cancelled."""
        return not self.result.done()


class GgufQueue:
    """Runs requests to one model, one at a time and in order, in a background task: a cancelled caller returns at once."""

    def __init__(self, name: str, prepare: Callable[[], WorkerStart], limits: GgufLimits) -> None:
        """`name`: the model's id, for errors and the log. `prepare`: called in a thread before each start; may raise ProviderFailed."""
        self._name = name
        self._prepare = prepare
        self._limits = limits
        self._numbers = count(1)
        self._waiting: deque[_Request] = deque()
        self._arrived = asyncio.Event()
        self._running: _Request | None = None
        self._deadline: asyncio.Timeout | None = None
        """Of the running request."""
        self._task: asyncio.Task[None] | None = None
        self._process: ModelProcess | None = None
        self._failure: tuple[str, float] | None = None
        """Why the file failed to load, and when to try again."""
        self._last_took = _RETRY_AFTER[0]
        self._closed = False

    async def ask(self, fields: Mapping[str, object], emit: Callable[[str], None]) -> dict[str, Any]:
        """The process's final message; each piece of text, or each vector, goes to `emit` before. Cancelling the call stops the computation.

        Raises ProviderOverloaded (the queue is full), ProviderFailed (the file can't be loaded, or the process broke), ProviderTimeout,
        ContextLengthExceeded, InvalidRequest, ShuttingDown.
        """
        if self._closed:
            raise ShuttingDown(retry_after=1)
        if len(self._waiting) + (self._running is not None) > self._limits.queue:
            words = f"The model '{self._name}' runs one request at a time, and {len(self._waiting)} are waiting. Try again later."
            raise ProviderOverloaded(words, retry_after=min(max(self._last_took, _RETRY_AFTER[0]), _RETRY_AFTER[1]))
        request = _Request(next(self._numbers), fields, emit)
        self._waiting.append(request)
        self._arrived.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"gguf {self._name}")
        try:
            return await request.result
        except asyncio.CancelledError:
            self._cancel(request)
            raise

    async def close(self) -> None:
        """Kill the process; waiting callers get ShuttingDown. Safe to call twice."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _cancel(self, request: _Request) -> None:
        if request in self._waiting:
            self._waiting.remove(request)
        elif request is self._running and self._process is not None and self._deadline is not None and not self._deadline.expired():
            self._process.send(cancel=request.number)
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._limits.cancel)

    async def _run(self) -> None:
        try:
            while True:
                try:
                    async with asyncio.timeout(self._limits.idle):
                        while not self._waiting:
                            self._arrived.clear()
                            await self._arrived.wait()
                except TimeoutError:
                    await self._kill("idle")
                    if not self._waiting:
                        return
                else:
                    self._running = self._waiting.popleft()
                    await self._serve(self._running)
                    self._running = None
        finally:
            await self._kill("closed")
            for request in (self._running, *self._waiting):
                if request is not None and request.is_open:
                    request.result.set_exception(ShuttingDown(retry_after=1) if self._closed else ProviderFailed())
            self._running = None
            self._waiting.clear()

    async def _serve(self, request: _Request) -> None:
        clock = asyncio.get_running_loop().time
        try:
            process = await self._loaded()
            if request.is_open:
                began = clock()
                ended = await self._converse(process, request)
                self._last_took = clock() - began
                if request.is_open:
                    request.result.set_result(ended)
        except NanobotError as error:
            if request.is_open:
                request.result.set_exception(error)

    async def _converse(self, process: ModelProcess, request: _Request) -> dict[str, Any]:
        """Send the request and read up to its final message. Raises what `ask` does; a stalled or broken process is killed."""
        clock = asyncio.get_running_loop().time
        process.send(job=request.number, **request.fields)
        try:
            async with asyncio.timeout(self._limits.stall) as self._deadline:
                while True:
                    message = await process.receive()
                    if request.is_open:
                        self._deadline.reschedule(clock() + self._limits.stall)
                    if (ended := self._take(request, message)) is not None:
                        return ended
        except ProcessBroke as error:
            await self._kill(str(error))
            raise ProviderFailed(f"The model '{self._name}' failed: its process {error}. The next request starts a new one.") from None
        except TimeoutError:
            await self._kill("stalled")
            words = f"The model '{self._name}' made no progress for {self._limits.stall:g} s: its process was killed."
            raise ProviderTimeout(words) from None
        finally:
            self._deadline = None

    def _take(self, request: _Request, message: dict[str, Any]) -> dict[str, Any] | None:
        """The message if it is the request's last, else None. Raises ProcessBroke, ContextLengthExceeded, InvalidRequest."""
        match message:
            case {"tick": True}:
                return None
            case {"job": request.number, "text": str(piece)} | {"job": request.number, "vector": str(piece)}:
                if request.is_open:
                    request.emit(piece)
                return None
            case {"job": request.number, "end": "stop" | "length"}:
                return message
            case {"job": request.number, "end": "cancelled"} if not request.is_open:
                return message
            case {"job": request.number, "refused": str(words), "kind": kind}:
                param = message.get("param")
                error = ContextLengthExceeded if kind == "context" else InvalidRequest
                raise error(f"The model '{self._name}' {words}.", param=param if isinstance(param, str) else None)
            case _:
                raise ProcessBroke("sent an unexpected message")

    async def _loaded(self) -> ModelProcess:
        """The process with its file loaded, started if needed. Raises ProviderFailed."""
        clock = asyncio.get_running_loop().time
        if self._process is not None and self._process.is_alive():
            return self._process
        await self._kill("ended by itself")
        if self._failure is not None and clock() < self._failure[1]:
            raise ProviderFailed(self._failure[0], retryable=False)
        began = clock()
        try:
            process = await self._load()
        except ProviderFailed as error:
            await self._kill("not loaded")
            self._failure = (error.message, clock() + self._limits.after_failure)
            raise
        self._failure = None
        log.info("gguf.loaded model=%s pid=%d seconds=%.2f", self._name, process.child.pid, clock() - began)
        return process

    async def _load(self) -> ModelProcess:
        command, load = await asyncio.to_thread(self._prepare)
        try:
            async with asyncio.timeout(self._limits.load):
                self._process = process = await ModelProcess.start(command)
                process.send(load=load)
                while True:
                    match await process.receive():
                        case {"loaded": {}}:
                            return process
                        case {"tick": True}:
                            continue
                        case {"failed": str(words), "detail": str(detail)}:
                            raise self._not_loaded(words, detail)
                        case _:
                            raise ProcessBroke("sent an unexpected message")
        except ProcessBroke as error:
            raise self._not_loaded(f"can't be loaded: its process {error}, which can mean that memory ran out", str(error)) from None
        except TimeoutError:
            raise self._not_loaded(f"can't be loaded: that took longer than {self._limits.load:g} s", "time") from None

    def _not_loaded(self, words: str, detail: str) -> ProviderFailed:
        log.error("gguf.not_loaded model=%s detail=%s", self._name, detail)
        return ProviderFailed(f"The model '{self._name}' {words}.", retryable=False)

    async def _kill(self, why: str) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.kill()
            log.info("gguf.ended model=%s pid=%d why=%s", self._name, process.child.pid, why)

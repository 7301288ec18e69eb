"""A file's worker as all who ask for it share it: one thing at a time, the others wait in order, and it ends when nobody has asked for a while."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from assistant.contracts.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    NanobotError,
    ProviderFailed,
    ProviderOverloaded,
    ProviderTimeout,
    ShuttingDown,
)
from assistant.providers.gguf.process import Worker, WorkerBroke

log = logging.getLogger(__name__)

Take = Callable[[str], None]
"""Takes a piece of the answer: words, or a vector."""
_WAIT: Final = (1.0, 60.0)
"""Seconds, at least and at most, that somebody is told to wait whom the queue has no place for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds, but for `queue`."""

    queue: int = 16
    """How many may wait for the one that runs."""
    idle: float = 600
    """Without anybody asking, until the worker ends."""
    load: float = 300
    """That loading may take."""
    silence: float = 60
    """That a worker may say nothing while it works; it says something every second."""
    obey: float = 3
    """That it may take to stop when told to."""
    after_failure: float = 30
    """In which a file that could not be loaded is not tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a worker is started, and what it is told to load."""

    command: Sequence[str]
    order: Mapping[str, object]


@dataclass(slots=True, eq=False)
class _Job:
    number: int
    order: Mapping[str, object]
    take: Take
    done: asyncio.Future[dict[str, Any]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for it and has not been told the end."""
        return not self.done.done()


class Engine:
    """Starts nothing before the first `ask`. What it is asked, a task of its own does: who leaves keeps nobody."""

    def __init__(self, name: str, prepare: Callable[[], Start], limits: Limits) -> None:
        """`name`: the model's id, for words and the log. `prepare`: called in a thread before each start. Raises ProviderFailed."""
        self._name = name
        self._prepare = prepare
        self._limits = limits
        self._numbers = count(1)
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._worker: Worker | None = None
        self._patience: asyncio.Timeout | None = None
        """Of the conversation that runs."""
        self._failure: tuple[str, float] | None = None
        """Why the file could not be loaded, and until when nobody tries."""
        self._last_took = _WAIT[0]
        self._closed = False

    async def ask(self, order: Mapping[str, object], take: Take) -> dict[str, Any]:
        """The worker's last line for this order; the pieces before it go to `take`. Cancelling it stops the work.

        Raises ProviderOverloaded (too many wait), ProviderFailed (it can't be loaded, or broke), ProviderTimeout, ContextLengthExceeded,
        InvalidRequest, ShuttingDown.
        """
        if self._closed:
            raise ShuttingDown(retry_after=1)
        if len(self._waiting) + (self._running is not None) > self._limits.queue:
            words = f"The model '{self._name}' answers one at a time, and {len(self._waiting)} wait already. Try again later."
            raise ProviderOverloaded(words, retry_after=min(max(self._last_took, _WAIT[0]), _WAIT[1]))
        job = _Job(next(self._numbers), order, take)
        self._waiting.append(job)
        self._bell.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"gguf {self._name}")
        try:
            return await job.done
        finally:
            self._leave(job)

    async def close(self) -> None:
        """End the worker; who waits gets ShuttingDown. Safe to call twice."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _leave(self, job: _Job) -> None:
        """Its caller has what there was to have, or has gone."""
        if job in self._waiting:
            self._waiting.remove(job)
        elif job is self._running and self._patience is not None and not self._patience.expired() and job.done.cancelled():
            if self._worker is not None:
                self._worker.say(cancel=job.number)
            self._patience.reschedule(asyncio.get_running_loop().time() + self._limits.obey)

    async def _run(self) -> None:
        try:
            while True:
                self._running = await self._next()
                if self._running is not None:
                    await self._do(self._running)
                    self._running = None
                    continue
                await self._end_worker("idle")
                if not self._waiting:
                    return
        finally:
            await self._end_worker("closed")
            for job in (self._running, *self._waiting):
                if job is not None and job.is_wanted:
                    job.done.set_exception(ShuttingDown(retry_after=1) if self._closed else ProviderFailed())
            self._running = None
            self._waiting.clear()

    async def _next(self) -> _Job | None:
        """None: nobody has asked for a while, or nobody asks and there is no worker."""
        while not self._waiting:
            if self._worker is None:
                return None
            self._bell.clear()
            try:
                async with asyncio.timeout(self._limits.idle):
                    await self._bell.wait()
            except TimeoutError:
                return None
        return self._waiting.popleft()

    async def _do(self, job: _Job) -> None:
        try:
            worker = await self._ready()
            if job.is_wanted:
                began = asyncio.get_running_loop().time()
                ended = await self._converse(worker, job)
                self._last_took = asyncio.get_running_loop().time() - began
                if job.is_wanted:
                    job.done.set_result(ended)
        except NanobotError as error:
            if job.is_wanted:
                job.done.set_exception(error)

    async def _converse(self, worker: Worker, job: _Job) -> dict[str, Any]:
        """Until the worker's last line for the job. Raises what `ask` does; a worker that can't be trusted any more is ended."""
        clock = asyncio.get_running_loop().time
        worker.say(job=job.number, **job.order)
        try:
            async with asyncio.timeout(self._limits.silence) as self._patience:
                while True:
                    said = await worker.hear()
                    if job.is_wanted:
                        self._patience.reschedule(clock() + self._limits.silence)
                    if (ended := self._taken(job, said)) is not None:
                        return ended
        except WorkerBroke as error:
            await self._end_worker(str(error))
            raise ProviderFailed(f"The model '{self._name}' failed: its process {error}. The next request starts a new one.") from None
        except TimeoutError:
            await self._end_worker("silence")
            words = f"The model '{self._name}' showed no progress for {self._limits.silence:g} s: its process was ended."
            raise ProviderTimeout(words) from None
        finally:
            self._patience = None

    def _taken(self, job: _Job, said: dict[str, Any]) -> dict[str, Any] | None:
        """The line, where it is the job's last. Raises WorkerBroke, and the refusals."""
        match said:
            case {"tick": True}:
                return None
            case {"job": job.number, "text": str(piece)} | {"job": job.number, "vector": str(piece)}:
                if job.is_wanted:
                    job.take(piece)
                return None
            case {"job": job.number, "end": "stop" | "length"}:
                return said
            case {"job": job.number, "end": "cancelled"} if not job.is_wanted:
                return said
            case {"job": job.number, "refused": str(words), "kind": "context"}:
                raise ContextLengthExceeded(f"The model '{self._name}' {words}.", param=_text(said.get("param")))
            case {"job": job.number, "refused": str(words)}:
                raise InvalidRequest(f"The model '{self._name}' {words}.", param=_text(said.get("param")))
            case _:
                raise WorkerBroke("said what no worker says")

    async def _ready(self) -> Worker:
        """The worker, started and loaded if need be. Raises ProviderFailed."""
        clock = asyncio.get_running_loop().time
        if self._worker is not None and self._worker.runs:
            return self._worker
        await self._end_worker("gone")
        if self._failure is not None and clock() < self._failure[1]:
            raise ProviderFailed(self._failure[0], retryable=False)
        began = clock()
        try:
            self._worker = await self._load()
        except ProviderFailed as error:
            await self._end_worker("not loaded")
            self._failure = (error.message, clock() + self._limits.after_failure)
            raise
        self._failure = None
        log.info("gguf.loaded model=%s pid=%d seconds=%.2f", self._name, self._worker.pid, clock() - began)
        return self._worker

    async def _load(self) -> Worker:
        start = await asyncio.to_thread(self._prepare)
        try:
            async with asyncio.timeout(self._limits.load):
                self._worker = worker = await Worker.start(start.command)
                worker.say(load=start.order)
                while True:
                    match await worker.hear():
                        case {"loaded": {}}:
                            return worker
                        case {"tick": True}:
                            continue
                        case {"failed": str(words), "detail": str(detail)}:
                            raise self._not_loaded(words, detail)
                        case _:
                            raise WorkerBroke("said what no worker says")
        except WorkerBroke as error:
            raise self._not_loaded(f"can't be loaded: its process {error}, as it is where memory runs out", str(error)) from None
        except TimeoutError:
            raise self._not_loaded(f"can't be loaded: that took longer than {self._limits.load:g} s", "time") from None

    def _not_loaded(self, words: str, detail: str) -> ProviderFailed:
        log.error("gguf.not_loaded model=%s detail=%s", self._name, detail)
        return ProviderFailed(f"The model '{self._name}' {words}.", retryable=False)

    async def _end_worker(self, why: str) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.end()
            log.info("gguf.ended model=%s pid=%d why=%s", self._name, worker.pid, why)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

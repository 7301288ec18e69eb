"""A job as it goes: server-sent events of its updates, then `complete`, then [DONE]."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.api.chat.completions import COMMENT, DONE
from assistant.api.middleware.errors import error_json
from assistant.api.middleware.scope import cut_off
from assistant.api.workflows.wire import frame
from assistant.contracts.errors import NanobotError, ShuttingDown
from assistant.contracts.workflows import ENDED, Job, JobCancelled, JobFailed, JobUpdate, Update


class JobStream(Response):
    """Whoever goes away leaves the job alone. One that fails or is cancelled ends the stream with an `error` event and without [DONE]."""

    media_type = "text/event-stream"

    def __init__(self, job: Job, updates: AsyncIterator[Sequence[Update]], *, keep_alive: float) -> None:
        super().__init__()
        self.job = job
        self.updates = updates
        self.keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            (b"x-nanobot-job-id", self.job.id.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            await self._pass_on(receive, send)
        except NanobotError as error:
            await _write(send, _error(error), more=False)
        except asyncio.CancelledError:  # the server ends before the job does, or the caller's key does not hold any more
            ending = ShuttingDown(f"The server is shutting down; the job {self.job.id} goes on after its next start.")
            await _write(send, _error(cut_off(scope) or ending), more=False)

    async def _pass_on(self, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_gone(receive))
        step: asyncio.Task[Sequence[Update] | None] | None = None
        try:
            while True:
                step = step or asyncio.create_task(_next(self.updates))
                done, _ = await asyncio.wait((step, gone), timeout=self.keep_alive, return_when=asyncio.FIRST_COMPLETED)
                if gone in done:
                    return
                if not done:
                    await _write(send, COMMENT)
                    continue
                batch = step.result() or ()
                step = None
                end = batch[-1] if batch else None
                over = end is None or (isinstance(end, JobUpdate) and end.job.state in ENDED)
                data = b"".join([b"data: " + orjson.dumps(frame(update)) + b"\n\n" for update in batch])
                await _write(send, data + (_end(end.job) if over and end is not None else b""), more=not over)
                if over:
                    return
        finally:
            gone.cancel()
            if step is not None:
                step.cancel()
                await asyncio.wait([step])


async def _next(updates: AsyncIterator[Sequence[Update]]) -> Sequence[Update] | None:
    return await anext(updates, None)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(send: Send, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


def _end(job: Job) -> bytes:
    match job.state:
        case "completed":
            return b"data: " + orjson.dumps({"type": "complete", "job_id": job.id, "results": dict(job.results or {})}) + b"\n\n" + DONE
        case "cancelled":
            return _error(JobCancelled())
        case _:
            return _error(JobFailed(f"Workflow {job.workflow}, {job.error}"))


def _error(error: NanobotError) -> bytes:
    return b"data: " + error_json(error) + b"\n\n"

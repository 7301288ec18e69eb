"""The child process of one model: a JSON object per line on standard input and output.

    in:   {"load": {path, type, context, threads, gpu_layers, dimensions}}      first
          {"job": 7, "messages" or "prompt": …, "sampling": {…}}  |  {"job": 7, "texts": […], "dimensions": …}
          {"cancel": 7}                                                         at any time
    out:  {"loaded": {context, dimensions}}  |  {"failed": words, "detail": …}, then it exits
          {"job": 7, "text": …}, {"job": 7, "vector": base64}                   as they are computed
          {"job": 7, "end": "stop" | "length" | "cancelled", …}  |  {"job": 7, "refused": words, "kind": …, "param": …}
          {"tick": true}                                                        at most once a second while it computes
          {"broke": where}, then it exits                                       a bug here or in a library

It exits when its standard input ends or its parent dies, whatever it computes at the time.
"""

import ctypes
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import orjson

from assistant.providers.gguf.inference import InferenceCancelled, InferenceRefused, LoadedModel

_TICK: Final = 1.0
"""Seconds."""


class WorkerInbox:
    """Requests of the parent and the answers to it; notices cancellations while the main thread computes."""

    def __init__(self, output: int) -> None:
        """`output`: the descriptor that answers are written to."""
        self._output = output
        self.requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled = 0
        self._sent_at = 0.0
        self.job = 0
        """The running job's number; 0 for none."""

    def listen(self) -> None:
        """Reads standard input in a thread; exits the process at its end."""
        with os.fdopen(0, "rb", closefd=False) as lines:
            for line in lines:
                message = orjson.loads(line)
                if "cancel" in message:
                    self._cancelled = message["cancel"]
                else:
                    self.requests.put(message)
        os._exit(0)

    def send(self, **fields: object) -> None:
        left = memoryview(orjson.dumps(fields) + b"\n")
        while left:
            left = left[os.write(self._output, left) :]
        self._sent_at = time.monotonic()

    def is_cancelled(self) -> bool:
        """Whether to stop the running job. Called many times a second during a computation, so it also sends the ticks."""
        if time.monotonic() - self._sent_at > _TICK:
            self.send(tick=True)
        return self.job != 0 and self._cancelled == self.job


def main() -> None:
    """Serves until the process exits. Never returns."""
    output = os.dup(1)
    os.dup2(2, 1)  # keeps what libraries print out of the answers
    inbox = WorkerInbox(output)
    sys.excepthook = lambda kind, error, trace: _break(inbox, error, trace)
    threading.excepthook = lambda bug: os._exit(1)
    _deprioritize()
    threading.Thread(target=inbox.listen, daemon=True).start()
    load = inbox.requests.get()["load"]
    try:
        model = LoadedModel(load, inbox.is_cancelled)
    except InferenceRefused as refused:
        inbox.send(failed=refused.words, detail=refused.detail)
        os._exit(1)
    inbox.send(loaded={"context": model.context, "dimensions": model.dimensions})
    while True:
        _serve(model, inbox, inbox.requests.get())


def _serve(model: LoadedModel, inbox: WorkerInbox, request: Mapping[str, Any]) -> None:
    inbox.job = job = request["job"]
    try:
        if "texts" in request:
            ended = model.embed(request, lambda vector: inbox.send(job=job, vector=vector))
        else:
            ended = model.generate(request, lambda text: inbox.send(job=job, text=text))
    except InferenceRefused as refused:
        ended = {"refused": refused.words, "kind": refused.kind, "param": refused.param}
    except InferenceCancelled:
        ended = {"end": "cancelled"}
    inbox.send(job=job, **ended)
    inbox.job = 0


def _deprioritize() -> None:
    """Gives the server precedence for processor and memory, and on Linux dies with it even while stopped."""
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)
    # When memory runs out, the kernel kills this process first. Read-only in some containers: it then chooses by size, so most likely it, too.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _break(inbox: WorkerInbox, error: BaseException, trace: TracebackType | None) -> None:
    frames = traceback.extract_tb(trace)
    where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"
    inbox.send(broke=f"{type(error).__name__} at {where}")
    os._exit(1)  # skips the libraries' teardown

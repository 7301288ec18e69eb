"""The process that holds one file: one JSON object a line comes in on standard input, one a line goes out on standard output.

    in:   {"load": {path, type, context, threads, gpu_layers, dimensions}}      the first one
          {"job": 7, "messages" or "prompt": …, "sampling": {…}}  |  {"job": 7, "texts": […], "dimensions": …}
          {"cancel": 7}                                                         at any time
    out:  {"loaded": {context, dimensions}}  |  {"failed": words, "detail": …}, and the end
          {"job": 7, "text": …}, {"job": 7, "vector": base64}                   as they come
          {"job": 7, "end": "stop" | "length" | "cancelled", …}  |  {"job": 7, "refused": words, "kind": …, "param": …}
          {"tick": true}                                                        at most once a second while something is computed
          {"broke": where}, and the end                                         a bug, here or in a library

It ends with its standard input, and with its parent, whatever it is doing.
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

from assistant.providers.gguf.inference import Cancelled, Inference, Refused

_TICK: Final = 1.0
"""Seconds."""
_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG."""
_FIRST_TO_GO: Final = "1000"
"""The kernel's mark for what is ended first where memory runs out: not the server."""


class Desk:
    """What comes in, what goes out, and whether what is being done is still wanted."""

    def __init__(self, answer: int) -> None:
        """`answer`: the descriptor to answer on."""
        self._answer = answer
        self._jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled = 0
        self._said_at = 0.0
        self.job = 0

    def listen(self) -> None:
        """For a thread: put what comes in where it belongs, and end the process when nothing can come any more."""
        with os.fdopen(0, "rb", closefd=False) as lines:
            for line in lines:
                order = orjson.loads(line)
                if "cancel" in order:
                    self._cancelled = order["cancel"]
                else:
                    self._jobs.put(order)
        os._exit(0)

    def next(self) -> dict[str, Any]:
        return self._jobs.get()

    def say(self, **fields: object) -> None:
        left = memoryview(orjson.dumps(fields) + b"\n")
        while left:
            left = left[os.write(self._answer, left) :]
        self._said_at = time.monotonic()

    def is_told_to_stop(self) -> bool:
        """Asked many times a second while something is computed, it shows now and then that something is."""
        if time.monotonic() - self._said_at > _TICK:
            self.say(tick=True)
        return self.job != 0 and self._cancelled == self.job


def main() -> None:
    """Serves until its end. Never returns."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    desk = Desk(answer)
    sys.excepthook = lambda kind, error, trace: _break(desk, error, trace)
    threading.excepthook = lambda bug: os._exit(1)
    _step_back()
    threading.Thread(target=desk.listen, daemon=True).start()
    order = desk.next()["load"]
    try:
        model = Inference(order, desk.is_told_to_stop)
    except Refused as refused:
        desk.say(failed=refused.words, detail=refused.detail)
        os._exit(1)
    desk.say(loaded={"context": model.context, "dimensions": model.dimensions})
    while True:
        _serve(model, desk, desk.next())


def _serve(model: Inference, desk: Desk, order: Mapping[str, Any]) -> None:
    desk.job = job = order["job"]
    try:
        if "texts" in order:
            ended = model.embed(order, lambda vector: desk.say(job=job, vector=vector))
        else:
            ended = model.write(order, lambda text: desk.say(job=job, text=text))
    except Refused as refused:
        ended = {"refused": refused.words, "kind": refused.kind, "param": refused.param}
    except Cancelled:
        ended = {"end": "cancelled"}
    desk.say(job=job, **ended)
    desk.job = 0


def _step_back() -> None:
    """The server goes first, and this goes with it: where Linux can say so, even if it is stopped when its parent is killed."""
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    with suppress(OSError):  # a container may have it read-only: then the kernel chooses by size, which is likely to be right
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")


def _break(desk: Desk, error: BaseException, trace: TracebackType | None) -> None:
    frames = traceback.extract_tb(trace)
    where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"
    desk.say(broke=f"{type(error).__name__} at {where}")
    os._exit(1)  # nothing here is worth tearing down

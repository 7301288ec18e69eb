"""The process that hears one recording with faster-whisper: the job as JSON in its first argument, the answer as JSON on standard output.

    in:   {"path": […], "folder", "file", "language", "threads", "memory_mib", "seconds"}
    out:  {"text", "seconds"}  |  {"refused": clause}: the recording is at fault  |  {"failed": sentence}: this machine is

It opens no connection: the weights are a folder.
"""

import ctypes
import json
import math
import os
import resource
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

_ENDS_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux' prctl(2)."""
_MIB: Final = 1024 * 1024
_LARGEST_FILE: Final = 64 * _MIB


def main(job: dict[str, Any]) -> None:
    """Answers, and ends the process."""
    answer = os.dup(1)
    os.dup2(2, 1)  # keeps a library's prints out of the answer
    _limit(job)
    # What PyAV raises on a broken file is of many kinds.
    sys.excepthook = lambda kind, error, trace: _answer(answer, {"refused": f"can't be decoded ({kind.__name__})."})
    try:
        told: dict[str, object] = _heard(job)
    except MemoryError:
        told = {"failed": f"The transcriber needs more than {job['memory_mib']} MiB of memory (voice.transcriber.memoryMib)."}
    _answer(answer, told)


def _answer(answer: int, told: dict[str, object]) -> None:
    left = memoryview(json.dumps(told).encode())
    while left:
        left = left[os.write(answer, left) :]
    os._exit(0)  # skips a slow teardown


def _limit(job: dict[str, Any]) -> None:
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ENDS_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    memory, busy = job["memory_mib"] * _MIB, math.ceil(job["seconds"]) * job["threads"]
    limits = ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, busy), (resource.RLIMIT_FSIZE, _LARGEST_FILE), (resource.RLIMIT_CORE, 0))
    for limit, most in limits:
        with suppress(ValueError):  # the system's own is lower
            resource.setrlimit(limit, (most, most))
    os.nice(5)
    signal.alarm(math.ceil(job["seconds"]) + 1)  # the parent kills this process in time; the alarm, where the parent stands still


def _heard(job: dict[str, Any]) -> dict[str, object]:
    whisper: Any = import_module("faster_whisper")  # the extra `voice`
    try:
        model = whisper.WhisperModel(job["folder"], device="cpu", compute_type="int8", cpu_threads=job["threads"], local_files_only=True)
    except (RuntimeError, ValueError, OSError) as error:
        return {"failed": f"The weights in {job['folder']} can't be loaded ({type(error).__name__})."}
    segments, about = model.transcribe(job["file"], language=job["language"], condition_on_previous_text=False)
    text = "".join(segment.text for segment in segments)
    return {"text": text, "seconds": about.duration}

"""The process that the readers are forked from: it opens no file, and imports in advance what reading one takes.

Each file has a process of its own, as if it had been started for it, without the tenth of a second that a start and the imports take.
"""

import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module

from assistant.documents.child import FORMATS, main
from assistant.documents.protocol import WEB_PAGE, ReadLimits

CONTROL = 3
"""The descriptor of the socket to the server: jobs and kills in, exits out, each a packet of JSON."""
_ENDS_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux' prctl(2)."""
_FOR_PAGES = "trafilatura"
"""0.2 s and 20 MB: only where pages of the web are read."""
_PACKET = 4096
_MOST_OPEN = 64
"""Descriptors are numbered from below, and this process holds less than ten."""


def serve(limits: ReadLimits) -> None:
    """Forks a reader for each job until the server is gone or closes its end; the readers that still run are killed then."""
    os.setsid()  # a Ctrl+C at the server's terminal is not meant for it
    os.chdir("/")
    os.closerange(CONTROL + 1, os.sysconf("SC_OPEN_MAX"))
    control = socket.socket(fileno=CONTROL)
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    waiting = [f"assistant.documents.formats.{name}" for name in (("ocr",) if limits.ocr else FORMATS)]
    running: dict[int, int] = {}  # process → number of its job
    while True:
        ready, _, _ = select.select([control, woken], [], [], 0 if waiting else None)
        if not ready:
            with suppress(Exception):  # a reader that needs it fails with the same error; the other formats are read
                import_module(waiting.pop(0))
            gc.freeze()  # a collection in a reader would copy the pages that it shares with this process
        if woken in ready:
            woken.recv(_PACKET)
            _report(control, running)
        if control in ready and not _take(control, running, limits, waiting):
            for process in running:
                _kill(process)
            os._exit(0)


def _take(control: socket.socket, running: dict[int, int], limits: ReadLimits, waiting: list[str]) -> bool:
    """Handles one packet of the server's. False: it is gone. `waiting`: what is to be imported; a first page adds what the next ones take."""
    packet, descriptors, _, _ = socket.recv_fds(control, _PACKET, 2)
    if not packet:
        return False
    job = json.loads(packet)
    if "kill" in job:
        for process in [process for process, number in running.items() if number == job["kill"]]:
            _kill(process)
        return True
    try:
        source, answer = descriptors
        process = os.fork()
    except (OSError, ValueError):  # the system has no descriptor or process left: no reason to end the readers that run
        control.send(json.dumps({"job": job["job"], "code": 1}).encode())
    else:
        if process == 0:
            _read(source, answer, job["suffix"], limits)
        running[process] = job["job"]
        if job["suffix"] == WEB_PAGE and _FOR_PAGES not in (*waiting, *sys.modules):
            waiting.append(_FOR_PAGES)
    for descriptor in descriptors:
        os.close(descriptor)
    return True


def _read(source: int, answer: int, suffix: str, limits: ReadLimits) -> None:
    """Makes this process the reader of one file, which has that file, the way for its reply, and nothing else open. Never returns."""
    try:
        parent = os.getppid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.dup2(source, 0)
        os.dup2(answer, 1)
        os.closerange(3, _MOST_OPEN)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_ENDS_WITH_PARENT, signal.SIGKILL)
        if os.getppid() == parent:
            main(suffix, limits)
    except BaseException as error:  # noqa: BLE001 - the hook of `main` makes the reply; nothing may return to the loop above
        sys.excepthook(type(error), error, error.__traceback__)
    os._exit(1)


def _report(control: socket.socket, running: dict[int, int]) -> None:
    """Tells the server the exit codes of the readers that have ended; negative: the signal that ended it."""
    with suppress(ChildProcessError, BrokenPipeError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            process, status = ended
            control.send(json.dumps({"job": running.pop(process), "code": os.waitstatus_to_exitcode(status)}).encode())


def _kill(process: int) -> None:
    """Kills a reader and its group. It has not been waited for, so the number is still its own."""
    os.kill(process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)

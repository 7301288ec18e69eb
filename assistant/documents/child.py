"""The process that reads one file: its bytes on standard input, the reply on standard output, and nothing else in its reach.

Whatever happens in here, the parent only sees a reply, an exit code, or time running out.
"""

import math
import os
import resource
import signal
import sys
import traceback
from importlib import import_module
from types import TracebackType
from typing import Protocol, cast

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.documents.limits import MIB, Limits
from assistant.documents.refusals import Refused
from assistant.documents.reply import Refusal, pack
from assistant.documents.sniff import sniff

_MODULES = {
    "pdf": "pdf",
    "docx": "office.docx",
    "pptx": "office.pptx",
    "xlsx": "office.sheets",
    "xlsb": "office.sheets",
    "xls": "office.sheets",
    "ods": "office.sheets",
    "png": "images",
    "jpeg": "images",
    "gif": "images",
    "webp": "images",
    "html": "html",
    "eml": "mail",
    "rtf": "rtf",
}
"""Format → the module of `formats` that reads it; every other format is text."""


class _Reads(Protocol):
    def read(self, data: bytes, name: str, limits: Limits) -> ReadDocument | ReadImage: ...


def main(suffix: str, limits: Limits) -> None:
    """Reads standard input, replies, and ends the process. `suffix`: how the file's name ends, ".csv"; a hint between kinds of text."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not be taken for the reply
    sys.excepthook = lambda kind, error, trace: _send(answer, pack(_describe(error, trace)))
    with os.fdopen(0, "rb", closefd=False) as source:
        data = source.read()
    _send(answer, _read(data, suffix, limits))
    os._exit(0)  # nothing here is worth tearing down


def _read(data: bytes, suffix: str, limits: Limits) -> bytes:
    """The reply, packed: that takes memory, too."""
    _limit_costs(limits)
    try:
        name = sniff(data, suffix)
        module = cast("_Reads", import_module(f"assistant.documents.formats.{_MODULES.get(name, 'text')}"))
        _limit_reach()
        return pack(module.read(data, name, limits))
    except Refused as refused:
        return pack(Refusal(reason=refused.reason, words=refused.words))
    except RecursionError:
        return pack(Refusal(reason="unreadable", words="is nested too deeply to read."))
    except MemoryError:
        pass  # what filled the memory hangs on the error, and goes with it: only then is there room for the reply
    words = f"needs more than {limits.memory_mib} MiB of memory to read (documents.memoryMib)."
    return pack(Refusal(reason="unreadable", words=words))


def _limit_costs(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mib * MIB, limits.memory_mib * MIB))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    os.nice(5)  # the server goes first
    # The parent ends this process when its time is over. Should the parent be gone, the alarm does.
    signal.alarm(math.ceil(limits.wall_seconds) + 1)


def _limit_reach() -> None:
    """After the imports: from here on, no file grows, and (where the user is not root) no process starts."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _describe(error: BaseException, trace: TracebackType | None) -> Refusal:
    """For an error that no reader expected: a file that breaks the rules of its format."""
    here = os.path.dirname(__file__) + os.sep
    ours = [frame for frame in traceback.extract_tb(trace) if frame.filename.startswith(here)]
    where = f"{os.path.basename(ours[-1].filename)}:{ours[-1].lineno}" if ours else "?"
    return Refusal(reason="unreadable", words="can't be read: it is damaged or incomplete.", detail=f"{type(error).__name__} at {where}")


def _send(answer: int, reply: bytes) -> None:
    left = memoryview(reply)
    while left:
        left = left[os.write(answer, left) :]

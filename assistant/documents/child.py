"""The process that reads one file: its bytes on standard input, the reply on standard output, access to nothing else.

The parent sees a reply, an exit code, or a timeout.
"""

import math
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from types import ModuleType, TracebackType
from typing import cast

from assistant.contracts.documents import DocumentPicture, ReadDocument, ReadImage
from assistant.documents.protocol import MIB, WEB_PAGE, FileRefused, IllustratedDocument, ReadLimits, ReadRefusal, pack, pack_picture
from assistant.documents.sniff import sniff

_MODULES = {
    **dict.fromkeys(("png", "jpeg", "gif", "webp", "bmp", "ico", "psd", "jp2", "avif", "heic"), "images"),
    **dict.fromkeys(("xlsx", "xlsb", "xls", "ods"), "office.sheets"),
    "tiff": "scans",
    "pdf": "pdf",
    "docx": "office.docx",
    "pptx": "office.pptx",
    "html": "html",
    "web page": "webpage",
    "eml": "mail",
    "ipynb": "notebook",
    "rtf": "rtf",
    "odt": "office.odf",
    "odp": "office.odf",
    "epub": "epub",
    "msg": "outlook",
    "words": "ocr",
}
"""Format → the module of `formats` that reads it; every other format is text."""
FORMATS = tuple([module for module in dict.fromkeys((*_MODULES.values(), "text")) if module != "ocr"])
"""The modules of `formats`, without the one of the extra `ocr`."""


def module_of(name: str) -> ModuleType:
    """The module of `formats` that reads a format."""
    return import_module(f"assistant.documents.formats.{_MODULES.get(name, 'text')}")


def main(suffix: str, limits: ReadLimits) -> None:
    """Reads standard input, replies, and ends the process. `suffix` of the file's name, ".csv": tells kinds of text apart."""
    answer = os.dup(1)
    os.dup2(2, 1)  # keeps a library's prints out of the reply
    sys.excepthook = lambda kind, error, trace: _send(answer, pack(_describe(error, trace)))
    with os.fdopen(0, "rb", closefd=False) as source:
        data = source.read()
    _limit_costs(limits)
    reply, pictures = _read(data, suffix, limits)
    _send(answer, reply)
    del data, reply
    with suppress(Exception):  # the text is sent: whatever a picture does, it counts
        _send_pictures(answer, pictures, limits)
    os._exit(0)  # skips a slow teardown


def _send_pictures(answer: int, pictures: Iterator[DocumentPicture], limits: ReadLimits) -> None:
    """Each as soon as it is made, up to the limits of bytes and time."""
    left = limits.pictures_bytes
    for picture in pictures:
        left -= len(picture.data)
        if left < 0:
            break
        _send(answer, pack_picture(picture))
        if time.process_time() > limits.pictures_time * limits.cpu_seconds:
            break


def _read(data: bytes, suffix: str, limits: ReadLimits) -> tuple[bytes, Iterator[DocumentPicture]]:
    """The packed reply (packing counts against the memory limit, too), and the pictures to follow."""
    nothing: Iterator[DocumentPicture] = iter(())
    try:
        name = "words" if limits.ocr else sniff(data, ".html" if suffix == WEB_PAGE else suffix)
        name = "web page" if (suffix, name) == (WEB_PAGE, "html") else name
        read = cast("Callable[[bytes, str, ReadLimits], ReadDocument | ReadImage | IllustratedDocument]", module_of(name).read)
        # Only now, behind the imports: no file may grow and (unless root) no process may start.
        for limit, most in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 32), (resource.RLIMIT_NPROC, 0)):
            resource.setrlimit(limit, (most, most))
        found = read(data, name, limits)
        if isinstance(found, IllustratedDocument):
            return pack(found.document, found.planned), found.pictures
        return pack(found), nothing
    except FileRefused as refused:
        return pack(refused.refusal), nothing
    except RecursionError:
        return pack(ReadRefusal(words="is nested too deeply to read.")), nothing
    except MemoryError:
        pass  # the error holds the memory: leaving the handler frees it for the reply
    return pack(ReadRefusal(words=f"needs more than {limits.memory_mib} MiB of memory to read (documents.memoryMib).")), nothing


def _limit_costs(limits: ReadLimits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mib * MIB, limits.memory_mib * MIB))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    os.nice(5)
    signal.alarm(math.ceil(limits.wall_seconds) + 1)  # the parent kills this process on timeout; the alarm, where the parent is gone


def _describe(error: BaseException, trace: TracebackType | None) -> ReadRefusal:
    """The refusal for an exception that no reader expected, usually because of a malformed file."""
    here = os.path.dirname(__file__) + os.sep
    ours = [frame for frame in traceback.extract_tb(trace) if frame.filename.startswith(here)]
    where = f"{os.path.basename(ours[-1].filename)}:{ours[-1].lineno}" if ours else "?"
    return ReadRefusal(words="can't be read: it is damaged or incomplete.", detail=f"{type(error).__name__} at {where}")


def _send(answer: int, reply: bytes) -> None:
    left = memoryview(reply)
    while left:
        left = left[os.write(answer, left) :]

"""Files in files: those attached to a message are read by the same modules as uploads, in the same process, under the same limits."""

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import cast

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.documents.protocol import MIB, FileRefused, IllustratedDocument, ReadLimits

_DEEPEST = 4


class _TooSlow(Exception):
    """An attached file takes too long."""


@dataclass(slots=True)
class AttachedReader:
    """Reads attached files until one of its limits is reached; the message itself is read whatever they hold."""

    limits: ReadLimits
    depth: int = 0
    """Of the message in other messages."""
    files: int = 50
    room: int = 64 * MIB
    """Bytes of attached files that may still be read."""
    seconds: float = 0
    """Processor time left for all attached files; half of a file's where 0."""

    def __post_init__(self) -> None:
        self.seconds = self.seconds or self.limits.cpu_seconds / 2
        self.limits = replace(self.limits, pictures=-1)  # their pictures have marks only: each file would number its own

    def read(self, data: bytes, suffix: str) -> ReadDocument | ReadImage | str:
        """The file, or why it is not read, as words that its name begins."""
        from assistant.documents.child import module_of  # noqa: PLC0415 - it is the process that imports this module
        from assistant.documents.sniff import sniff  # noqa: PLC0415

        if not data:
            return "is empty."
        self.files -= 1
        self.room -= len(data)
        if self.depth > _DEEPEST or self.files < 0 or self.room < 0 or self.seconds < 0.1:
            return "is not read: the attached files are too many, too large or too deep. Send it by itself."
        try:
            with self._in_time():
                name = sniff(data, suffix)
                read = cast("Callable[..., ReadDocument | ReadImage | IllustratedDocument]", module_of(name).read)
                found = read(data, name, self.limits, self) if name == "eml" else read(data, name, self.limits)
                return found.document if isinstance(found, IllustratedDocument) else found
        except FileRefused as refused:
            return refused.refusal.words.partition(" Supported are ")[0]
        except _TooSlow:
            self.seconds = 0.0
            return "takes too long to read. Send it by itself."
        except MemoryError:
            return "needs too much memory to read. Send it by itself."
        except RecursionError:
            return "is nested too deeply to read."
        except Exception:  # noqa: BLE001 - a library's own error for a malformed file, which must not hide the message
            return "can't be read: it is damaged or incomplete."

    @contextmanager
    def _in_time(self) -> Generator[None]:
        """Ends what takes longer than the processor time left, where it returns to Python now and then; nested ones share the outer time."""
        if self.depth:
            yield
            return
        before = signal.signal(signal.SIGPROF, _end)
        signal.setitimer(signal.ITIMER_PROF, self.seconds)
        try:
            yield
        finally:
            self.seconds, _ = signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)


def _end(number: int, frame: FrameType | None) -> None:
    raise _TooSlow

"""glibc's allocator, told to suit a server that runs for weeks. Elsewhere (musl, macOS) nothing is told.

Figures in docs/performance.md and docs/reliability.md.
"""

import ctypes
from contextlib import suppress
from typing import Final

_ARENA_MAX: Final = -8
"""M_ARENA_MAX of <malloc.h>."""


def use_one_arena() -> None:
    """Let all threads take memory from one heap; before they start, as those that have another keep it.

    By default each thread has a heap of its own, in which what other threads need is not freed and not found: resident memory grows with the
    threads' peaks. The interpreter's lock leaves them little to wait for at one.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def trim() -> None:
    """Give freed memory back to the operating system: glibc keeps the heap of a burst of requests."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)

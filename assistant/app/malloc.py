"""glibc's allocator, told to suit a server that runs for weeks. Elsewhere (musl, macOS) nothing is told.

Figures in docs/performance.md and docs/reliability.md.
"""

import ctypes
from contextlib import suppress
from typing import Final

_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""As <malloc.h> numbers them."""
_LARGE: Final = 128 * 1024


def keep_heap_small() -> None:
    """Let all threads take memory from one heap, and what is large from none; before they start, as those that have another heap keep it.

    By default each thread has a heap of its own, in which others do not find what is free: resident memory grows with the threads' peaks. (The
    interpreter's lock leaves them little to wait for at one.) And once a block of some MiB was freed, others of that size lie in the heap, among
    small ones that stay.
    """
    with suppress(AttributeError):
        options = ctypes.CDLL(None).mallopt
        options(_ARENA_MAX, 1)
        options(_MMAP_THRESHOLD, _LARGE)


def trim() -> None:
    """Give freed memory back to the operating system: glibc keeps the heap of a burst of requests."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)

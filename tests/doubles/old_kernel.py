"""`python -m tests.doubles.old_kernel serve …`: nanobot where the kernel does not know pidfd_open (Linux before 5.3, gVisor), by a seccomp filter."""

import ctypes
import errno
import struct

from assistant.cli.program import main

_PIDFD_OPEN = 434
"""On every architecture."""
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ERROR, _ALLOW = 0x00050000, 0x7FFF0000
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _forget_pidfd_open() -> None:
    """For this process and its children."""
    steps = [(_LOAD, 0, 0, 0), (_IF_EQUAL, 0, 1, _PIDFD_OPEN), (_RETURN, 0, 0, _ERROR | errno.ENOSYS), (_RETURN, 0, 0, _ALLOW)]
    code = b"".join([struct.pack("HBBI", *step) for step in steps])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_SECCOMP, _FILTER, ctypes.byref(_Program(len(steps), code)), 0, 0):
        raise OSError(ctypes.get_errno(), "no seccomp filter")


if __name__ == "__main__":
    _forget_pidfd_open()
    main()

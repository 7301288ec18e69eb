"""The third rung: limits itself by Landlock and seccomp, runs a command, and leaves nothing of it behind.

Started as a program of its own (`python -I -S launcher.py FD`), so it imports nothing of ours. FD holds the policy as JSON: argv, cwd, environment,
rules, filter, limits, user, processes. It stays outside of the limits as the parent of all that the command starts: what loses its own parent becomes
its child. It ends with the command, at SIGTERM, or when the server is gone. Exit code: the command's; 128 + signal; 125: not started.
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from typing import Any, Final

_LIBC = ctypes.CDLL(None, use_errno=True)
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PDEATHSIG, _SECCOMP, _FILTER, _SUBREAPER, _NO_NEW_PRIVS = 1, 22, 2, 36, 38
READ: Final = 0b1101
"""Execute, read a file, list a folder."""
WRITE: Final = 0b111_0111_1011_1111
"""All but devices: made, or spoken to by ioctl."""
DEVICE: Final = 0b1000_0000_0000_0110
_ALL_FILES, _ALL_NETWORK, _ALL_SCOPES = 0xFFFF, 0b11, 0b11
LEAST_ABI: Final = 6
"""The first that keeps signals and abstract sockets inside."""


def landlock_abi() -> int:
    """The version of the kernel's Landlock; 0: none. Some microseconds."""
    return max(0, _LIBC.syscall(_CREATE, None, ctypes.c_size_t(0), 1))


def _call(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), what)
    return result


def _prctl(option: int, value: int, more: Any = 0) -> None:
    _call(_LIBC.prctl(option, ctypes.c_ulong(value), more, 0, 0), f"prctl {option}")


def _restrict(rules: list[tuple[str, int]]) -> None:
    attributes = struct.pack("=QQQ", _ALL_FILES, _ALL_NETWORK, _ALL_SCOPES)
    ruleset = _call(_LIBC.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0), "landlock")
    for path, access in rules:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        given = access if os.path.isdir(path) else access & 0b1100_0000_0000_0111
        _call(_LIBC.syscall(_ADD, ruleset, 1, struct.pack("=Qi", given, opened), 0), f"landlock {path}")
        os.close(opened)
    _call(_LIBC.syscall(_RESTRICT, ruleset, 0), "landlock")
    os.close(ruleset)


def _filter(code: bytes) -> None:
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    _prctl(_SECCOMP, _FILTER, program)


def _tasks(user: int) -> int:
    """Processes and threads of the user, those outside included: the kernel's limit counts them all."""
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                count += len(os.listdir(f"{entry.path}/task")) if entry.stat().st_uid == user else 0
            except OSError:
                continue
    return count


def _become(policy: dict[str, Any]) -> None:
    """In the child: everything that holds from here to the command's end, then the command."""
    os.setsid()
    os.nice(5)
    with suppress(OSError), open("/proc/self/autogroup", "w") as file:
        file.write("5")
    user = policy["user"]
    os.chdir(policy["cwd"])
    for name, value in policy["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    most = _tasks(os.getuid() if user is None else user) + policy["processes"]
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    os.closerange(3, 4_096)
    _prctl(_PDEATHSIG, signal.SIGKILL)
    _prctl(_NO_NEW_PRIVS, 1)
    _restrict(policy["rules"])
    _filter(bytes.fromhex(policy["filter"]))
    for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execvpe(policy["argv"][0], policy["argv"], policy["environment"])  # noqa: S606 - all that was done before is what a shell would not


def _children(pid: int) -> list[int]:
    """All that descends from it."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    except OSError:
        return found
    return [*found, *(below for child in found for below in _children(child))]


def _end_all() -> None:
    """Stop them until no new ones come, then kill them; until none is left."""
    while True:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in _children(os.getpid()):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def _main() -> int:
    with os.fdopen(int(sys.argv[1]), "rb") as file:
        policy = json.load(file)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    _prctl(_SUBREAPER, 1)
    _prctl(_PDEATHSIG, signal.SIGTERM)
    command = os.fork()
    if command == 0:
        try:
            _become(policy)
        except OSError as error:
            os.write(2, f"{policy['argv'][0]}: {error.strerror}\n".encode())
        os._exit(127)
    for stream in (0, 1, 2):
        os.close(stream)
    code = 128 + signal.SIGKILL
    while signal.sigwait({signal.SIGTERM, signal.SIGCHLD}) == signal.SIGCHLD:
        ended = dict(iter(_ended, (0, 0)))
        if command in ended:
            result = os.waitstatus_to_exitcode(ended[command])
            code = result if result >= 0 else 128 - result
            break
    _end_all()
    return code


def _ended() -> tuple[int, int]:
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0


if __name__ == "__main__":
    os._exit(_main())

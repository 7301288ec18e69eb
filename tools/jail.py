"""A folder that its paths can't leave: names are checked, and no link is followed, also where something changes between two steps."""

import errno
import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from assistant.contracts.errors import ToolFailed

if TYPE_CHECKING:
    from ctypes import CDLL

SHARED, TRASH = "shared", ".trash"
INSIDE: Final = "/workspace"
"""A person's folder as commands in the sandbox see it."""
_MOST_BYTES, _MOST_STEPS, _NAME_BYTES = 2_000, 40, 255
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Controls, marks of direction, separators of lines, halves of characters. What joins letters and emoji may be in a name."""
_OPENAT2, _RENAMEAT2 = 437, 316
"""Linux's numbers; openat2 has the same one everywhere, renameat2 this one on x86-64."""
_RESOLVE: Final = 0x08 | 0x04 | 0x02
"""RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS"""
_NOREPLACE: Final = 1
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def split_path(path: str) -> tuple[str, ...]:
    """The names of a path within a person's folder, none of them "..": ("shared", …) is in the common folder, () the folder itself.

    Raises ToolFailed with words for the model.
    """
    if path == INSIDE or path.startswith(INSIDE + "/"):
        path = path[len(INSIDE) + 1 :]
    if "\0" in path or len(path.encode(errors="surrogatepass")) > _MOST_BYTES:
        raise ToolFailed("A file is named by its path in the workspace, such as 'reports/week.pdf'.")
    steps = [step for step in path.split("/") if step not in ("", ".")]
    if path.startswith("/") or ".." in steps or steps[:1] == ["~"]:
        raise ToolFailed(f"{path!r} is outside of the workspace. Paths begin at the user's folder, such as 'reports/week.pdf'.")
    for step in steps:
        if _UNSEEN.search(step) or "\\" in step or step.endswith((".", " ")) or len(step.encode()) > _NAME_BYTES:
            raise ToolFailed(
                f"{step[:80]!r} is no name of a file: name too long, ending in a dot or a space, or with a backslash or unseen characters."
            )
    if len(steps) > _MOST_STEPS:
        raise ToolFailed(f"{path[:80]!r}… is too deep: at most {_MOST_STEPS} folders.")
    for place, name in ((0, SHARED), (0, TRASH), (1, TRASH)):  # whatever their case: some disks do not see it
        if len(steps) > place and steps[place].casefold() == name and (place == 0 or steps[0] == SHARED):
            steps[place] = name
    return tuple(steps)


def visible(name: str) -> str:
    """A name as it is on the disk, on one line: what is not seen is written as an escape."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], name)


class Jail:
    """Opens what is below a folder. Every method blocks and raises OSError. The folder itself is trusted, and may be a link."""

    def __init__(self, root: Path, *, openat2: bool | None = None) -> None:
        """`openat2`: False: go step by step, as where the kernel has no such call; None: as the machine can."""
        self.root = root
        self._openat2 = _has_openat2() if openat2 is None else openat2

    @contextmanager
    def open(self, steps: tuple[str, ...], flags: int = os.O_RDONLY) -> Generator[int]:
        """A descriptor of what these names lead to; of a pipe it does not wait."""
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        held = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if self._openat2 and steps:
                held = _replaced(held, _kernel_open(held, "/".join(steps), flags))
            else:
                for step in steps[:-1]:
                    held = _replaced(held, os.open(step, _FOLDER, dir_fd=held))
                if steps:
                    held = _replaced(held, os.open(steps[-1], flags, dir_fd=held))
            yield held
        finally:
            os.close(held)

    @contextmanager
    def file(self, steps: tuple[str, ...]) -> Generator[int]:
        """A descriptor of a regular file with no other name: a second one (a hard link) may be of another folder."""
        with self.open(steps) as descriptor:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "is not a file")
            if found.st_nlink > 1:
                raise OSError(errno.EMLINK, "has a second name (a hard link), and such files are not read")
            yield descriptor

    @contextmanager
    def parent(self, steps: tuple[str, ...], *, make: bool = False) -> Generator[tuple[int, str]]:
        """(A descriptor of the folder, the last name.) `make`: what is missing of the folders."""
        for count in range(1, len(steps)) if make else ():
            with self.open(steps[: count - 1], os.O_DIRECTORY) as above:
                try:
                    os.mkdir(steps[count - 1], 0o700, dir_fd=above)
                except FileExistsError:
                    continue
        with self.open(steps[:-1], os.O_DIRECTORY) as folder:
            yield folder, steps[-1]


def rename_new(source: str, target: str, *, source_folder: int, target_folder: int) -> None:
    """Rename, and never onto something. Raises FileExistsError."""
    if os.uname().machine == "x86_64" and _has_openat2():
        words = (source_folder, os.fsencode(source), target_folder, os.fsencode(target), _NOREPLACE)
        if _libc().syscall(_RENAMEAT2, *words) == 0:
            return
        _raise_errno(target, but=(errno.EINVAL, errno.ENOSYS))
    try:
        os.stat(target, dir_fd=target_folder, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new


def _kernel_open(folder: int, path: str, flags: int) -> int:
    from ctypes import byref, c_uint64, sizeof  # noqa: PLC0415 - the start need not wait for it

    how = (c_uint64 * 3)(flags, 0, _RESOLVE)
    while True:
        descriptor = _libc().syscall(_OPENAT2, folder, os.fsencode(path), byref(how), sizeof(how))
        if descriptor >= 0:
            return int(descriptor)
        _raise_errno(path, but=(errno.EAGAIN, errno.EINTR))  # something on the way was moved meanwhile


def _raise_errno(path: str, *, but: tuple[int, ...]) -> None:
    from ctypes import get_errno  # noqa: PLC0415 - as above

    if (number := get_errno()) not in but:
        raise OSError(number, os.strerror(number), path)


@cache
def _libc() -> "CDLL":
    from ctypes import CDLL  # noqa: PLC0415 - as above

    return CDLL(None, use_errno=True)


@cache
def _has_openat2() -> bool:
    """Asked once: Linux has it since 5.6, and some sandboxes around a container refuse it."""
    if os.uname().sysname != "Linux":
        return False
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(_kernel_open(root, ".", _FOLDER))
    except OSError:
        return False
    finally:
        os.close(root)
    return True

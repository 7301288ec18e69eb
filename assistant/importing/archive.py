"""A folder, a zip file or a single file that others made: its regular files by name, and nothing outside of it."""

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final

from assistant.importing.source import CannotImport, FoundFile, Skips

MOST_FILES: Final = 200_000
_DEEPEST: Final = 32
_ALWAYS_INFLATED: Final = 64 * 1024 * 1024
_MOST_RATIO: Final = 100
"""How many times its packed size an entry may have, above `_ALWAYS_INFLATED`."""
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)


class Archive:
    """Read-only. Symbolic links, devices and encrypted entries are skipped, each with a line."""

    def __init__(self, path: Path, skips: Skips) -> None:
        """Raises CannotImport."""
        self._zip: zipfile.ZipFile | None = None
        self._skips = skips
        try:
            self.path = path.resolve(strict=True)
            if self.path.is_dir():
                self.files: Mapping[str, FoundFile] = self._walk()
            elif zipfile.is_zipfile(self.path):
                self._zip = zipfile.ZipFile(self.path)
                self.files = self._entries(self._zip)
            elif self.path.is_file():
                name = self.path.name
                self.files = {name: FoundFile(name=name, size=self.path.stat().st_size, open=_opener(self.path.parent, name))}
            else:
                raise CannotImport(f"{path} is no folder and no file")
        except OSError as error:
            raise CannotImport(f"{path} can't be read ({error.strerror})") from None
        except _BROKEN as error:
            raise CannotImport(f"{path} is a broken zip file ({str(error)[:100]})") from None

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()

    def below(self, folder: str) -> Mapping[str, FoundFile]:
        """The files of a folder, by their names in it."""
        begin = f"{folder.strip('/')}/" if folder.strip("/") else ""
        return {name.removeprefix(begin): file for name, file in self.files.items() if name.startswith(begin)}

    def _walk(self) -> dict[str, FoundFile]:
        found: dict[str, FoundFile] = {}
        for folder, folders, names in os.walk(self.path, onerror=lambda error: self._skips.add(str(error.filename), "can't be read")):
            inside = os.path.relpath(folder, self.path)
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in links:
                self._skips.add(os.path.join(inside, name).removeprefix("./"), "a symbolic link, which is not followed")
            if inside.count(os.sep) >= _DEEPEST:
                self._skips.add(inside, "nested too deeply")
                folders.clear()
            for name in names:
                shown = PurePosixPath(inside, name).as_posix()
                status = os.lstat(os.path.join(folder, name))
                if stat.S_ISLNK(status.st_mode):
                    self._skips.add(shown, "a symbolic link, which is not followed")
                elif stat.S_ISREG(status.st_mode) and self._has_room(found):
                    found[shown] = FoundFile(name=shown, size=status.st_size, open=_opener(self.path, shown))
        return found

    def _entries(self, archive: zipfile.ZipFile) -> dict[str, FoundFile]:
        found: dict[str, FoundFile] = {}
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):
                self._skips.add(entry.filename, "a symbolic link, which is not followed")
            elif entry.flag_bits & 1:
                self._skips.add(entry.filename, "encrypted: unpack it first")
            elif safe_path(entry.filename) is None:
                self._skips.add(repr(entry.filename[:200]), "a name that leads out of its folder")
            elif self._has_room(found):
                found[entry.filename] = FoundFile(name=entry.filename, size=entry.file_size, open=_inflating(archive, entry))
        return found

    def _has_room(self, found: Mapping[str, FoundFile]) -> bool:
        if len(found) < MOST_FILES:
            return True
        self._skips.add(str(self.path), f"has more than {MOST_FILES:,} files; the others are left out")
        return False


def safe_path(name: str) -> PurePosixPath | None:
    """The name as a path that leads out of no folder on any system; None: it is none."""
    parts = name.split("/")
    if not name or len(name) > 1_000 or not name.isprintable() or "\\" in name or len(parts) > _DEEPEST + 1:
        return None
    if any(part in ("", ".", "..") or len(part.encode(errors="replace")) > 255 or ":" in part for part in parts):
        return None
    return PurePosixPath(*parts)


def _opener(folder: Path, name: str) -> Callable[[], AbstractContextManager[BinaryIO]]:
    @contextmanager
    def opened() -> Generator[BinaryIO]:
        file = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise ValueError("is no regular file any more")
            yield stream

    return opened


def _inflating(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], AbstractContextManager[BinaryIO]]:
    @contextmanager
    def opened() -> Generator[BinaryIO]:
        try:
            with archive.open(entry) as packed:
                most = max(_ALWAYS_INFLATED, _MOST_RATIO * entry.compress_size)
                yield io.BufferedReader(_Counted(packed, most), 1 << 20)
        except (*_BROKEN, OSError) as error:
            raise ValueError(f"is broken ({str(error)[:100]})") from None

    return opened


class _Counted(io.RawIOBase):
    """Counts what is inflated, whatever the entry says of its size."""

    def __init__(self, packed: IO[bytes], most: int) -> None:
        self._packed = packed
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray", /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = self._packed.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("grows beyond all measure as it is unpacked")
        buffer[: len(data)] = data
        return len(data)

"""Compound files ([MS-CFB]), the container of Office files before 2007, of encrypted ones since, and of Outlook's messages.

Nothing here trusts a number of the file: chains and trees that lead back to themselves end, and what can be read is read.
"""

import struct
from collections import deque
from collections.abc import Iterator

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENTRY = 128
_NO_ENTRY = 0xFFFFFFFF
_LAST_SECTOR = 0xFFFFFFFA
"""Greater numbers end a chain, or mark a sector that holds a table."""
_IN_HEADER = 109
"""Sectors of the allocation table that the header names; more are in sectors of their own."""
_MOST_ENTRIES = 100_000
_DEEPEST = 32
"""Storages in each other that are entered."""
_UNUSED, _STORAGE, _STREAM, _ROOT = 0, 1, 2, 5
_SMALL_SECTOR = 64
_Path = tuple[str, ...]


class CompoundFile:
    """The streams and storages of a file by their paths, in small letters, since [MS-CFB] 2.6.4 compares names without case."""

    def __init__(self, data: bytes) -> None:
        shift = int.from_bytes(data[30:32], "little")
        self._data, self._size = data, 1 << shift if data.startswith(MAGIC) and shift in {9, 12} else 0
        self._table, whole = _allocation(data, self._size) if self._size else ([], False)
        self._entries = list(self._directory()) if self._size else []
        self._small: tuple[bytes, list[int]] | None = None
        self._paths: dict[_Path, bytes] = {}
        self._storages: dict[_Path, list[str]] = {}
        self.is_readable = bool(self._entries) and self._entries[0][66] == _ROOT
        """Whether there is a directory."""
        self.is_cut_off = not whole
        """The file ends before its allocation table does: most streams can't be found."""
        self._is_whole = self.is_readable and self._walk()

    def root_names(self) -> set[str]:
        """The streams and storages right below the root; where that part of the tree is broken, all of them: some programs do not write one."""
        if self._is_whole:
            return {path[0] for path in self._paths if len(path) == 1}
        return {_name(entry) for entry in self._entries[1:] if entry[66] != _UNUSED}

    def storages(self, *path: str) -> list[str]:
        """The names of the storages right below one."""
        return self._storages.get(_lower(path), [])

    def has(self, *path: str) -> bool:
        return _lower(path) in self._paths

    def read(self, *path: str) -> bytes:
        """The content of a stream; empty where there is none. Its chain may end early."""
        entry = self._paths.get(_lower(path))
        return b"" if entry is None or entry[66] != _STREAM else self._content(entry)

    def read_first(self, name: str) -> bytes:
        """The content of the first stream of that name, wherever it is; empty where there is none."""
        found = next((entry for entry in self._entries if entry[66] == _STREAM and _name(entry) == name.lower()), None)
        return b"" if found is None else self._content(found)

    def _directory(self) -> Iterator[bytes]:
        """The entries of the directory in their order, as far as its chain of sectors goes."""
        data, size, found = self._data, self._size, 0
        sector, seen = _number(data, 48), set[int]()
        while sector < _LAST_SECTOR and sector not in seen and found < _MOST_ENTRIES:
            seen.add(sector)
            start = (sector + 1) * size
            for offset in range(start, min(start + size, len(data) - _ENTRY + 1), _ENTRY):
                yield data[offset : offset + _ENTRY]
                found += 1
            sector = self._table[sector] if sector < len(self._table) else _NO_ENTRY

    def _walk(self) -> bool:
        """Finds the path of each entry; one storage after the other, the root's first. Whether the root's part of the tree is whole."""
        waiting: deque[tuple[_Path, int]] = deque([((), _number(self._entries[0], 76))])
        seen: set[int] = set()
        whole = True
        while waiting:
            folder, index = waiting.popleft()
            if index == _NO_ENTRY:
                continue
            if index >= len(self._entries) or index in seen:
                whole = whole and bool(folder)
                continue
            seen.add(index)
            entry = self._entries[index]
            path = (*folder, _name(entry))
            waiting.extendleft([(folder, _number(entry, 68)), (folder, _number(entry, 72))])  # left and right
            if entry[66] == _UNUSED:
                whole = whole and bool(folder)
                continue
            self._paths.setdefault(path, entry)
            if entry[66] == _STORAGE:
                self._storages.setdefault(folder, []).append(path[-1])
                if len(path) < _DEEPEST:
                    waiting.append((path, _number(entry, 76)))
        return whole

    def _content(self, entry: bytes) -> bytes:
        length = _number(entry, 120)
        if length >= _number(self._data, 56):
            return _follow(self._data, _number(entry, 116), self._table, self._size, self._size, length)
        if self._small is None:
            root, packed = self._entries[0], _follow(self._data, _number(self._data, 60), self._table, self._size, self._size)
            chains = struct.unpack(f"<{len(packed) // 4}I", packed[: len(packed) // 4 * 4])
            self._small = _follow(self._data, _number(root, 116), self._table, self._size, self._size), list(chains)
        small, table = self._small
        return _follow(small, _number(entry, 116), table, _SMALL_SECTOR, 0, length)


def _lower(path: _Path) -> _Path:
    return tuple(name.lower() for name in path)


def _number(block: bytes, offset: int) -> int:
    return int.from_bytes(block[offset : offset + 4], "little")


def _name(entry: bytes) -> str:
    length = int.from_bytes(entry[64:66], "little")
    return entry[: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace").lower()


def _allocation(data: bytes, size: int) -> tuple[list[int], bool]:
    """For each sector the one that follows it in its chain, and whether the whole table is in the file."""
    places = [_number(data, 76 + 4 * index) for index in range(_IN_HEADER)]
    more, seen = _number(data, 68), set[int]()
    while more < _LAST_SECTOR and more not in seen:
        seen.add(more)
        block = data[(more + 1) * size : (more + 2) * size]
        if len(block) < size:
            break
        *numbers, more = struct.unpack(f"<{size // 4}I", block)
        places += numbers
    table: list[int] = []
    for place in places:
        if place >= _LAST_SECTOR:
            return table, True
        block = data[(place + 1) * size : (place + 2) * size]
        if len(block) < size:
            return table, False
        table += struct.unpack(f"<{size // 4}I", block)
    return table, more >= _LAST_SECTOR


def _follow(data: bytes, sector: int, table: list[int], size: int, first: int, length: int | None = None) -> bytes:
    """The sectors of a chain, the sector 0 at `first`; up to `length` bytes where it is given."""
    most = len(table) if length is None else min(len(table), -(-length // size))
    found: list[bytes] = []
    while sector < len(table) and len(found) < most:
        found.append(data[first + sector * size : first + (sector + 1) * size])
        sector = table[sector]
    return b"".join(found)[:length]

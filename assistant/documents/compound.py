"""The directory of a compound file ([MS-CFB]), the container of Office files before 2007 and of encrypted ones since."""

import struct
from collections.abc import Iterator

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENTRY = 128
_NO_ENTRY = 0xFFFFFFFF
_LAST_SECTOR = 0xFFFFFFFA
"""Greater numbers end a chain, or mark a sector that holds a table."""
_IN_HEADER = 109
"""Sectors of the allocation table that the header names; more are in sectors of their own."""
_MOST_ENTRIES = 100_000
_ROOT, _UNUSED, _STREAM = 5, 0, 2
_SMALL_SECTOR = 64


def root_names(data: bytes) -> set[str] | None:
    """The names of the streams and storages right below the root, in small letters, since [MS-CFB] 2.6.4 compares them without case.

    None where there is no directory. Where its tree is broken, the names of all entries: some programs do not write one.
    """
    entries = list(_entries(data))
    if not entries or entries[0][66] != _ROOT:
        return None
    names: set[str] = set()
    seen: set[int] = set()
    waiting = [_number(entries[0], 76)]
    while waiting:
        index = waiting.pop()
        if index == _NO_ENTRY:
            continue
        if index >= len(entries) or index in seen or entries[index][66] == _UNUSED:
            return {_name(entry) for entry in entries[1:] if entry[66] != _UNUSED}
        seen.add(index)
        names.add(_name(entries[index]))
        waiting += [_number(entries[index], 68), _number(entries[index], 72)]  # left and right
    return names


def _number(block: bytes, offset: int) -> int:
    return int.from_bytes(block[offset : offset + 4], "little")


def _name(entry: bytes) -> str:
    length = int.from_bytes(entry[64:66], "little")
    return entry[: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace").lower()


def _entries(data: bytes) -> Iterator[bytes]:
    """The entries of the directory in their order, as far as its chain of sectors goes."""
    shift = int.from_bytes(data[30:32], "little")
    if not data.startswith(MAGIC) or shift not in {9, 12}:
        return
    size, found = 1 << shift, 0
    table = _allocation(data, size)
    sector, seen = _number(data, 48), set[int]()
    while sector < _LAST_SECTOR and sector not in seen and found < _MOST_ENTRIES:
        seen.add(sector)
        start = (sector + 1) * size
        for offset in range(start, min(start + size, len(data) - _ENTRY + 1), _ENTRY):
            yield data[offset : offset + _ENTRY]
            found += 1
        sector = table[sector] if sector < len(table) else _NO_ENTRY


def _allocation(data: bytes, size: int) -> list[int]:
    """For each sector the one that follows it in its chain."""
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
        block = data[(place + 1) * size : (place + 2) * size] if place < _LAST_SECTOR else b""
        if len(block) < size:
            break
        table += struct.unpack(f"<{size // 4}I", block)
    return table


def read_stream(data: bytes, name: str) -> bytes:
    """The content of the first stream of that name (in small letters); empty where there is none. Its chain may end early."""
    shift = int.from_bytes(data[30:32], "little")
    entries = list(_entries(data))
    found = next((entry for entry in entries if entry[66] == _STREAM and _name(entry) == name), None)
    if found is None:
        return b""
    size, table = 1 << shift, _allocation(data, 1 << shift)
    length = _number(found, 120)
    if length >= _number(data, 56):
        return _follow(data, _number(found, 116), table, size, size)[:length]
    small = _follow(data, _number(entries[0], 116), table, size, size)
    packed = _follow(data, _number(data, 60), table, size, size)
    chains = struct.unpack(f"<{len(packed) // 4}I", packed[: len(packed) // 4 * 4])
    return _follow(small, _number(found, 116), list(chains), _SMALL_SECTOR, 0)[:length]


def _follow(data: bytes, sector: int, table: list[int], size: int, first: int) -> bytes:
    """The sectors of a chain, the first one at `first`."""
    found: list[bytes] = []
    while sector < len(table) and len(found) <= len(table):
        found.append(data[first + sector * size : first + (sector + 1) * size])
        sector = table[sector]
    return b"".join(found)

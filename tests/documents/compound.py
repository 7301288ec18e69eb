"""Compound files (MS-CFB) from their streams, for tests: every stream is padded to the size that needs no mini stream."""

import struct
from dataclasses import dataclass, field

_SECTOR, _LEAST = 512, 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
Tree = dict[str, "bytes | Tree"]


@dataclass
class _Entry:
    name: str
    kind: int
    data: bytes = b""
    child: int = _FREE
    right: int = _FREE
    start: int = _END
    kids: list[int] = field(default_factory=list[int])


def compound(streams: Tree) -> bytes:
    """A file of streams and of storages within each other."""
    entries = [_Entry("Root Entry", 5)]
    _collect(entries, 0, streams)
    for entry in entries:
        for one, other in zip(entry.kids, entry.kids[1:], strict=False):
            entries[one].right = other
        entry.child = entry.kids[0] if entry.kids else _FREE
    entries += [_Entry("", 0) for _ in range(-len(entries) % 4)]
    chains: list[int] = []
    body = b""
    for entry in (entry for entry in entries if entry.kind == 2):
        entry.start = len(chains)
        entry.data = entry.data.ljust(_LEAST, b"\0")
        sectors = -(-len(entry.data) // _SECTOR)
        chains += [*range(entry.start + 1, entry.start + sectors), _END]
        body += entry.data.ljust(sectors * _SECTOR, b"\0")
    directory = len(chains)
    count = len(entries) // 4
    chains += [*range(directory + 1, directory + count), _END]
    body += b"".join(map(_pack, entries))
    fat = len(chains)
    tables = 1
    while (len(chains) + tables) * 4 > tables * _SECTOR:
        tables += 1
    chains += [_FAT] * tables
    chains += [_FREE] * (tables * _SECTOR // 4 - len(chains))
    places = [*range(fat, fat + tables), *[_FREE] * (109 - tables)]
    head = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII109I",
        *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, tables, directory, 0, _LEAST, _END, 0, _END, 0),
        *places,
    )
    return head + body + struct.pack(f"<{len(chains)}I", *chains)


def _collect(entries: list[_Entry], parent: int, streams: Tree) -> None:
    for name, content in streams.items():
        place = len(entries)
        entries[parent].kids.append(place)
        if isinstance(content, bytes):
            entries.append(_Entry(name, 2, content))
        else:
            entries.append(_Entry(name, 1))
            _collect(entries, place, content)


def _pack(entry: _Entry) -> bytes:
    name = entry.name.encode("utf-16-le")
    size = len(name) + 2 if entry.name else 0
    numbers = (size, entry.kind, 1, _FREE, entry.right, entry.child)
    return struct.pack("<64sHBBIII16x4x8x8xIQ", name, *numbers, entry.start if entry.kind == 2 else 0, len(entry.data))

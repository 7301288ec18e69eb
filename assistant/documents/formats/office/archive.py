"""Office files as archives: every part is inflated once and counted while it inflates, before any library sees it."""

import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from assistant.documents.protocol import MIB, ReadLimits, damaged, too_large

_PIECE = 256 * 1024
_HEAD = 30
"""Bytes of a local header before the name."""
_DOCTYPES = tuple("<!DOCTYPE".encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be"))
"""What begins a document type declaration, which only attacks put into Office Open XML."""
_LONGEST_MARK = max(map(len, _DOCTYPES))


class OfficeArchive:
    """The parts of an Office file that keeps to the limits."""

    def __init__(
        self, data: bytes, limits: ReadLimits, *, what: str, streamed: Callable[[str], bool] = lambda _: False, document_types: bool = False
    ) -> None:
        """`what` the file should be: "a Word document". `streamed`: which parts are never held as a tree and may be large.

        `document_types`: whether XML parts may declare them, which Office Open XML forbids.

        Raises FileRefused: not an archive, or one that inflates beyond the limits, whatever its directory says about itself.
        """
        self._data, self._limits, self._what, self._streamed, self._document_types = data, limits, what, streamed, document_types
        try:
            self.zip = ZipFile(BytesIO(data))  # for libraries that take one; its parts are counted before they can
        except (BadZipFile, ValueError) as error:
            raise damaged(what) from error
        entries = self.zip.infolist()
        if len(entries) > limits.archive_entries:
            raise too_large(f"has more than {limits.archive_entries:,} parts inside.")
        self._entries = {entry.filename.replace("\\", "/").lstrip("/").lower(): entry for entry in entries}
        left = limits.archive_mib * MIB
        for entry in entries:
            left -= self._measure(entry, left)

    def part(self, name: str) -> bytes | None:
        """The bytes of a part, whose name is compared without regard to case; None where there is none."""
        entry = self._entries.get(name.lower())
        if entry is None:
            return None
        try:
            return self.zip.read(entry)
        except (BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
            raise damaged(self._what) from error

    def _measure(self, entry: ZipInfo, left: int) -> int:
        """The size of a part, by inflating it. Its entry may lie about it, and other readers may believe the stream instead."""
        name, size, end = entry.filename.lower(), 0, b""
        tree, parsed = not self._streamed(name), name.endswith((".xml", ".rels", ".vml"))
        for piece in self._inflate(entry):
            size += len(piece)
            if size > left:
                raise too_large(f"unpacks to more than {self._limits.archive_mib} MiB (documents.archiveMib).")
            if tree and parsed and size > self._limits.archive_part_mib * MIB:
                raise too_large(f"holds a part that unpacks to more than {self._limits.archive_part_mib} MiB.")
            if tree and size > MIB and size > self._limits.archive_ratio * max(1, entry.compress_size):
                raise too_large("unpacks to far more than its size, as only harmful files do.")
            window = end + piece
            if parsed and not self._document_types and any(mark in window for mark in _DOCTYPES):
                raise damaged(self._what)
            end = window[-_LONGEST_MARK:]
        return size

    def _inflate(self, entry: ZipInfo) -> Iterator[bytes]:
        packed = self._packed(entry)
        if entry.compress_type == ZIP_STORED:
            yield bytes(packed)
        elif entry.compress_type == ZIP_DEFLATED:
            inflate = zlib.decompressobj(-15)
            try:
                while packed and not inflate.eof:
                    yield inflate.decompress(packed, _PIECE)
                    packed = memoryview(inflate.unconsumed_tail)
            except zlib.error as error:
                raise damaged(self._what) from error
        else:
            raise damaged(self._what)

    def _packed(self, entry: ZipInfo) -> memoryview:
        start = entry.header_offset
        head = self._data[start : start + _HEAD]
        if len(head) < _HEAD or head[:4] != b"PK\x03\x04":
            raise damaged(self._what)
        start += _HEAD + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        return memoryview(self._data)[start : start + entry.compress_size]

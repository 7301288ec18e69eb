"""Office files: the archive, inflated under limits; relationships between parts; XML elements by their local names.

Names are compared without namespaces, the only difference between the strict and the transitional standard.
"""

# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (lxml declares no types; `XmlElement` says what is used of it.)

import posixpath
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from typing import Any, Protocol, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from lxml import etree

from assistant.documents.protocol import MIB, FileRefused, ReadLimits, damaged, too_large

_PARSER = etree.XMLParser(resolve_entities=False, collect_ids=False)
"""Like the libraries' own: fetches nothing, resolves no entities, limits depth and amplification. Nothing here looks elements up by their xml:id, and
some programs write one twice, which is no error then."""
_ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_UNDERSTOOD = re.compile(
    r"https?://(?:schemas\.openxmlformats\.org|purl\.oclc\.org/ooxml)/|urn:schemas-microsoft-com:|"
    r"http://schemas\.microsoft\.com/office/(?:word/20\d\d/word(?!processingInk)|excel/20|spreadsheetml/20|"
    r"drawing/(?!20\d\d/(?:ink|model3d|slicer|timeslicer)))"
)
"""Namespaces whose words are found here by their local names; not those of ink, 3D models, slide zooms."""
_PIECE = 256 * 1024
_FED = 64 * 1024
"""Bytes that are inflated at a time: what they leave is copied for each piece."""
_KEPT = 10
"""What part of the memory may hold parts that were inflated to be measured, until they are read."""
_HEAD = 30
"""Bytes of a local file header before the name."""
_DOCTYPES = tuple("<!DOCTYPE".encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be"))
"""Starts of a document type declaration, which Office Open XML forbids and only attacks contain."""
_TREES = (".xml", ".rels", ".vml")
_BOOK_TREES = (*_TREES, ".xhtml", ".html", ".htm", ".opf")
"""Endings of the parts that are parsed; those of web pages in e-books, too."""
_UNREAD = ("docprops/app.xml", "customxml/")
"""Starts of the names of parts that no reader looks into: data of other programs, statistics with the names of all fonts and macros."""
_LONGEST_MARK = max(map(len, _DOCTYPES))


class OfficeArchive:
    """The parts of an Office file, checked against the limits."""

    def __init__(
        self,
        data: bytes,
        limits: ReadLimits,
        *,
        what: str,
        streamed: Callable[[str], object] = lambda _: False,
        document_types: bool = False,
    ) -> None:
        """`what` the file should be: "a Word document". `streamed`: whether a part is never parsed into a tree and so may be large.

        `document_types`: whether XML parts may declare one. Raises FileRefused for a file that is no archive or inflates beyond the limits.
        """
        self._data, self._limits, self._what, self._streamed, self._document_types = data, limits, what, streamed, document_types
        try:
            self.zip = ZipFile(BytesIO(data))  # for libraries, after all parts are measured
        except (BadZipFile, ValueError) as error:
            raise damaged(what) from error
        entries = self.zip.infolist()
        if len(entries) > limits.archive_entries:
            raise too_large(f"has more than {limits.archive_entries:,} parts inside.")
        self._entries = {entry.filename.replace("\\", "/").lstrip("/").lower(): entry for entry in entries}
        self._kept: dict[int, bytes] = {}
        self._room = limits.memory_mib * MIB // _KEPT
        left = limits.archive_mib * MIB
        for entry in entries:
            left -= self._measure(entry, left)

    def has(self, name: str) -> bool:
        return posixpath.normpath(name).lstrip("/").lower() in self._entries

    def part(self, name: str) -> bytes | None:
        """The bytes of a part by its case-insensitive name; None where it is missing."""
        entry = self._entries.get(name.lower())
        if entry is None:
            return None
        kept = self._kept.pop(entry.header_offset, b"")
        try:
            with self.zip.open(entry) as opened:  # compares both headers
                return kept if len(kept) == entry.file_size and zlib.crc32(kept) == entry.CRC else opened.read()
        except (BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
            raise damaged(self._what) from error

    def _measure(self, entry: ZipInfo, left: int) -> int:
        """The size of a part, by inflating it: the size in the directory may be false."""
        name, size, end = entry.filename.lower(), 0, b""
        tree = not self._streamed(name) and not name.startswith(_UNREAD)
        parsed = name.endswith(_BOOK_TREES if self._document_types else _TREES)
        pieces: list[bytes] = []
        for piece in self._inflate(entry):
            size += len(piece)
            if size <= self._room:
                pieces.append(piece)
            else:
                pieces.clear()
            if size > left:
                raise too_large(f"unpacks to more than {self._limits.archive_mib} MiB (documents.archiveMib).")
            if tree and parsed and size > self._limits.archive_part_mib * MIB:
                raise too_large(f"holds a part that unpacks to more than {self._limits.archive_part_mib} MiB.")
            if tree and parsed and size > MIB and size > self._limits.archive_ratio * max(1, entry.compress_size):
                raise too_large("unpacks to far more than its size, as only harmful files do.")
            window = end + piece
            if parsed and not self._document_types and any(mark in window for mark in (_DOCTYPES if b"\0" in window else _DOCTYPES[:1])):
                raise damaged(self._what)
            end = window[-_LONGEST_MARK:]
        if pieces:
            self._kept[entry.header_offset] = b"".join(pieces)
            self._room -= size
        return size

    def _inflate(self, entry: ZipInfo) -> Iterator[bytes]:
        packed = self._packed(entry)
        if entry.compress_type == ZIP_STORED:
            yield bytes(packed)
        elif entry.compress_type == ZIP_DEFLATED:
            inflate = zlib.decompressobj(-15)
            try:
                for start in range(0, len(packed), _FED):
                    fed: memoryview | bytes = packed[start : start + _FED]
                    while fed and not inflate.eof:
                        yield inflate.decompress(fed, _PIECE)
                        fed = inflate.unconsumed_tail
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


class XmlElement(Protocol):
    """The used subset of an lxml element."""

    tag: object
    text: str | None
    tail: str | None
    nsmap: Mapping[str | None, str]

    def __iter__(self) -> Iterator["XmlElement"]: ...
    def get(self, key: str, /) -> str | None: ...
    def items(self) -> Iterable[tuple[str, str]]: ...
    def iter(self, tag: str = ..., /) -> Iterator["XmlElement"]: ...
    def getparent(self) -> "XmlElement | None": ...
    def addprevious(self, element: "XmlElement", /) -> None: ...
    def remove(self, element: "XmlElement", /) -> None: ...
    def getroottree(self) -> Any: ...


class OfficeRelation(Protocol):
    """A relationship to another part or to an address outside the file."""

    @property
    def is_external(self) -> bool: ...
    @property
    def reltype(self) -> str: ...
    @property
    def target_ref(self) -> str: ...
    @property
    def target_part(self) -> "OfficePart": ...


class OfficePart(Protocol):
    """A part (`opc.OpcPart`): its bytes, and its relationships by id."""

    @property
    def blob(self) -> bytes: ...
    @property
    def rels(self) -> Mapping[str, OfficeRelation]: ...


@contextmanager
def opening(what: str) -> Generator[None]:
    """Turns a library's errors into FileRefused. `what` the file should be: "a Word document"."""
    try:
        yield
    except etree.XMLSyntaxError as error:
        if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from error
        raise damaged(what) from error
    except (BadZipFile, zlib.error, EOFError) as error:
        raise damaged(what) from error
    except (KeyError, ValueError) as error:  # missing or untyped parts, strict relationships
        words = "parts of it are missing, or it is a Strict one. Open it in Office, save it anew in the usual format and send that."
        raise FileRefused(f"can't be read as {what}: {words}") from error


def related(source: OfficePart, kind: str) -> list[OfficePart]:
    """The parts related by one kind of relationship, the last segment of its type: "comments"."""
    return [item.target_part for item in source.rels.values() if item.reltype.rpartition("/")[2] == kind and not item.is_external]


def target(source: OfficePart, identity: str, what: str) -> XmlElement | None:
    """The prepared root of the part that a relationship points to; None where there is none."""
    relation = source.rels.get(identity)
    return None if relation is None or relation.is_external else parse(relation.target_part.blob, what)


def blob(source: OfficePart, identity: str) -> bytes | None:
    """The bytes of the part that a relationship points to; None where there is none."""
    relation = source.rels.get(identity)
    return None if relation is None or relation.is_external else relation.target_part.blob


def address(source: OfficePart, identity: str) -> str:
    """The external address of a relationship; "" where there is none."""
    relation = source.rels.get(identity)
    return relation.target_ref if relation is not None and relation.is_external else ""


def parse(data: bytes, what: str) -> XmlElement:
    """The prepared root of an XML part. Raises FileRefused for malformed XML."""
    with opening(what):
        return ready(cast("XmlElement", etree.fromstring(data, _PARSER)), what)


def tree(part: OfficePart, what: str) -> XmlElement:
    """The prepared root of a part."""
    return parse(part.blob, what)


def ready(root: XmlElement, what: str) -> XmlElement:
    """The root with each AlternateContent replaced by the alternative to read. Raises FileRefused for a document type declaration."""
    if root.getroottree().docinfo.internalDTD is not None:
        raise damaged(what)
    for element in list(root.iter(_ALTERNATIVES)):
        parent = element.getparent()
        if parent is None:
            continue
        for item in list(_alternative(element) or ()):
            element.addprevious(item)
        parent.remove(element)
    return root


def _alternative(element: XmlElement) -> XmlElement | None:
    """The first Choice whose namespaces are understood, else the Fallback (ECMA-376 Part 3, 7.6); the first Choice where there is neither."""
    choices = list(children(element, "Choice"))
    for choice in choices:
        needed = attribute(choice, "Requires").split()
        if needed and all(_UNDERSTOOD.match(choice.nsmap.get(prefix, "")) for prefix in needed):
            return choice
    fallback = child(element, "Fallback")
    return fallback if fallback is not None else choices[0] if choices else None


def local(element: XmlElement) -> str:
    """An element's name without its namespace; "" for comments and instructions."""
    tag = element.tag
    return _bare(tag) if isinstance(tag, str) else ""


@lru_cache(maxsize=1_024)
def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


def attribute(element: XmlElement | None, name: str, default: str = "") -> str:
    """An attribute's value, whatever its namespace."""
    if element is None:
        return default
    plain = element.get(name)
    if plain is not None:
        return plain
    return next((value for key, value in element.items() if key.endswith("}" + name)), default)


def reference(element: XmlElement, name: str = "id") -> str:
    """The relationship id of an element (r:id), never its own id."""
    return next((value for key, value in element.items() if key.endswith("}" + name)), "")


def child(element: XmlElement | None, *path: str) -> XmlElement | None:
    """The descendant along a path of names."""
    for name in path:
        if element is None:
            return None
        for item in element:
            if local(item) == name:
                element = item
                break
        else:
            return None
    return element


def children(element: XmlElement | None, name: str) -> Iterator[XmlElement]:
    return (item for item in element if local(item) == name) if element is not None else iter(())


def descendants(element: XmlElement | None, name: str) -> Iterator[XmlElement]:
    """All elements of that name, in document order."""
    return (item for item in element.iter() if local(item) == name) if element is not None else iter(())


def is_on(element: XmlElement | None) -> bool:
    """Whether a switch such as <w:b/> or <w:b w:val="0"/> is on."""
    return element is not None and attribute(element, "val", "1") not in {"0", "false", "off", "none"}

"""The parts of an Office file and how they point to each other (Open Packaging Conventions, ECMA-376 Part 2), read as needed.

A part that is missing, or whose relationships are malformed, is as if nothing pointed to it: what is there is still read.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from assistant.documents.formats.office.package import OfficeArchive, OfficePart, attribute, children, parse, related
from assistant.documents.protocol import FileRefused, damaged


@dataclass(frozen=True, slots=True)
class OpcRelation:
    """A relationship of an `OpcPart`."""

    is_external: bool
    reltype: str
    target_ref: str
    target_part: OfficePart


class OpcPart:
    """One part of a file; the package itself has the name ""."""

    def __init__(self, archive: OfficeArchive, name: str, what: str) -> None:
        self._archive, self._what = archive, what
        self.name = name
        self._rels: dict[str, OpcRelation] | None = None

    @property
    def blob(self) -> bytes:
        return self._archive.part(self.name) or b""

    @property
    def rels(self) -> Mapping[str, OpcRelation]:
        """The relationships whose targets exist, by id."""
        if self._rels is None:
            self._rels = self._read_relations()
        return self._rels

    def _read_relations(self) -> dict[str, OpcRelation]:
        folder, name = posixpath.split(self.name)
        data = self._archive.part(posixpath.join(folder, "_rels", f"{name}.rels"))
        try:
            root = parse(data, self._what) if data else None
        except FileRefused:
            return {}
        found: dict[str, OpcRelation] = {}
        for item in children(root, "Relationship"):
            reference, outside = attribute(item, "Target"), attribute(item, "TargetMode") == "External"
            part = self if outside else self._resolve(folder, reference)
            if part is not None:
                found[attribute(item, "Id")] = OpcRelation(outside, attribute(item, "Type"), reference, part)
        return found

    def _resolve(self, folder: str, reference: str) -> "OpcPart | None":
        path = posixpath.normpath(posixpath.join("/", folder, reference.replace("\\", "/").partition("#")[0])).lstrip("/")
        name = next((name for name in (path, unquote(path)) if self._archive.has(name)), None)
        return None if name is None else OpcPart(self._archive, name, self._what)


def main_part(archive: OfficeArchive, usual: str, what: str) -> OfficePart:
    """The part with the document itself. `usual`: its name where the package does not say.

    Raises FileRefused where there is none.
    """
    found = related(OpcPart(archive, "", what), "officeDocument")
    if found:
        return found[0]
    if not archive.has(usual):
        raise damaged(what)
    return OpcPart(archive, usual, what)

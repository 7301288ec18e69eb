"""Office files as libraries want them: every relationship leads to a part, and every part has a content type.

A document that lacks a picture opens in Office, and python-docx and python-pptx refuse it.
"""

# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (lxml declares no types.)

import posixpath
import warnings
from io import BytesIO
from typing import cast
from urllib.parse import unquote
from zipfile import ZIP_DEFLATED, ZipFile

from lxml import etree

from assistant.documents.formats.office.package import OfficeArchive, XmlElement, attribute, child, children, opening, parse

_TYPES = "[Content_Types].xml"
_UNKNOWN = "application/octet-stream"


def openable(data: bytes, archive: OfficeArchive, what: str) -> BytesIO:
    """The file without relationships to parts that it lacks, and with a content type for each part. `what` the file should be."""
    replaced = {name: part for name in archive.names if name.lower().endswith(".rels") and (part := _relations(archive, name, what))}
    if types := _types(archive, what):
        replaced[_TYPES] = types
    target = BytesIO(data)
    if replaced:
        with opening(what), warnings.catch_warnings(), ZipFile(target, "a", ZIP_DEFLATED) as copy:
            warnings.simplefilter("ignore")  # of two parts with one name, the last one counts
            for name, part in replaced.items():
                copy.writestr(name, part)
        target.seek(0)
    return target


def _relations(archive: OfficeArchive, name: str, what: str) -> bytes | None:
    """The part without its relationships to missing parts; None where there are none."""
    root = parse(archive.part(name) or b"", what)
    folder = posixpath.dirname(posixpath.dirname(name))
    changed = False
    for item in list(children(root, "Relationship")):
        target = attribute(item, "Target")
        if attribute(item, "TargetMode") == "External" or archive.has(posixpath.join("/", folder, unquote(target).partition("#")[0])):
            continue
        root.remove(item)
        changed = True
    return _packed(root) if changed else None


def _types(archive: OfficeArchive, what: str) -> bytes | None:
    """The content types with those of parts that have none; None where all have one."""
    found = archive.part(_TYPES)
    if found is None:
        return None
    root = parse(found, what)
    typed = {attribute(item, "PartName").lower().lstrip("/") for item in children(root, "Override")}
    known = {attribute(item, "Extension").lower() for item in children(root, "Default")}
    first = child(root, "Default") or child(root, "Override")
    missing = {name.rpartition(".")[2].lower() for name in archive.names if name.lower() not in typed} - known
    missing -= {extension for extension in missing if "/" in extension}
    if not missing or first is None:
        return None
    for extension in sorted(missing):
        tag = str(first.tag).replace("Override", "Default")
        first.addprevious(cast("XmlElement", etree.Element(tag, Extension=extension, ContentType=_UNKNOWN)))
    return _packed(root)


def _packed(root: XmlElement) -> bytes:
    return etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8", standalone=True)

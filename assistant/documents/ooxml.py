"""Office Open XML as far as Word, Excel and PowerPoint share it: parts, relationships, elements by their local names.

Names are compared without their namespaces, because the strict and the transitional standard differ in nothing else.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote

# The standard library's parser suits hostile files here: no external entities, amplification by entities is refused, nesting is no recursion.
from xml.etree import ElementTree
from xml.parsers.expat import errors as expat_errors

from assistant.documents.archive import Archive
from assistant.documents.refusals import damaged

Element = ElementTree.Element
_NO_MEMORY = expat_errors.codes[expat_errors.XML_ERROR_NO_MEMORY]
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Where a part points: at another part, or out of the file."""

    kind: str
    """The last word of its type: "hyperlink", "image", "footnotes"."""
    target: str
    """A part's name, or an address where it is external."""
    external: bool


class Package:
    """An Office file, as parts that refer to each other."""

    def __init__(self, archive: Archive, what: str) -> None:
        self.archive = archive
        self._what = what

    def tree(self, name: str) -> Element | None:
        """The root of an XML part; None where there is no such part. Raises Refused for broken XML."""
        data = self.archive.part(name)
        return None if data is None else self.parse(data)

    def parse(self, data: bytes) -> Element:
        if _DOCTYPE.search(data[:4096]):  # the standard forbids it, and only attacks need it
            raise damaged(self._what)
        try:
            return ElementTree.fromstring(data)  # noqa: S314
        except ElementTree.ParseError as error:
            if error.code == _NO_MEMORY:
                raise MemoryError from error
            raise damaged(self._what) from error
        except (ValueError, LookupError) as error:  # an encoding that Python does not know
            raise damaged(self._what) from error

    def relations(self, name: str) -> dict[str, Relation]:
        """The relationships of a part by their ids; those of the package for ""."""
        folder, base = posixpath.split(name)
        root = self.tree(posixpath.join(folder, "_rels", f"{base}.rels"))
        found: dict[str, Relation] = {}
        for element in root if root is not None else ():
            target, external = element.get("Target", ""), element.get("TargetMode") == "External"
            if not external:
                target = posixpath.normpath(posixpath.join("/", folder, unquote(target)))[1:]
            found[element.get("Id", "")] = Relation(kind=element.get("Type", "").rpartition("/")[2], target=target, external=external)
        return found

    def related(self, name: str, kind: str) -> list[str]:
        """The names of the parts that a part points at by one kind of relationship."""
        return [item.target for item in self.relations(name).values() if item.kind == kind and not item.external]

    def main(self, fallback: str) -> str:
        """The name of the part that is the document itself."""
        return next((name for name in self.related("", "officeDocument") if self.archive.part(name) is not None), fallback)


def local(element: Element) -> str:
    """An element's name without its namespace; "" for comments and instructions."""
    tag = cast("object", element.tag)  # declared as text, but comments have a function there
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element | None, name: str, default: str = "") -> str:
    """An attribute's value, whatever its namespace."""
    if element is None:
        return default
    plain = element.get(name)
    if plain is not None:
        return plain
    return next((value for key, value in element.items() if key.endswith("}" + name)), default)


def reference(element: Element, name: str = "id") -> str:
    """The id of the relationship that an element stands for (r:id), which is never its own id."""
    return next((value for key, value in element.items() if key.endswith("}" + name)), "")


def child(element: Element | None, *path: str) -> Element | None:
    """The first descendant along a path of names."""
    for name in path:
        if element is None:
            return None
        element = next((item for item in element if local(item) == name), None)
    return element


def children(element: Element | None, name: str) -> Iterator[Element]:
    return (item for item in element if local(item) == name) if element is not None else iter(())


def descendants(element: Element | None, name: str) -> Iterator[Element]:
    """All elements of that name, in document order."""
    return (item for item in element.iter() if local(item) == name) if element is not None else iter(())


def is_on(element: Element | None) -> bool:
    """Whether a switch such as <w:b/> or <w:b w:val="0"/> is on."""
    return element is not None and attribute(element, "val", "1") not in {"0", "false", "off", "none"}


def alternatives(element: Element) -> Element | None:
    """What to read of an AlternateContent: the first choice, which its fallback only repeats for older programs."""
    choice = child(element, "Choice")
    return choice if choice is not None else child(element, "Fallback")

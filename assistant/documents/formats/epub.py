"""E-books (.epub): title and author, then the chapters in the order of the spine (EPUB 3.3, 5.7), each read as a web page."""

import posixpath
from urllib.parse import unquote

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.html import read as read_page
from assistant.documents.formats.markdown import NOTHING, DocumentBuilder, count
from assistant.documents.formats.office.package import OfficeArchive, XmlElement, attribute, child, children, descendants, parse
from assistant.documents.protocol import FileRefused, ReadLimits, damaged, encrypted

_WHAT = "an e-book"
_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml", ""})
_FONTS = (b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC")
"""Algorithms that only garble fonts."""


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    """Every chapter; one that is damaged or missing is named, and the others are read."""
    archive = OfficeArchive(data, limits, what=_WHAT, document_types=True)
    locked = archive.part("META-INF/encryption.xml") or b""
    if b"EncryptedData" in locked and not any(font in locked for font in _FONTS):
        raise encrypted()
    place = _package(archive)
    book = archive.part(place)
    if book is None:
        raise damaged(_WHAT)
    root = parse(book, _WHAT)
    items = {attribute(item, "id"): item for item in children(child(root, "manifest"), "item")}
    chapters = [items.get(attribute(entry, "idref")) for entry in children(child(root, "spine"), "itemref")]
    builder = DocumentBuilder(limits.text_chars)
    builder.add(_head(root))
    for number, item in enumerate(chapters, start=1):
        builder.begin(f"chapter {number}")
        builder.add(_chapter(archive, place, item, limits))
        if builder.full:
            break
    return builder.finish(name, facts=(count(len(chapters), "chapter"),))


def _package(archive: OfficeArchive) -> str:
    """The path of the package document."""
    container = archive.part("META-INF/container.xml")
    found = descendants(parse(container, _WHAT), "rootfile") if container else iter(())
    return next((unquote(attribute(item, "full-path")) for item in found), "content.opf")


def _head(root: XmlElement) -> str:
    about = child(root, "metadata")
    lines: list[str] = []
    for label, key in (("Title", "title"), ("Author", "creator"), ("Date", "date"), ("Description", "description")):
        words = "; ".join(" ".join((item.text or "").split()) for item in children(about, key) if item.text)
        lines += [f"{label}: {words}"] if words else []
    return "\n".join(lines)


def _chapter(archive: OfficeArchive, place: str, item: XmlElement | None, limits: ReadLimits) -> str:
    if item is None:
        return "(This chapter is missing.)"
    if attribute(item, "media-type") not in _PAGES:
        return "[Picture]" if attribute(item, "media-type").startswith("image/") else ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(attribute(item, "href").partition("#")[0])))
    page = archive.part(path)
    if page is None:
        return "(This chapter is missing.)"
    try:
        text = read_page(page, "html", limits).text
    except FileRefused:
        return "(This chapter is damaged.)"
    return "" if text == NOTHING else text

"""Word documents (.docx): everything visible on the pages, in order."""

from io import BytesIO
from typing import cast

from docx.package import Package

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder
from assistant.documents.formats.office.docx_styles import DocxNumbering, DocxStyles
from assistant.documents.formats.office.docx_walk import DocxBlock, DocxWalker
from assistant.documents.formats.office.package import (
    OfficeArchive,
    OfficePart,
    RelationSource,
    XmlElement,
    attribute,
    child,
    children,
    descendants,
    opening,
    related,
    tree,
)
from assistant.documents.protocol import ReadLimits, damaged

_WHAT = "a Word document"
_SEPARATORS = frozenset({"separator", "continuationSeparator", "continuationNotice"})


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    """Headers, body with text boxes, footers, notes, comments."""
    OfficeArchive(data, limits, what=_WHAT)
    main = _open(data)
    body = child(tree(main, _WHAT), "body")
    if body is None:
        raise damaged(_WHAT)
    styles = DocxStyles(_first(main, "styles"))
    walk = DocxWalker(main, styles, DocxNumbering(_first(main, "numbering")))
    builder = DocumentBuilder(limits.text_chars)
    for block in (*_edges(main, styles, "header"), *tighten(walk.blocks(body)), *_edges(main, styles, "footer")):
        builder.add(block)
    for block in (*_notes(main, walk, styles, "footnote"), *_notes(main, walk, styles, "endnote")):
        builder.add(block)
    builder.add("\n".join(_comments(main, walk, styles)))
    builder.split_at_headings()
    return builder.finish(name)


def tighten(blocks: list[DocxBlock]) -> list[str]:
    """The texts of blocks, with the items of a list as one text."""
    joined: list[str] = []
    tight = False
    for block in blocks:
        if block.item and tight:
            joined[-1] += f"\n{block.text}"
        else:
            joined.append(block.text)
        tight = block.item
    return joined


def _open(data: bytes) -> OfficePart:
    """The main part; also of templates, documents with macros and strict ones, which `docx.Document` refuses."""
    with opening(_WHAT):
        found = related(cast("RelationSource", Package.open(BytesIO(data))), "officeDocument")
    if not found:
        raise damaged(_WHAT)
    return found[0]


def _first(main: OfficePart, kind: str) -> XmlElement | None:
    return next((tree(part, _WHAT) for part in related(main, kind)), None)


def _edges(main: OfficePart, styles: DocxStyles, kind: str) -> list[str]:
    """The headers or footers, each text once."""
    texts = ("\n".join(tighten(DocxWalker(part, styles, DocxNumbering(None)).blocks(tree(part, _WHAT)))) for part in related(main, kind))
    return list(dict.fromkeys(f"{kind.capitalize()}: {text.strip()}" for text in texts if text.strip()))


def _notes(main: OfficePart, walk: DocxWalker, styles: DocxStyles, kind: str) -> list[str]:
    """Footnotes or endnotes, each with the mark used in the text."""
    lines: list[str] = []
    for part in related(main, f"{kind}s"):
        own = DocxWalker(part, styles, DocxNumbering(None))
        for note in children(tree(part, _WHAT), kind):
            words = "\n".join(tighten(own.blocks(note))).strip()
            if attribute(note, "type") not in _SEPARATORS and words:
                lines.append(f"{walk.note_mark(kind, attribute(note, 'id'))}: {words}")
    return lines


def _comments(main: OfficePart, walk: DocxWalker, styles: DocxStyles) -> list[str]:
    lines: list[str] = []
    for part in related(main, "comments"):
        own = DocxWalker(part, styles, DocxNumbering(None))
        for comment in descendants(tree(part, _WHAT), "comment"):
            words = " ".join(" ".join(tighten(own.blocks(comment))).split())
            about = " ".join(walk.commented(attribute(comment, "id")).split())
            author = attribute(comment, "author")
            shown = f"{about[:200]}…" if len(about) > 200 else about
            lines.append(f"- Comment{f' by {author}' if author else ''}{f' on “{shown}”' if shown else ''}: {words}")
    return lines

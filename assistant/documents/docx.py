"""Word documents (.docx): everything that a reader of the pages would see, in its order."""

from assistant.contracts.documents import ReadDocument
from assistant.documents.archive import Archive
from assistant.documents.docx_styles import Numbering, Styles
from assistant.documents.docx_walk import Block, Walk
from assistant.documents.draft import Draft
from assistant.documents.limits import Limits
from assistant.documents.ooxml import Element, Package, attribute, child, children, descendants
from assistant.documents.refusals import damaged

_WHAT = "a Word document"
_SEPARATORS = frozenset({"separator", "continuationSeparator", "continuationNotice"})


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    """Headers, the body with its text boxes, footers, notes, comments."""
    package = Package(Archive(data, limits, what=_WHAT), _WHAT)
    main = package.main("word/document.xml")
    root = package.tree(main)
    body = child(root, "body")
    if body is None:
        raise damaged(_WHAT)
    styles = Styles(_first(package, main, "styles"))
    walk = Walk(package, main, styles, Numbering(_first(package, main, "numbering")))
    draft = Draft(limits.text_chars)
    for block in _edges(package, main, styles, "header"):
        draft.add(block)
    for block in tighten(walk.blocks(body)):
        draft.add(block)
    for block in _edges(package, main, styles, "footer"):
        draft.add(block)
    for block in (*_notes(package, main, walk, styles, "footnote"), *_notes(package, main, walk, styles, "endnote")):
        draft.add(block)
    draft.add("\n".join(_comments(package, main, walk, styles)))
    draft.divide()
    return draft.finish(name)


def tighten(blocks: list[Block]) -> list[str]:
    """The blocks' texts, the items of one list joined without blank lines."""
    joined: list[str] = []
    tight = False
    for block in blocks:
        if block.item and tight:
            joined[-1] += f"\n{block.text}"
        else:
            joined.append(block.text)
        tight = block.item
    return joined


def _first(package: Package, main: str, kind: str) -> Element | None:
    return next((package.tree(name) for name in package.related(main, kind)), None)


def _edges(package: Package, main: str, styles: Styles, kind: str) -> list[str]:
    """The headers or footers, each text once: most sections repeat those before them."""
    texts: dict[str, None] = {}
    for part in package.related(main, kind):
        root = package.tree(part)
        if root is not None:
            words = "\n".join(tighten(Walk(package, part, styles, Numbering(None)).blocks(root))).strip()
            if words:
                texts[f"{kind.capitalize()}: {words}"] = None
    return list(texts)


def _notes(package: Package, main: str, walk: Walk, styles: Styles, kind: str) -> list[str]:
    """Footnotes or endnotes, under the marks that the text refers to them by."""
    lines: list[str] = []
    for part in package.related(main, f"{kind}s"):
        own = Walk(package, part, styles, Numbering(None))
        for note in children(package.tree(part), kind):
            words = "\n".join(tighten(own.blocks(note))).strip()
            if attribute(note, "type") not in _SEPARATORS and words:
                lines.append(f"{walk.note_mark(kind, attribute(note, 'id'))}: {words}")
    return lines


def _comments(package: Package, main: str, walk: Walk, styles: Styles) -> list[str]:
    lines: list[str] = []
    for part in package.related(main, "comments"):
        own = Walk(package, part, styles, Numbering(None))
        for comment in descendants(package.tree(part), "comment"):
            words = " ".join(" ".join(tighten(own.blocks(comment))).split())
            about = " ".join(walk.commented(attribute(comment, "id")).split())
            author = attribute(comment, "author")
            shown = f"{about[:200]}…" if len(about) > 200 else about
            lines.append(f"- Comment{f' by {author}' if author else ''}{f' on “{shown}”' if shown else ''}: {words}")
    return lines

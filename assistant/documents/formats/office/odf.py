"""OpenDocument texts (.odt) and presentations (.odp), ODF 1.3: headings, lists, tables, notes, comments, frames, slides."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder, count, table
from assistant.documents.formats.office.package import OfficeArchive, XmlElement, attribute, child, children, descendants, local, parse
from assistant.documents.formats.pictures import DocumentPictures
from assistant.documents.protocol import FileRefused, IllustratedDocument, ReadLimits, damaged, encrypted

_SKIPPED = frozenset(
    {"tracked-changes", "forms", "sequence-decls", "variable-decls", "user-field-decls", "covered-table-cell", "settings", "script"}
)
_SHAPES = frozenset(
    {"frame", "custom-shape", "rect", "ellipse", "circle", "line", "connector", "path", "polygon", "polyline", "regular-polygon", "caption"}
)
_ROWS = frozenset({"table-header-rows", "table-rows", "table-row-group"})
_IGNORED_CLASSES = frozenset({"page-number", "date-time", "header", "footer"})
_MAX_REPEATED = 60
"""Empty columns or cells that one element may stand for."""
_MAX_SPACES = 200


@dataclass(slots=True)
class _Inline:
    """One paragraph while it is read: its words, and the frames that follow it."""

    words: list[str] = field(default_factory=list[str])
    behind: list[str] = field(default_factory=list[str])


class OdfReader:
    """Reads the elements of a document's body."""

    def __init__(self, archive: OfficeArchive, pictures: DocumentPictures, *roots: XmlElement | None) -> None:
        """`roots`: of the parts that hold styles."""
        self._archive, self._pictures = archive, pictures
        self.notes: list[str] = []
        self.comments: list[str] = []
        styles = (style for root in roots for style in descendants(root, "list-style"))
        self._numbered = {
            (attribute(style, "name"), attribute(level, "level"))
            for style in styles
            for level in children(style, "list-level-style-number")
            if attribute(level, "num-format")
        }

    def blocks(self, element: XmlElement) -> list[str]:
        """The blocks of an element in order."""
        found: list[str] = []
        for item in element:
            match local(item):
                case "h":
                    level = attribute(item, "outline-level", "1")
                    marks = "#" * min(int(level), 6) if level.isdecimal() and level != "0" and len(level) < 4 else "#"
                    words, *behind = self._paragraph(item)
                    found += [f"{marks} {' '.join(words.split())}" if words.strip() else "", *behind]
                case "p":
                    found += self._paragraph(item)
                case "list":
                    found.append("\n".join(self._list(item, attribute(item, "style-name"), 0)))
                case "table":
                    found += self._table(item)
                case name if name in _SHAPES or name in {"g", "text-box"}:
                    found += self.shape(item)
                case name if name not in _SKIPPED:
                    found += self.blocks(item)
                case _:
                    pass
        return [block for block in found if block.strip()]

    def shape(self, element: XmlElement) -> list[str]:
        """The words of a frame or a drawn shape, else its description."""
        inner = [block for item in element if local(item) not in {"title", "desc"} for block in self._within(item)]
        if inner:
            return inner
        described = (child(element, name) for name in ("desc", "title"))
        words = next((" ".join((item.text or "").split()) for item in described if item is not None and item.text), "")
        if (image := child(element, "image")) is not None:
            return [self._pictures.mark(self._archive.part(attribute(image, "href").removeprefix("./")), words)]
        return [f"[Picture: {words}]"] if words else []

    def _within(self, item: XmlElement) -> list[str]:
        match local(item):
            case "text-box" | "g":
                return self.blocks(item)
            case "table":
                return self._table(item)
            case "p":
                return [words for words in self._paragraph(item) if words.strip()]
            case "list":
                return ["\n".join(self._list(item, attribute(item, "style-name"), 0))]
            case name if name in _SHAPES:
                return self.shape(item)
            case _:
                return []

    def _paragraph(self, element: XmlElement) -> list[str]:
        """The words of a paragraph, then what is anchored in it."""
        inline = _Inline()
        self._inline(element, inline)
        return ["".join(inline.words).strip(), *inline.behind]

    def _inline(self, element: XmlElement, into: _Inline) -> None:
        into.words.append(_spaced(element.text))
        for item in element:
            match local(item):
                case "s":
                    number = attribute(item, "c", "1")
                    into.words.append(" " * min(int(number), _MAX_SPACES) if number.isdecimal() and len(number) < 5 else " ")
                case "tab":
                    into.words.append("\t")
                case "line-break":
                    into.words.append("\n")
                case "a":
                    start = len(into.words)
                    self._inline(item, into)
                    self._link(attribute(item, "href"), into, start)
                case "note":
                    into.words.append(self._note(item))
                case "annotation":
                    self.comments.append(f"- Comment{self.comment(item)}")
                case "ruby":
                    self._inline(item, into)
                case "ruby-text":
                    into.words.append(f"({item.text})" if item.text else "")
                case name if name in _SHAPES or name == "g":
                    shape = self.shape(item)
                    into.words += shape if len(shape) == 1 and shape[0].startswith("[Picture") else []
                    into.behind += [] if len(shape) == 1 and shape[0].startswith("[Picture") else shape
                case "" | "annotation-end" | "bookmark" | "title" | "desc":
                    pass
                case name if name not in _SKIPPED:
                    self._inline(item, into)
                case _:
                    pass
            into.words.append(_spaced(item.tail))

    def _link(self, address: str, into: _Inline, start: int) -> None:
        words = "".join(into.words[start:])
        if words.strip() and address.lower().startswith(("http:", "https:", "mailto:", "ftp:")):
            into.words[start:] = [f"[{words.strip()}]({address})"]

    def _note(self, element: XmlElement) -> str:
        mark = f"[^{'e' if attribute(element, 'note-class') == 'endnote' else ''}{len(self.notes) + 1}]"
        place = len(self.notes)
        self.notes.append("")
        body = child(element, "note-body")
        self.notes[place] = f"{mark}: {chr(10).join(self.blocks(body) if body is not None else ())}"
        return mark

    def comment(self, element: XmlElement) -> str:
        """The author, where there is one, and the words: " by Ann: check this"."""
        author = child(element, "creator")
        words = " ".join(" ".join(self.blocks(element)).split())
        by = f" by {author.text}" if author is not None and author.text else ""
        return f"{by}: {words}"

    def _list(self, element: XmlElement, style: str, depth: int) -> list[str]:
        lines: list[str] = []
        start = attribute(element, "start-value", "1")
        number = int(start) if start.isdecimal() and len(start) < 6 else 1
        indent = "  " * depth
        for item in element:
            if local(item) not in {"list-item", "list-header"}:
                continue
            label = f"{number}." if (style, str(depth + 1)) in self._numbered else "-"
            for inner in item:
                if local(inner) == "list":
                    lines += self._list(inner, attribute(inner, "style-name") or style, depth + 1)
                    continue
                words = "\n".join(self._within(inner)) if local(inner) != "h" else " ".join(self._paragraph(inner)[0].split())
                if words.strip():
                    lines.append(f"{indent}{f'{label} ' if label else '  '}{words}".replace("\n", f"\n{indent}  "))
                    label = ""
            number += local(item) == "list-item"
        return lines

    def _table(self, element: XmlElement) -> list[str]:
        rows = [self._row(row) for row in _table_rows(element)]
        if max((len(row) for row in rows), default=0) == 1:  # a frame around text rather than a table
            return [block for row in rows for block in row[0]]
        text = table([["\n".join(_flatten(block) for block in cell) for cell in row] for row in rows])
        return [text] if text else []

    def _row(self, element: XmlElement) -> list[list[str]]:
        cells: list[list[str]] = []
        for item in element:
            if local(item) in {"table-cell", "covered-table-cell"}:
                repeated = attribute(item, "number-columns-repeated", "1")
                times = min(int(repeated), _MAX_REPEATED) if repeated.isdecimal() and len(repeated) < 9 else 1
                cells += [self.blocks(item) if local(item) == "table-cell" else []] * times
        return cells


def _spaced(text: str | None) -> str:
    """Characters of a paragraph, where all white space counts as one space (ODF 1.3 part 3, 6.1.2)."""
    words = text or ""
    return words if words.isalnum() else "".join(" " if letter in "\t\n\r" else letter for letter in words)


def _table_rows(element: XmlElement) -> Iterator[XmlElement]:
    for item in element:
        if local(item) == "table-row":
            yield item
        elif local(item) in _ROWS:
            yield from _table_rows(item)


def _flatten(block: str) -> str:
    """A block within a cell; the rows of a nested table become lines."""
    if not block.startswith("| "):
        return block
    return "\n".join(line[2:-2].replace(" | ", "; ") for line in block.split("\n") if not line.startswith("| ---"))


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument | IllustratedDocument:
    """A text with its headers, footers, notes and comments; of a presentation each slide with its notes."""
    what = "an OpenDocument presentation" if name == "odp" else "an OpenDocument text"
    archive = OfficeArchive(data, limits, what=what, document_types=True)
    if b"encryption-data" in (archive.part("META-INF/manifest.xml") or b""):
        raise encrypted()
    content = archive.part("content.xml")
    if content is None:
        raise damaged(what)
    root, styles = parse(content, what), _styles(archive, what)
    kinds = ("presentation", "drawing") if name == "odp" else ("text",)
    body = next((found for kind in kinds if (found := child(root, "body", kind)) is not None), None)
    if body is None:
        raise damaged(what)
    pictures = DocumentPictures(limits)
    reader, builder = OdfReader(archive, pictures, root, styles), DocumentBuilder(limits.text_chars)
    facts: tuple[str, ...] = ()
    if name == "odp":
        slides = list(children(body, "page"))
        for number, slide in enumerate(slides, start=1):
            _write_slide(reader, slide, number, builder)
        facts = (count(len(slides), "slide"),)
    else:
        edges = {kind: _edges(reader, styles, kind) for kind in ("header", "footer")}
        for block in (*edges["header"], *reader.blocks(body), *edges["footer"]):
            builder.add(block)
        for note in reader.notes:
            builder.add(note)
    builder.add("\n".join(reader.comments))
    if name != "odp":
        builder.split_at_headings()
    return pictures.illustrate(builder.finish(name, facts=facts))


def _styles(archive: OfficeArchive, what: str) -> XmlElement | None:
    """The root of the part with styles; None where it is missing or malformed."""
    data = archive.part("styles.xml")
    try:
        return parse(data, what) if data else None
    except FileRefused:
        return None


def _edges(reader: OdfReader, styles: XmlElement | None, kind: str) -> list[str]:
    """The headers or footers, each text once."""
    pages = descendants(child(styles, "master-styles"), "master-page")
    items = [item for page in pages for item in page if local(item) in {kind, f"{kind}-left", f"{kind}-first"}]
    texts = ("\n".join(reader.blocks(item)) for item in items)
    return list(dict.fromkeys(f"{kind.capitalize()}: {text.strip()}" for text in texts if text.strip()))


def _write_slide(reader: OdfReader, slide: XmlElement, number: int, builder: DocumentBuilder) -> None:
    title, blocks, notes = "", list[str](), list[str]()
    for item in slide:
        kind = attribute(item, "class")
        match local(item):
            case "notes":
                shapes = (shape for shape in item if attribute(shape, "class") not in {*_IGNORED_CLASSES, "page"})
                notes += [block for shape in shapes for block in reader.shape(shape)]
            case "forms" | "animations" | "par":
                pass
            case _ if kind in _IGNORED_CLASSES:
                pass
            case _ if kind == "title" and not title:
                title = " ".join(" ".join(reader.shape(item)).split())
            case "g":
                blocks += reader.blocks(item)
            case _:
                blocks += reader.shape(item)
    builder.begin(f"slide {number}")
    builder.add(f"## Slide {number}{f': {title}' if title else ''}")
    for block in (*blocks, *(("### Notes", *notes) if notes else ())):
        builder.add(block)

"""Word documents (.docx): everything visible on the pages, in order."""

import re
from collections.abc import Set
from dataclasses import dataclass

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder, table
from assistant.documents.formats.office.docx_forms import UNKNOWN_SYMBOL, control_value, field_value, hides_value, is_box
from assistant.documents.formats.office.docx_styles import DocxNumbering, DocxStyles
from assistant.documents.formats.office.drawing import chart_text, diagram_text, equation, shape_texts
from assistant.documents.formats.office.opc import main_part
from assistant.documents.formats.office.package import (
    OfficeArchive,
    OfficePart,
    XmlElement,
    address,
    attribute,
    blob,
    child,
    children,
    descendants,
    local,
    reference,
    related,
    target,
    tree,
)
from assistant.documents.formats.pictures import DocumentPictures
from assistant.documents.protocol import IllustratedDocument, ReadLimits, damaged

_DROPPED = frozenset({"del", "moveFrom", "delText", "delInstrText", "rPr", "pPr", "sdtPr", "sdtEndPr", "tblPr", "trPr", "tcPr", "proofErr"})
_WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo"})
_DRAWN = frozenset({"txbxContent", "txBody", "chart", "relIds", "docPr", "textpath", "blip", "imagedata"})
"""The elements of a drawing with text."""
_PICTURE_LINKS = {"blip": "embed", "imagedata": "id"}
"""The attribute with the relationship to the picture."""
_HYPERLINK = re.compile(r'\s*HYPERLINK\s+"([^"]+)"')
_SYMBOLS = {0xF0B7: "•", 0xF0A7: "▪", 0xF0FC: "✓", 0xF0FE: "☑", 0xF0A8: "☐", 0xF0E0: "→", 0xF0E8: "→"}
"""Private-use characters of the symbol fonts."""
_MAX_SPAN = 60
"""Columns that one cell may span."""
_WHAT = "a Word document"
_SEPARATORS = frozenset({"separator", "continuationSeparator", "continuationNotice"})


@dataclass(frozen=True, slots=True)
class DocxBlock:
    """A paragraph, a table or a list item."""

    text: str
    item: bool = False
    """A list item, joined to the item before it without a blank line."""


@dataclass(slots=True)
class _ComplexField:
    """A complex field (a link, a page number) between its begin and its end."""

    instruction: str = ""
    form: XmlElement | None = None
    """What is filled in, where it is a form's field."""
    start: int = -1
    """Index in the line where its result begins; -1 until then."""


class DocxWalker:
    """Reads one part of a document: the body, a header, the notes."""

    def __init__(self, part: OfficePart, styles: DocxStyles, numbering: DocxNumbering, pictures: DocumentPictures) -> None:
        self._part, self._styles, self._numbering, self.pictures = part, styles, numbering, pictures
        self._line: list[str] = []
        self._fields: list[_ComplexField] = []
        self._boxes: list[DocxBlock] = []
        self._marks: dict[tuple[str, str], str] = {}
        self._comments: dict[str, list[str]] = {}
        self._open_comments: set[str] = set()

    def note_mark(self, kind: str, identity: str) -> str:
        """The mark of a footnote ("[^1]") or endnote ("[^e1]"), numbered as the text refers to them."""
        number = sum(1 for known, _ in self._marks if known == kind) + 1
        return self._marks.setdefault((kind, identity), f"[^{'e' if kind == 'endnote' else ''}{number}]")

    def commented(self, identity: str) -> str:
        """The text that a comment refers to."""
        return "".join(self._comments.get(identity, ()))

    def blocks(self, element: XmlElement) -> list[DocxBlock]:
        """The blocks of an element in order; a text box follows its paragraph."""
        found: list[DocxBlock] = []
        for item in element:
            match local(item):
                case "p":
                    found += self._paragraph(item)
                case "tbl":
                    found += self._table(item)
                case "oMathPara" | "oMath":
                    found.append(DocxBlock(f"${equation(item)}$"))
                case "commentRangeStart" | "commentRangeEnd":
                    self._one(item)
                case "sdt":
                    inner = self.blocks(item)
                    value = "" if inner else control_value(item)
                    found += [DocxBlock(value)] if value else inner
                case name if name not in _DROPPED:
                    found += self.blocks(item)
                case _:
                    pass
        return found

    def _paragraph(self, element: XmlElement) -> list[DocxBlock]:
        outer = self._line, self._boxes, self._fields
        self._line, self._boxes, self._fields = [], [], []
        self._inline(element)
        text, boxes = "".join(self._line).strip(), self._boxes
        self._line, self._boxes, self._fields = outer
        block = self._style(child(element, "pPr"), text) if text else None
        return [block, *boxes] if block else boxes

    def _style(self, properties: XmlElement | None, text: str) -> DocxBlock:
        level = self._styles.level(properties)
        number, depth = self._styles.numbering(properties)
        label = self._numbering.next(number, depth) if number else ""
        if level:
            words = " ".join(text.split("\n"))
            return DocxBlock(f"{'#' * min(level, 6)} {f'{label} ' if label not in {'', '-'} else ''}{words}")
        if not number:
            return DocxBlock(text)
        indent = "  " * depth
        return DocxBlock(f"{indent}{label or '-'} {text}".replace("\n", f"\n{indent}  "), item=True)

    def _inline(self, element: XmlElement) -> None:
        for item in element:
            self._one(item)

    def _one(self, item: XmlElement) -> None:
        match local(item):
            case "t":
                self._write(item.text or "")
            case "tab" | "ptab":
                self._write("\t")
            case "br" | "cr":
                self._write("\n")
            case "noBreakHyphen":
                self._write("-")
            case "sym":
                self._write(_symbol(attribute(item, "char")))
            case "hyperlink":
                self._link(item, address(self._part, reference(item)))
            case "fldChar":
                self._field(attribute(item, "fldCharType"), child(item, "ffData"))
            case "instrText":
                if self._fields:
                    self._fields[-1].instruction += item.text or ""
            case "ffData":
                self._write(field_value(item))
            case "sdt":
                self._control(item)
            case "fldSimple":
                self._link(item, _hyperlink(attribute(item, "instr")))
            case "footnoteReference" | "endnoteReference" as name:
                self._line.append(self.note_mark(name.removesuffix("Reference"), attribute(item, "id")))
            case "commentRangeStart":
                self._open_comments.add(attribute(item, "id"))
            case "commentRangeEnd":
                self._open_comments.discard(attribute(item, "id"))
            case "oMath":
                self._write(f"${equation(item)}$")
            case "drawing" | "pict" | "object":
                self._drawing(item)
            case "ruby":
                for name, form in (("rubyBase", "{}"), ("rt", "({})")):  # the phonetic guide in parentheses after its text
                    words = "".join(text.text or "" for text in descendants(child(item, name), "t"))
                    self._write(form.format(words) if words else "")
            case name if name not in _DROPPED:
                self._inline(item)
            case _:
                pass

    def _write(self, text: str) -> None:
        self._line.append(text)
        for identity in self._open_comments:
            self._comments.setdefault(identity, []).append(text)

    def _link(self, element: XmlElement, outside: str) -> None:
        start = len(self._line)
        self._inline(element)
        self._wrap(start, outside)

    def _wrap(self, start: int, outside: str) -> None:
        words = "".join(self._line[start:])
        if outside and words.strip():
            self._line[start:] = [f"[{words}]({outside})"]

    def _control(self, element: XmlElement) -> None:
        """A content control: what it shows, else its value."""
        start = len(self._line)
        self._inline(element)
        shown = "".join(self._line[start:]).strip()
        if hides_value(shown):
            value = control_value(element)
            self._line[start:] = [value] if value else self._line[start:]

    def _field(self, kind: str, form: XmlElement | None) -> None:
        if kind == "begin":
            self._fields.append(_ComplexField(form=form))
        elif kind == "separate" and self._fields:
            self._fields[-1].start = len(self._line)
        elif kind == "end" and self._fields:
            done = self._fields.pop()
            shown = "".join(self._line[done.start :]).strip() if done.start >= 0 else ""
            if is_box(done.form) or not shown:
                self._write(field_value(done.form))
            elif done.start >= 0:
                self._wrap(done.start, _hyperlink(done.instruction))

    def _drawing(self, element: XmlElement) -> None:
        """Text boxes, charts, diagrams, and descriptions of pictures."""
        described = ""
        for item in _outermost(element, _DRAWN):
            match local(item):
                case "txbxContent":
                    self._boxes += self.blocks(item)
                case "txBody":  # of a canvas (DrawingML's lockedCanvas), which Excel and PowerPoint draw
                    self._boxes.append(DocxBlock("\n".join(shape_texts(item))))
                case "chart":
                    self._boxes.append(DocxBlock(chart_text(target(self._part, reference(item), _WHAT))))
                case "relIds":
                    self._boxes.append(DocxBlock(diagram_text(target(self._part, reference(item, "dm"), _WHAT))))
                case "docPr":
                    self._describe(described)
                    described = " ".join(attribute(item, "descr").split())
                case "blip" | "imagedata":
                    words = described or " ".join(attribute(item, "title").split())
                    self._line.append(self.pictures.mark(blob(self._part, reference(item, _PICTURE_LINKS[local(item)])), words))
                    described = ""
                case "textpath":
                    self._write(attribute(item, "string"))
                case _:
                    pass
        self._describe(described)

    def _describe(self, words: str) -> None:
        """The mark of a drawing that is no picture and has a description."""
        if words:
            self._line.append(self.pictures.mark(None, words))

    def _table(self, element: XmlElement) -> list[DocxBlock]:
        rows = [self._row(item) for item in _rows(element, "tr")]
        if max((len(row) for row in rows), default=0) == 1:  # a frame around text rather than a table
            return [block for row in rows for block in row[0]]
        texts = [["\n".join(block.text for block in cell) for cell in row] for row in rows]
        return [DocxBlock(text)] if (text := table(texts)) else []

    def _row(self, element: XmlElement) -> list[list[DocxBlock]]:
        cells: list[list[DocxBlock]] = []
        for item in _rows(element, "tc"):
            properties = child(item, "tcPr")
            merged = child(properties, "vMerge")
            inner = [DocxBlock(_flatten(block.text)) for block in self.blocks(item)]
            cells.append([] if merged is not None and attribute(merged, "val", "continue") == "continue" else inner)
            span = attribute(child(properties, "gridSpan"), "val", "1")
            cells += [[] for _ in range(min(int(span), _MAX_SPAN) - 1)] if span.isdecimal() else []
        return cells


def _rows(element: XmlElement, name: str) -> list[XmlElement]:
    """The rows of a table or cells of a row, including those in content controls and insertions."""
    return [item for item in _outermost(element, {name}, _WRAPPERS) if child(item, "trPr", "del") is None]


def _outermost(element: XmlElement, names: Set[str], through: Set[str] | None = None) -> list[XmlElement]:
    """The descendants of these names, without those inside each other. `through`: the elements searched; all by default."""
    found: list[XmlElement] = []
    for item in element:
        name = local(item)
        if name in names:
            found.append(item)
        elif through is None or name in through:
            found += _outermost(item, names, through)
    return found


def _flatten(text: str) -> str:
    """A block within a cell; the rows of a nested table become lines."""
    if not text.startswith("| "):
        return text
    rows = [line for line in text.split("\n") if not line.startswith("| ---")]
    return "\n".join(line[2:-2].replace(" | ", "; ").replace("\\|", "|") for line in rows)


def _hyperlink(instruction: str) -> str:
    """The address in a field's instruction; "" for other fields."""
    match = _HYPERLINK.match(instruction)
    return match[1] if match else ""


def _symbol(code: str) -> str:
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    return _SYMBOLS.get(number, chr(number) if 0x20 <= number < 0xE000 else UNKNOWN_SYMBOL)


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument | IllustratedDocument:
    """Headers, body with text boxes, footers, notes, comments."""
    main = main_part(OfficeArchive(data, limits, what=_WHAT), "word/document.xml", _WHAT)
    body = child(tree(main, _WHAT), "body")
    if body is None:
        raise damaged(_WHAT)
    styles = DocxStyles(_first(main, "styles"))
    pictures = DocumentPictures(limits)
    walk = DocxWalker(main, styles, DocxNumbering(_first(main, "numbering")), pictures)
    builder = DocumentBuilder(limits.text_chars)
    for block in (*_edges(main, styles, pictures, "header"), *tighten(walk.blocks(body)), *_edges(main, styles, pictures, "footer")):
        builder.add(block)
    for block in (*_notes(main, walk, styles, "footnote"), *_notes(main, walk, styles, "endnote")):
        builder.add(block)
    builder.add("\n".join(_comments(main, walk, styles)))
    builder.split_at_headings()
    return pictures.illustrate(builder.finish(name))


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


def _first(main: OfficePart, kind: str) -> XmlElement | None:
    return next((tree(part, _WHAT) for part in related(main, kind)), None)


def _edges(main: OfficePart, styles: DocxStyles, pictures: DocumentPictures, kind: str) -> list[str]:
    """The headers or footers, each text once."""
    walkers = ((part, DocxWalker(part, styles, DocxNumbering(None), pictures)) for part in related(main, kind))
    texts = ("\n".join(tighten(walk.blocks(tree(part, _WHAT)))) for part, walk in walkers)
    return list(dict.fromkeys(f"{kind.capitalize()}: {text.strip()}" for text in texts if text.strip()))


def _notes(main: OfficePart, walk: DocxWalker, styles: DocxStyles, kind: str) -> list[str]:
    """Footnotes or endnotes, each with the mark used in the text."""
    lines: list[str] = []
    for part in related(main, f"{kind}s"):
        own = DocxWalker(part, styles, DocxNumbering(None), walk.pictures)
        for note in children(tree(part, _WHAT), kind):
            words = "\n".join(tighten(own.blocks(note))).strip()
            if attribute(note, "type") not in _SEPARATORS and words:
                lines.append(f"{walk.note_mark(kind, attribute(note, 'id'))}: {words}")
    return lines


def _comments(main: OfficePart, walk: DocxWalker, styles: DocxStyles) -> list[str]:
    lines: list[str] = []
    for part in related(main, "comments"):
        own = DocxWalker(part, styles, DocxNumbering(None), walk.pictures)
        for comment in descendants(tree(part, _WHAT), "comment"):
            words = " ".join(" ".join(tighten(own.blocks(comment))).split())
            about = " ".join(walk.commented(attribute(comment, "id")).split())
            author = attribute(comment, "author")
            shown = f"{about[:200]}…" if len(about) > 200 else about
            lines.append(f"- Comment{f' by {author}' if author else ''}{f' on “{shown}”' if shown else ''}: {words}")
    return lines

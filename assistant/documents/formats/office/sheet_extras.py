"""What calamine omits of .xlsx files: formulas without a cached value, errors, links, comments, text boxes, charts, pictures, number formats."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from posixpath import join, normpath

from assistant.documents.formats.office.drawing import chart_text, shape_texts
from assistant.documents.formats.office.number_formats import BUILT_IN, NumberFormat, parse_format
from assistant.documents.formats.office.package import (
    OfficeArchive,
    XmlElement,
    attribute,
    child,
    children,
    descendants,
    local,
    parse,
    reference,
)
from assistant.documents.formats.pictures import DocumentPictures
from assistant.documents.protocol import FileRefused

_WHAT = "a workbook"
_FORMULA = re.compile(rb'<c r="([A-Z]{1,3}[0-9]{1,7})"[^>]*><f(?: [^>]*)?>([^<]{1,8000})</f>(?:<v ?/>|<v></v>)?</c>')
_ERROR = re.compile(rb'<c r="([A-Z]{1,3}[0-9]{1,7})"[^>]* t="e"[^>]*>(?:<f[^>]*/>|<f[^>]*>[^<]*</f>)?<v>(#[^<]{1,20})</v>')
_LINK = re.compile(rb"<hyperlink [^>]*>")
_DIMENSION = re.compile(rb'<dimension ref="(?:[A-Z]+[0-9]+:)?([A-Z]{1,3}[0-9]{1,7})"')
_ROW = re.compile(rb'<row [^>]*?\br="([0-9]{1,7})"')
_FAR_CELL = re.compile(rb'<c r="([A-Z]{3}[0-9]{1,7})"')
_PREFIX = re.compile(rb"<([A-Za-z0-9]{1,20}:)?sheetData")
_USUAL_COLUMNS = 25
_ATTRIBUTE = re.compile(rb'([A-Za-z:]+)="([^"]*)"')
_MAX_CELLS = 20_000
_MAX_STYLES = 65_536
_MAX_COLUMN = 16_384
_SHADOW = re.compile("tc=", re.IGNORECASE)
"""The author of a note that stands for a threaded comment, where programs do not know these."""

CellPlace = tuple[int, int]
"""Row and column from 0."""


@dataclass(slots=True)
class SheetExtras:
    """The additional content of one sheet."""

    part: str = ""
    """The name of its part in the archive."""
    cells: dict[CellPlace, str] = field(default_factory=dict[CellPlace, str])
    """Texts of cells that calamine reads as empty."""
    last_row: int = 0
    """From 0, by the last <row> and the declared dimension."""
    area: int = 0
    """Cells of the rectangle around all values."""
    remarks: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Kind, reference and words of links and comments."""
    notes: str = ""
    """Text boxes, charts and pictures."""


@dataclass(slots=True)
class BookExtras:
    """The additional content of the sheets, by name, and the number formats of the book's styles."""

    archive: OfficeArchive | None = None
    sheets: dict[str, SheetExtras] = field(default_factory=dict[str, SheetExtras])
    styles: dict[bytes, NumberFormat] = field(default_factory=dict[bytes, NumberFormat])

    def formats(self, sheet: str) -> Iterator[tuple[int, int, NumberFormat]]:
        """The cells of a sheet whose values are shown in a format, in the order of the file: row and column from 0, and the format."""
        extras = self.sheets.get(sheet)
        if not self.styles or extras is None or self.archive is None:
            return
        data = self.archive.part(extras.part) or b""
        prefix = re.escape((found[1] or b"") if (found := _PREFIX.search(data)) else b"")
        styles = b"|".join(self.styles)
        cells = re.compile(rb"<%bc (?=[^>]*\bs=[\"'](%b)[\"'])[^>]*?\br=[\"']([A-Z]{1,3})([0-9]{1,7})[\"']" % (prefix, styles))
        columns: dict[bytes, int] = {}
        for match in cells.finditer(data):
            style, letters, row = match.groups()
            if (column := columns.get(letters)) is None:
                column = columns[letters] = place(f"{letters.decode()}1")[1]
            yield int(row) - 1, column, self.styles[style]


def read_extras(archive: OfficeArchive, pictures: DocumentPictures) -> BookExtras:
    main = next(iter(_related(archive, "", "officeDocument")), "xl/workbook.xml")
    parts = {identity: target for identity, _, target, outside in _relations(archive, main) if not outside}
    people = {attribute(person, "id"): attribute(person, "displayName") for name in _related(archive, main, "person")
              for person in descendants(_tree(archive, name), "person")}  # fmt: skip
    found = BookExtras(archive, styles=_read_styles(archive, next(iter(_related(archive, main, "styles")), "xl/styles.xml")))
    for sheet in children(child(_tree(archive, main), "sheets"), "sheet"):
        part = parts.get(reference(sheet))
        if part is not None:
            found.sheets[attribute(sheet, "name")] = _read_sheet_extras(archive, part, people, pictures)
    return found


def place(name: str) -> CellPlace:
    """Row and column from 0 of "B3", or of the first cell of "B3:C4"."""
    match = re.match(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})", name)
    if match is None:
        return -1, -1
    column = 0
    for letter in match[1].upper():
        column = column * 26 + ord(letter) - 64
    return int(match[2]) - 1, column - 1


def letters(column: int) -> str:
    """ "A" for column 0."""
    name, left = "", column + 1
    while left:
        left, rest = divmod(left - 1, 26)
        name = chr(65 + rest) + name
    return name


def _tree(archive: OfficeArchive, name: str) -> XmlElement | None:
    data = archive.part(name)
    return None if data is None else parse(data, _WHAT)


def _relations(archive: OfficeArchive, part: str) -> list[tuple[str, str, str, bool]]:
    """The relationships of a part; for "", of the package: id, kind, target, and whether that is outside the file."""
    folder, _, name = part.rpartition("/")
    root = _tree(archive, join(folder, "_rels", f"{name}.rels"))
    found: list[tuple[str, str, str, bool]] = []
    for item in children(root, "Relationship"):
        target, outside = attribute(item, "Target"), attribute(item, "TargetMode") == "External"
        inside = normpath(join("/", folder, target)).lstrip("/")
        found.append((attribute(item, "Id"), attribute(item, "Type").rpartition("/")[2], target if outside else inside, outside))
    return found


def _related(archive: OfficeArchive, part: str, kind: str) -> list[str]:
    """The names of parts related by one kind of relationship."""
    return [target for _, found, target, outside in _relations(archive, part) if found == kind and not outside]


def _read_styles(archive: OfficeArchive, part: str) -> dict[bytes, NumberFormat]:
    """The number formats by the number of a style, as cells name it."""
    try:
        root = _tree(archive, part)
    except FileRefused:  # values can be read without them
        return {}
    codes = BUILT_IN | {
        int(identity): attribute(item, "formatCode")
        for item in descendants(child(root, "numFmts"), "numFmt")
        if (identity := attribute(item, "numFmtId")).isdecimal()
    }
    styles: dict[bytes, NumberFormat] = {}
    for number, item in enumerate(children(child(root, "cellXfs"), "xf")):
        identity = attribute(item, "numFmtId")
        if number < _MAX_STYLES and identity.isdecimal() and (shown := parse_format(codes.get(int(identity), ""))) is not None:
            styles[str(number).encode()] = shown
    return styles


def _read_sheet_extras(archive: OfficeArchive, part: str, people: dict[str, str], pictures: DocumentPictures) -> SheetExtras:
    data = archive.part(part) or b""
    extras = SheetExtras(part)
    extras.last_row, last_column = _measure(data)
    extras.area = (extras.last_row + 1) * (last_column + 1)
    for pattern, mark, sign in ((_FORMULA, b"><f", "="), (_ERROR, b' t="e"', "")):
        for match in pattern.finditer(data) if mark in data else ():  # most sheets have none, and that is seen in a fifth of the time
            extras.cells[place(match[1].decode())] = sign + unescape(match[2].decode("utf-8", "replace"))
            if len(extras.cells) >= _MAX_CELLS:
                break
    extras.remarks = [*_read_links(archive, part, data), *_read_comments(archive, part, people)]
    extras.notes = "\n\n".join(filter(None, _read_drawings(archive, part, pictures)))
    return extras


def _measure(data: bytes) -> tuple[int, int]:
    """The last row and the last column from 0: by the number of the last <row> and the declared dimension."""
    rows, columns = 0, _USUAL_COLUMNS
    if dimension := _DIMENSION.search(data[:4096]):
        rows, columns = place(dimension[1].decode())
    elif far := _FAR_CELL.search(data):
        columns = place(far[1].decode())[1]
    if end := _ROW.match(data, max(0, data.rfind(b"<row "))):
        rows = max(rows, int(end[1]) - 1)
    return rows, columns


def _read_links(archive: OfficeArchive, part: str, data: bytes) -> Iterator[tuple[str, str, str]]:
    tags = _LINK.findall(data)
    outside = {identity: target for identity, _, target, external in _relations(archive, part) if external} if tags else {}
    for tag in tags[:_MAX_CELLS]:
        found = {key.rpartition(b":")[2]: value.decode("utf-8", "replace") for key, value in _ATTRIBUTE.findall(tag)}
        if address := outside.get(found.get(b"id", "")):
            yield "Link in", found.get(b"ref", "?"), f": {address}"


def _read_comments(archive: OfficeArchive, part: str, people: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Notes and threaded comments with their authors; a note that only stands for a threaded comment is left out."""
    threads = _related(archive, part, "threadedComment")
    for name in _related(archive, part, "comments"):
        root = _tree(archive, name)
        authors = ["".join(item.text or "" for item in author.iter()).strip() for author in descendants(root, "author")]
        for comment in descendants(root, "comment"):
            number = attribute(comment, "authorId")
            author = authors[int(number)] if number.isdecimal() and int(number) < len(authors) else ""
            if not (threads and _SHADOW.match(author)):
                words = "".join(text.text or "" for text in comment.iter() if local(text) == "t")
                yield _remark(comment, author, words)
    for name in threads:
        for comment in descendants(_tree(archive, name), "threadedComment"):
            words = "".join(text.text or "" for text in comment.iter() if local(text) == "text")
            yield _remark(comment, people.get(attribute(comment, "personId"), ""), words)


def _remark(comment: XmlElement, author: str, words: str) -> tuple[str, str, str]:
    line = " ".join(words.split())
    author = " ".join(author.split())
    said = line.removeprefix(f"{author}:").strip() if author else line
    return "Comment on", attribute(comment, "ref", "?"), f" by {author}: {said}" if author else f": {line}"


def _read_drawings(archive: OfficeArchive, part: str, pictures: DocumentPictures) -> list[str]:
    blocks: list[str] = []
    for drawing in _related(archive, part, "drawing"):
        root = _tree(archive, drawing)
        blocks += ["\n".join(shape_texts(body)) for body in descendants(root, "txBody")]
        blocks += [chart_text(_tree(archive, chart)) for chart in _related(archive, drawing, "chart")]
        links = {identity: target for identity, _, target, outside in _relations(archive, drawing) if not outside}
        anchors = [anchor for anchor in root or () if next(descendants(anchor, "blip"), None) is not None]
        blocks += [_read_picture(archive, anchor, links, pictures) for anchor in anchors]
    return blocks


def _read_picture(archive: OfficeArchive, anchor: XmlElement, links: Mapping[str, str], pictures: DocumentPictures) -> str:
    """The mark of a picture, with the cell that its corner is in."""
    described = next((words for item in descendants(anchor, "cNvPr") if (words := attribute(item, "descr").strip())), "")
    target = next((links[link] for item in descendants(anchor, "blip") if (link := reference(item, "embed")) in links), "")
    corner = [child(anchor, "from", axis) for axis in ("col", "row")]
    column, line = (int(item.text or 0) if item is not None and (item.text or "").isdecimal() else None for item in corner)
    where = f" at {letters(column)}{line + 1}" if column is not None and line is not None and column < _MAX_COLUMN else ""
    return pictures.mark(archive.part(target) if target else None, described) + where

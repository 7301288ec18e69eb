"""Presentations (.pptx and its kinds): per slide its shapes, speaker notes and comments."""

from collections.abc import Iterator

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder, count, table
from assistant.documents.formats.office.drawing import chart_text, diagram_text, equation, run_text, shape_texts
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
    parse,
    reference,
    related,
    target,
)
from assistant.documents.formats.pictures import DocumentPictures
from assistant.documents.protocol import FileRefused, IllustratedDocument, ReadLimits

_WHAT = "a presentation"
_TITLES = frozenset({"title", "ctrTitle"})
_IGNORED = frozenset({"sldNum", "sldImg"})
_IGNORED_IN_NOTES = _IGNORED | {"hdr", "ftr", "dt"}
_LISTS = frozenset({"body", "obj"})
_DEEPEST_GROUP = 50


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument | IllustratedDocument:
    """Every slide in order; one that is damaged or missing is named, and the others are read."""
    main = main_part(OfficeArchive(data, limits, what=_WHAT), "ppt/presentation.xml", _WHAT)
    slides = list(children(child(parse(main.blob, _WHAT), "sldIdLst"), "sldId"))
    authors = _read_authors(main)
    builder, pictures = DocumentBuilder(limits.text_chars), DocumentPictures(limits)
    for number, slide in enumerate(slides, start=1):
        builder.begin(f"slide {number}")
        relation = main.rels.get(reference(slide))
        try:
            if relation is None or relation.is_external:
                raise FileRefused("lacks a slide.")
            _SlideReader(relation.target_part, authors, pictures).write(number, builder)
        except FileRefused:
            builder.add(f"## Slide {number}\n\n(This slide is damaged.)")
        if builder.full:
            break
    return pictures.illustrate(builder.finish(name, facts=(count(len(slides), "slide"),)))


def _read_authors(main: OfficePart) -> dict[str, str]:
    """The names of those who commented, by id."""
    parts = [*related(main, "commentAuthors"), *related(main, "authors")]
    people = [author for part in parts for author in _children_of(part)]
    return {attribute(author, "id"): " ".join(attribute(author, "name").split()) for author in people}


def _children_of(part: OfficePart) -> list[XmlElement]:
    """The elements of a part's root; none where it is malformed."""
    try:
        return list(parse(part.blob, _WHAT))
    except FileRefused:
        return []


class _SlideReader:
    """Reads one slide and its related parts."""

    def __init__(self, part: OfficePart, authors: dict[str, str], pictures: DocumentPictures) -> None:
        self._part, self._authors, self._pictures = part, authors, pictures
        self._root = parse(part.blob, _WHAT)
        self._title = ""

    def write(self, number: int, builder: DocumentBuilder) -> None:
        blocks = [block for shape in _shapes(self._root) for block in self._read(shape)]
        hidden = " (hidden)" if attribute(self._root, "show", "1") in {"0", "false"} else ""
        builder.add(f"## Slide {number}{hidden}{f': {self._title}' if self._title else ''}")
        for block in (*blocks, *self._notes(), "\n".join(self._comments())):
            builder.add(block)

    def _read(self, shape: XmlElement) -> list[str]:
        if local(shape) == "graphicFrame":
            return self._frame(shape)
        kind, body = _placeholder(shape), child(shape, "txBody")
        if kind in _IGNORED:
            return []
        if kind in _TITLES and not self._title:
            self._title = " ".join(" ".join(shape_texts(body)).split())
            return []
        lines = self._paragraphs(body, listed=kind in _LISTS)
        picture = self._picture(shape, any_words=bool(lines))
        return ["\n".join(lines), *picture] if lines else picture

    def _frame(self, frame: XmlElement) -> list[str]:
        data = child(frame, "graphic", "graphicData")
        blocks: list[str] = []
        for item in data if data is not None else ():
            match local(item):
                case "tbl":
                    rows = [
                        ["\n".join(shape_texts(child(cell, "txBody"))) for cell in children(line, "tc")] for line in children(item, "tr")
                    ]
                    blocks.append(table(rows))
                case "chart":
                    blocks.append(chart_text(self._target(reference(item))))
                case "relIds":
                    blocks.append(diagram_text(self._target(reference(item, "dm"))))
                case _:
                    blocks += ["\n".join(shape_texts(body)) for body in descendants(item, "txBody")]
        return [block for block in blocks if block] or self._picture(frame, any_words=False)

    def _picture(self, shape: XmlElement, *, any_words: bool) -> list[str]:
        """The mark of a shape's picture; of a shape without one, and without words, its description."""
        described = next((words for part in shape if (words := " ".join(attribute(child(part, "cNvPr"), "descr").split()))), "")
        fill = next((item for item in descendants(shape, "blip") if reference(item, "embed")), None)
        if fill is not None:
            return [self._pictures.mark(blob(self._part, reference(fill, "embed")), described)]
        return [self._pictures.mark(None, described)] if described and not any_words else []

    def _target(self, identity: str) -> XmlElement | None:
        """The root of a part of this slide; None where it is missing or malformed."""
        try:
            return target(self._part, identity, _WHAT)
        except FileRefused:
            return None

    def _notes(self) -> list[str]:
        lines: list[str] = []
        for part in related(self._part, "notesSlide")[:1]:
            try:
                root = parse(part.blob, _WHAT)
            except FileRefused:
                return []
            shapes = (shape for shape in _shapes(root) if _placeholder(shape) not in _IGNORED_IN_NOTES)
            lines = [line for shape in shapes for line in shape_texts(child(shape, "txBody"))]
        return ["### Notes", "\n".join(lines)] if lines else []

    def _comments(self) -> list[str]:
        """The comments on the slide with their authors; answers below what they answer."""
        lines: list[str] = []
        for part in related(self._part, "comments"):
            for comment in _children_of(part):
                lines += self._comment(comment, "")
                lines += [line for reply in descendants(comment, "reply") for line in self._comment(reply, "  ")]
        return lines

    def _comment(self, comment: XmlElement, indent: str) -> list[str]:
        bodies = [item for item in comment if local(item) in {"text", "txBody"}]
        texts = [item.text or "" for body in bodies for item in body.iter() if local(item) in {"text", "t"}]
        words, author = " ".join(" ".join(texts).split()), self._authors.get(attribute(comment, "authorId"), "")
        return [f"{indent}- Comment{f' by {author}' if author else ''}: {words}"] if words else []

    def _paragraphs(self, body: XmlElement | None, *, listed: bool) -> list[str]:
        """The paragraphs of a shape; as a list where they have bullets, the default in body placeholders."""
        lines: list[str] = []
        several = listed and len(shape_texts(body)) > 1
        for paragraph in children(body, "p"):
            text = "".join(self._words(item) for item in paragraph).strip()
            if not text:
                continue
            properties = child(paragraph, "pPr")
            level = attribute(properties, "lvl", "0")
            indent = "  " * (int(level) if level.isdecimal() and len(level) == 1 else 0)
            marks = {local(item) for item in properties} if properties is not None else set[str]()
            bullet = bool(marks & {"buChar", "buAutoNum", "buBlip"}) or ((several or bool(indent)) and "buNone" not in marks)
            lines.append(f"{indent}- {text}" if bullet else text)
        return lines

    def _words(self, item: XmlElement) -> str:
        """A run, field, line break or equation, with its link."""
        name = local(item)
        if name in {"m", "oMath", "oMathPara"}:
            return f"${equation(item)}$"
        words = run_text(item) if name != "br" else "\n"
        click = child(item, "rPr", "hlinkClick")
        outside = address(self._part, reference(click)) if click is not None else ""
        return f"[{words}]({outside})" if outside and words.strip() else words


def _shapes(root: XmlElement) -> Iterator[XmlElement]:
    """The shapes of a slide in file order (the reading order), those of groups included. What is no shape is skipped."""
    tree = child(root, "cSld", "spTree")
    return _flatten(tree, _DEEPEST_GROUP) if tree is not None else iter(())


def _flatten(group: XmlElement, depth: int) -> Iterator[XmlElement]:
    for item in group:
        match local(item):
            case "grpSp" if depth:
                yield from _flatten(item, depth - 1)
            case "sp" | "cxnSp" | "pic" | "graphicFrame":
                yield item
            case _:
                pass


def _placeholder(shape: XmlElement) -> str:
    """The placeholder type of a shape ("obj" where it names none); "" for other shapes."""
    for properties in shape:
        found = child(properties, "nvPr", "ph")
        if found is not None:
            return attribute(found, "type", "obj")
    return ""

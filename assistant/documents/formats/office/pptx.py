"""Presentations (.pptx): per slide its shapes, speaker notes and comments.

python-pptx finds slides, shapes and notes. Shapes are read from their XML: python-pptx omits bullets, fields, equations, diagrams, comments,
descriptions of pictures, and some kinds of charts.
"""

from collections.abc import Iterable, Iterator
from typing import cast

from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.package import Package
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import NotesSlide, Slide

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder, count, table
from assistant.documents.formats.office.drawing import chart_text, diagram_text, equation, run_text, shape_texts
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
    opening,
    parse,
    ready,
    reference,
    related,
    target,
)
from assistant.documents.formats.office.repair import openable
from assistant.documents.formats.pictures import DocumentPictures
from assistant.documents.protocol import IllustratedDocument, ReadLimits

_WHAT = "a presentation"
_TITLES = frozenset({PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE})
_IGNORED = frozenset({PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.SLIDE_IMAGE})
_IGNORED_IN_NOTES = _IGNORED | {PP_PLACEHOLDER.HEADER, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.DATE}
_LISTS = frozenset({PP_PLACEHOLDER.BODY, PP_PLACEHOLDER.OBJECT})


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument | IllustratedDocument:
    source = openable(data, OfficeArchive(data, limits, what=_WHAT), _WHAT)
    with opening(_WHAT):
        # pptx.Presentation refuses templates and slide shows
        slides = list(Package.open(source).main_document_part.presentation.slides)
    builder, pictures = DocumentBuilder(limits.text_chars), DocumentPictures(limits)
    for number, slide in enumerate(slides, start=1):
        builder.begin(f"slide {number}")
        _SlideReader(slide, pictures).write(number, builder)
        if builder.full:
            break
    return pictures.illustrate(builder.finish(name, facts=(count(len(slides), "slide"),)))


class _SlideReader:
    """Reads one slide and its related parts."""

    def __init__(self, slide: Slide, pictures: DocumentPictures) -> None:
        self._slide, self._part, self._pictures = slide, cast("OfficePart", slide.part), pictures
        self._root = ready(_element(slide), _WHAT)
        self._title = ""

    def write(self, number: int, builder: DocumentBuilder) -> None:
        blocks = [block for shape in _flatten(self._slide.shapes) for block in self._read(shape)]
        hidden = " (hidden)" if attribute(self._root, "show", "1") in {"0", "false"} else ""
        builder.add(f"## Slide {number}{hidden}{f': {self._title}' if self._title else ''}")
        for block in (*blocks, *self._notes(), "\n".join(self._comments())):
            builder.add(block)

    def _read(self, shape: BaseShape) -> list[str]:
        if isinstance(shape, GraphicFrame):
            return self._frame(_element(shape))
        kind, body = _placeholder(shape), _body(shape)
        if kind in _IGNORED:
            return []
        if kind in _TITLES and not self._title:
            self._title = " ".join(" ".join(shape_texts(body)).split())
            return []
        lines = self._paragraphs(body, listed=kind in _LISTS)
        picture = self._picture(_element(shape), any_words=bool(lines))
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
                    blocks.append(chart_text(target(self._part, reference(item), _WHAT)))
                case "relIds":
                    blocks.append(diagram_text(target(self._part, reference(item, "dm"), _WHAT)))
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

    def _notes(self) -> list[str]:
        if not self._slide.has_notes_slide:
            return []
        notes = self._slide.notes_slide
        ready(_element(notes), _WHAT)
        shapes = (shape for shape in _flatten(notes.shapes) if _placeholder(shape) not in _IGNORED_IN_NOTES)
        lines = [line for shape in shapes for line in shape_texts(_body(shape))]
        return ["### Notes", "\n".join(lines)] if lines else []

    def _comments(self) -> list[str]:
        lines: list[str] = []
        for part in related(self._part, "comments"):
            for comment in parse(part.blob, _WHAT):
                texts = [text.text or "" for text in comment.iter() if local(text) in {"text", "t"}]
                words = " ".join(" ".join(texts).split())
                lines += [f"- Comment: {words}"] if words else []
        return lines

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


def _flatten(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    """All shapes, including those of nested groups, in file order (the reading order)."""
    for shape in shapes:
        if isinstance(shape, GroupShape):
            yield from _flatten(shape.shapes)
        else:
            yield shape


def _element(thing: BaseShape | Slide | NotesSlide) -> XmlElement:
    return cast("XmlElement", thing.element)


def _body(shape: BaseShape) -> XmlElement | None:
    return child(_element(shape), "txBody")


def _placeholder(shape: BaseShape) -> PP_PLACEHOLDER | None:
    """The placeholder type of a shape; None for other shapes."""
    return shape.placeholder_format.type if shape.is_placeholder else None

"""Presentations (.pptx): slide by slide, what is on it, what its speaker notes and comments say."""

from assistant.contracts.documents import ReadDocument
from assistant.documents.archive import Archive
from assistant.documents.draft import Draft, count
from assistant.documents.drawing import chart_text, diagram_text, run_text, shape_texts
from assistant.documents.limits import Limits
from assistant.documents.maths import equation
from assistant.documents.ooxml import Element, Package, Relation, alternatives, attribute, child, children, descendants, local, reference
from assistant.documents.refusals import damaged
from assistant.documents.tables import table

_WHAT = "a presentation"
_TITLES = frozenset({"title", "ctrTitle"})
_UNSAID = frozenset({"sldNum", "sldImg"})
_LISTS = frozenset({"body", "obj"})


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    package = Package(Archive(data, limits, what=_WHAT), _WHAT)
    main = package.main("ppt/presentation.xml")
    root = package.tree(main)
    if root is None:
        raise damaged(_WHAT)
    relations = package.relations(main)
    listed = [relations.get(reference(item)) for item in descendants(root, "sldId")]
    parts = [relation.target for relation in listed if relation is not None and not relation.external]
    draft = Draft(limits.text_chars)
    for number, part in enumerate(parts, start=1):
        slide = package.tree(part)
        draft.begin(f"slide {number}")
        if slide is None:
            draft.add(f"## Slide {number}\n\n(This slide is damaged.)")
        else:
            _Slide(package, part, slide).write(number, draft)
        if draft.full:
            break
    return draft.finish(name, facts=(count(len(parts), "slide"),))


class _Slide:
    """One slide with the parts that belong to it."""

    def __init__(self, package: Package, part: str, root: Element) -> None:
        self._package, self._part, self._root = package, part, root
        self._relations = package.relations(part)
        self._title = ""

    def write(self, number: int, draft: Draft) -> None:
        blocks = self._shapes(child(self._root, "cSld", "spTree"))
        hidden = " (hidden)" if attribute(self._root, "show", "1") in {"0", "false"} else ""
        draft.add(f"## Slide {number}{hidden}{f': {self._title}' if self._title else ''}")
        for block in blocks:
            draft.add(block)
        for block in self._notes():
            draft.add(block)
        draft.add("\n".join(self._comments()))

    def _shapes(self, tree: Element | None) -> list[str]:
        """The blocks of all shapes, groups within groups included, in the order of the file, which is the order of reading aloud."""
        blocks: list[str] = []
        for shape in tree if tree is not None else ():
            match local(shape):
                case "sp" | "cxnSp":
                    blocks += self._shape(shape)
                case "grpSp":
                    blocks += self._shapes(shape)
                case "graphicFrame":
                    blocks += self._frame(shape)
                case "pic":
                    blocks += _picture(shape)
                case "AlternateContent":
                    blocks += self._shapes(alternatives(shape))
                case _:
                    pass
        return blocks

    def _shape(self, shape: Element) -> list[str]:
        kind = _placeholder(shape)
        body = child(shape, "txBody")
        if kind in _UNSAID:
            return []
        if kind in _TITLES and not self._title:
            self._title = " ".join(" ".join(shape_texts(body)).split())
            return []
        lines = _paragraphs(body, listed=kind in _LISTS, relations=self._relations)
        return ["\n".join(lines)] if lines else _picture(shape)

    def _frame(self, frame: Element) -> list[str]:
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
                    blocks.append(chart_text(self._related(reference(item))))
                case "relIds":
                    blocks.append(diagram_text(self._related(reference(item, "dm"))))
                case _:
                    blocks += ["\n".join(shape_texts(body)) for body in descendants(item, "txBody")]
        return [block for block in blocks if block] or _picture(frame)

    def _related(self, identity: str) -> Element | None:
        relation = self._relations.get(identity)
        return None if relation is None or relation.external else self._package.tree(relation.target)

    def _notes(self) -> list[str]:
        for part in self._package.related(self._part, "notesSlide"):
            tree = child(self._package.tree(part), "cSld", "spTree")
            lines = [
                line
                for shape in descendants(tree, "sp")
                if _placeholder(shape) not in {*_UNSAID, "hdr", "ftr", "dt"}
                for line in shape_texts(child(shape, "txBody"))
            ]
            if lines:
                return ["### Notes", "\n".join(lines)]
        return []

    def _comments(self) -> list[str]:
        lines: list[str] = []
        for relation in self._relations.values():
            if relation.kind != "comments" or relation.external:
                continue
            for comment in self._package.tree(relation.target) or ():
                texts = [text.text or "" for text in comment.iter() if local(text) in {"text", "t"}]
                words = " ".join(" ".join(texts).split())
                lines += [f"- Comment: {words}"] if words else []
        return lines


def _placeholder(shape: Element) -> str:
    """The kind of a placeholder: "title", "body", "sldNum"; "obj" is the standard's default, "" is a shape of its own."""
    for properties in shape:
        holder = child(properties, "nvPr", "ph")
        if holder is not None:
            return attribute(holder, "type", "obj")
    return ""


def _paragraphs(body: Element | None, *, listed: bool, relations: dict[str, Relation]) -> list[str]:
    """The paragraphs of a shape; as a list where they have bullets, which the text of a body has unless it says otherwise."""
    lines: list[str] = []
    several = listed and len(shape_texts(body)) > 1
    for paragraph in children(body, "p"):
        text = _with_links(paragraph, relations).strip()
        if not text:
            continue
        properties = child(paragraph, "pPr")
        level = attribute(properties, "lvl", "0")
        indent = "  " * (int(level) if level.isdecimal() and len(level) == 1 else 0)
        marks = {local(item) for item in properties} if properties is not None else set[str]()
        bullet = bool(marks & {"buChar", "buAutoNum", "buBlip"}) or ((several or bool(indent)) and "buNone" not in marks)
        lines.append(f"{indent}- {text}" if bullet else text)
    return lines


def _with_links(paragraph: Element, relations: dict[str, Relation]) -> str:
    parts: list[str] = []
    for item in paragraph:
        name = local(item)
        if name == "AlternateContent":
            choice = alternatives(item)
            parts.append(_with_links(choice, relations) if choice is not None else "")
            continue
        if name in {"m", "oMath", "oMathPara"}:
            parts.append(f"${equation(item)}$")
            continue
        words = run_text(item) if name != "br" else "\n"
        click = child(item, "rPr", "hlinkClick")
        link = relations.get(reference(click)) if click is not None else None
        parts.append(f"[{words}]({link.target})" if link is not None and link.external and words.strip() else words)
    return "".join(parts)


def _picture(shape: Element) -> list[str]:
    """What a picture is said to show."""
    for properties in shape:
        described = child(properties, "cNvPr")
        words = " ".join(attribute(described, "descr").split())
        if words:
            return [f"[Picture: {words}]"]
    return []

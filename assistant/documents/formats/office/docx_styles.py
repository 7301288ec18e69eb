"""Styles and numbering of Word documents: a paragraph's heading level, list level and number."""

import re
from typing import NamedTuple

from assistant.documents.formats.office.package import XmlElement, attribute, child, children, is_on

_HEADING_NAME = re.compile(r"heading ([1-9])", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"%([1-9])")
_LONGEST_CHAIN = 20
_ROMAN = {1000: "m", 900: "cm", 500: "d", 400: "cd", 100: "c", 90: "xc", 50: "l", 40: "xl", 10: "x", 9: "ix", 5: "v", 4: "iv", 1: "i"}
_LEVELS = 9


class _ParagraphStyle(NamedTuple):
    name: str
    based_on: str
    properties: XmlElement | None


class DocxStyles:
    """Paragraph styles by id. Headings are recognised by outline level, since names may be in any language."""

    def __init__(self, root: XmlElement | None) -> None:
        self._styles: dict[str, _ParagraphStyle] = {}
        for element in children(root, "style"):
            name, based_on = (attribute(child(element, key), "val") for key in ("name", "basedOn"))
            self._styles[attribute(element, "styleId")] = _ParagraphStyle(name, based_on, child(element, "pPr"))
        self._has_nameless = "" in self._styles

    def level(self, properties: XmlElement | None) -> int:
        """The heading level of a paragraph, 1 to 9; 0 for text."""
        if properties is None and not self._has_nameless:
            return 0
        for style, found in self._chain(properties):
            outline = child(found, "outlineLvl")
            if outline is not None:
                number = attribute(outline, "val", "9")
                return int(number) + 1 if number.isdecimal() and int(number) < _LEVELS else 0
            if match := _HEADING_NAME.fullmatch(style):
                return int(match[1])
            if style.lower() == "title":
                return 1
        return 0

    def numbering(self, properties: XmlElement | None) -> tuple[str, int]:
        """The id of a paragraph's numbering and its level from 0; ("", 0) where it has none."""
        if properties is None and not self._has_nameless:
            return "", 0
        number, level = "", -1
        for _, found in self._chain(properties):
            place = child(found, "numPr")
            identity, depth = child(place, "numId"), attribute(child(place, "ilvl"), "val")
            if level < 0 and depth.isdecimal():
                level = min(int(depth), _LEVELS - 1)
            if identity is not None:
                number = attribute(identity, "val")
                break
        return ("", 0) if number in {"", "0"} else (number, max(level, 0))

    def _chain(self, properties: XmlElement | None) -> list[tuple[str, XmlElement | None]]:
        """A paragraph's own properties, then those of its style and the styles that one is based on."""
        chain: list[tuple[str, XmlElement | None]] = [("", properties)]
        identity = attribute(child(properties, "pStyle"), "val")
        while identity in self._styles and len(chain) < _LONGEST_CHAIN:
            style = self._styles[identity]
            chain.append((style.name, style.properties))
            identity = style.based_on
        return chain


class _ListLevel(NamedTuple):
    format: str = "decimal"
    text: str = "%1."
    start: int = 1


class _NumberedList(NamedTuple):
    levels: dict[int, _ListLevel]
    counters: dict[int, int]


class DocxNumbering:
    """The lists of a document. Counts their items in document order."""

    def __init__(self, root: XmlElement | None) -> None:
        self._lists: dict[str, _NumberedList] = {}
        abstract = {attribute(element, "abstractNumId"): element for element in children(root, "abstractNum")}
        linked = {attribute(link, "val"): element for element in abstract.values() if (link := child(element, "styleLink")) is not None}
        shared: dict[str, dict[int, int]] = {}
        for number in children(root, "num"):
            identity = attribute(child(number, "abstractNumId"), "val")
            base = abstract.get(identity)
            if base is not None and (link := child(base, "numStyleLink")) is not None:
                base = linked.get(attribute(link, "val"), base)
            levels = _read_levels(base)
            overrides = list(children(number, "lvlOverride"))
            for override in overrides:
                levels |= _read_levels(override)
                start = child(override, "startOverride")
                if start is not None:
                    place = _int(attribute(override, "ilvl"), 0)
                    levels[place] = levels.get(place, _ListLevel())._replace(start=_int(attribute(start, "val"), 1))
            counters = {} if overrides else shared.setdefault(identity, {})  # lists of one kind share their counters
            self._lists[attribute(number, "numId")] = _NumberedList(levels, counters)

    def next(self, number: str, level: int) -> str:
        """The label of the next item of a list: "2.1", "b)", "-"; "" where the list has no labels."""
        known = self._lists.get(number)
        if known is None:
            return "-"
        this = known.levels.get(level, _ListLevel(text=f"%{level + 1}."))
        for deeper in [place for place in known.counters if place > level]:
            del known.counters[deeper]
        known.counters[level] = known.counters.get(level, this.start - 1) + 1
        if this.format in ("bullet", "none"):
            return "-" if this.format == "bullet" else ""

        def show(match: re.Match[str]) -> str:
            place = int(match[1]) - 1
            of = known.levels.get(place, _ListLevel())
            return _write(known.counters.get(place, of.start), of.format)

        return _PLACEHOLDER.sub(show, this.text).strip()


def _read_levels(element: XmlElement | None) -> dict[int, _ListLevel]:
    levels: dict[int, _ListLevel] = {}
    for item in children(element, "lvl"):
        place = _int(attribute(item, "ilvl"), 0)
        levels[place] = _ListLevel(
            format=attribute(child(item, "numFmt"), "val", "decimal"),
            text=attribute(child(item, "lvlText"), "val", "" if is_on(child(item, "lvlText")) else f"%{place + 1}."),
            start=_int(attribute(child(item, "start"), "val"), 1),
        )
    return levels


def _int(text: str, default: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else default


def _write(number: int, form: str) -> str:
    """A number in a list's format: 4, 04, d, D, iv, IV."""
    match form:
        case "lowerLetter" | "upperLetter":
            letters = chr(ord("a") + (number - 1) % 26) * (1 + min(number - 1, 260) // 26)
            return letters.upper() if form == "upperLetter" else letters
        case "lowerRoman" | "upperRoman" if 0 < number < 4000:
            left, roman = number, ""
            for value, sign in _ROMAN.items():
                roman += sign * (left // value)
                left %= value
            return roman.upper() if form == "upperRoman" else roman
        case "decimalZero":
            return f"{number:02}"
        case _:
            return str(number)

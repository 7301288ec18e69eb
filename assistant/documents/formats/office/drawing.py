"""What Word, Excel and PowerPoint files share: charts, diagrams (SmartArt), paragraphs in shapes (DrawingML), and equations (OMML)."""

import re

from assistant.documents.formats.markdown import table
from assistant.documents.formats.office.package import XmlElement, attribute, child, children, descendants, local

_MAX_POINTS = 10_000
_FUNCTIONS = re.compile("sin|cos|tan|cot|sec|csc|sinh|cosh|tanh|arcsin|arccos|arctan|log|ln|exp|lim|max|min|sup|inf|det|gcd")
_APPLY = "\u2061"
"""Invisible function application."""
_NARY = {"∑": "\\sum", "∏": "\\prod", "∫": "\\int", "∬": "\\iint", "∭": "\\iiint", "∮": "\\oint", "⋃": "\\bigcup", "⋂": "\\bigcap"}
_ACCENTS = {"\u0302": "\\hat", "\u0303": "\\tilde", "\u0304": "\\bar", "\u0305": "\\overline", "\u20d7": "\\vec", "\u0307": "\\dot"}


def chart_text(root: XmlElement | None) -> str:
    """A chart as a table: a row per category, a column per series, under its titles."""
    if root is None:
        return ""
    titles = [words for title in descendants(root, "title") if (words := _plain(title))]
    series = [_read_series(element) for element in descendants(root, "ser")]
    names = [name for name, _, _ in series]
    labels: dict[int, str] = {}
    for _, categories, _ in series:
        labels = categories | labels
    points = sorted({index for _, _, values in series for index in values} | set(labels))[:_MAX_POINTS]
    rows = [["", *names], *([labels.get(index, str(index + 1)), *(values.get(index, "") for _, _, values in series)] for index in points)]
    head = f"Chart: {'; '.join(titles)}" if titles else "Chart:"
    return f"{head}\n\n{table(rows)}" if series else head if titles else ""


def diagram_text(root: XmlElement | None) -> str:
    """The texts of a SmartArt diagram as a list, in data order."""
    if root is None:
        return ""
    lines = [" ".join(words.split()) for point in descendants(root, "pt") if (words := "\n".join(shape_texts(child(point, "t"))))]
    return "\n".join(f"- {line}" for line in lines if line)


def shape_texts(body: XmlElement | None) -> list[str]:
    """The paragraphs of a shape's text, without empty ones."""
    lines = (run_text(paragraph) for paragraph in children(body, "p"))
    return [line for line in lines if line.strip()]


def run_text(paragraph: XmlElement) -> str:
    """The words of one DrawingML paragraph."""
    return "".join("\n" if local(item) == "br" else item.text or "" for item in paragraph.iter() if local(item) in {"t", "br"})


def _read_series(element: XmlElement) -> tuple[str, dict[int, str], dict[int, str]]:
    """A series' name, its categories and its values, both by index."""
    name = " ".join(_points(child(element, "tx")).values())
    categories: dict[int, str] = {}
    values: dict[int, str] = {}
    for item in element:
        if local(item) in {"cat", "xVal"}:
            categories = _categories(item)
        elif local(item) in {"val", "yVal"}:
            values = _points(item)
    return name, categories, values


def _categories(element: XmlElement) -> dict[int, str]:
    """Category names; those of several levels joined, the outermost first."""
    levels = [_points(level) for level in descendants(element, "lvl")]
    if not levels:
        return _points(element)
    return {index: " / ".join(level[index] for level in reversed(levels) if index in level) for index in levels[0]}


def _points(element: XmlElement | None) -> dict[int, str]:
    points: dict[int, str] = {}
    for point in descendants(element, "pt"):
        index, value = attribute(point, "idx", "0"), child(point, "v")
        if value is not None and value.text and index.isdecimal():
            points[int(index)] = value.text
    direct = child(element, "v")
    return points or ({0: direct.text} if direct is not None and direct.text else {})


def _plain(element: XmlElement) -> str:
    words = " ".join("\n".join(run_text(paragraph) for paragraph in descendants(element, "p")).split())
    return words or " ".join(_points(element).values())


def equation(element: XmlElement) -> str:
    """An Office equation (OMML) as LaTeX, without dollar signs."""
    return " ".join(_latex_of(element).replace(_APPLY, "").split())


def _latex_of(element: XmlElement | None) -> str:
    return "".join(_latex(item) for item in element) if element is not None else ""


def _argument(element: XmlElement, name: str) -> str:
    return _latex_of(child(element, name)).strip()


def _property(element: XmlElement, properties: str, name: str, default: str) -> str:
    found = child(element, properties, name)
    return default if found is None else attribute(found, "val", default)


def _sub_sup(element: XmlElement) -> str:
    low, high = _argument(element, "sub"), _argument(element, "sup")
    return (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")


def _named(name: str) -> str:
    return f"\\{name}" if _FUNCTIONS.fullmatch(name) else name


def _cells(element: XmlElement) -> list[str]:
    return [_latex_of(item).strip() for item in children(element, "e")]


def _latex(element: XmlElement) -> str:
    match local(element):
        case "t":
            return element.text or ""
        case "f":
            return f"\\frac{{{_argument(element, 'num')}}}{{{_argument(element, 'den')}}}"
        case "sSub" | "sSup" | "sSubSup":
            return _argument(element, "e") + _sub_sup(element)
        case "sPre":
            return f"{{}}_{{{_argument(element, 'sub')}}}^{{{_argument(element, 'sup')}}}{_argument(element, 'e')}"
        case "rad":
            degree = _argument(element, "deg")
            return f"\\sqrt{f'[{degree}]' if degree else ''}{{{_argument(element, 'e')}}}"
        case "nary":
            sign = _property(element, "naryPr", "chr", "∫")
            return f"{_NARY.get(sign, sign)}{_sub_sup(element)} {_argument(element, 'e')}"
        case "d":
            separator = _property(element, "dPr", "sepChr", "|")
            return f"{_property(element, 'dPr', 'begChr', '(')}{separator.join(_cells(element))}{_property(element, 'dPr', 'endChr', ')')}"
        case "func":
            return f"{_named(_argument(element, 'fName'))} {_argument(element, 'e')}".strip()
        case "limLow":
            return f"{_named(_argument(element, 'e'))}_{{{_argument(element, 'lim')}}}"
        case "limUpp":
            return f"{_argument(element, 'e')}^{{{_argument(element, 'lim')}}}"
        case "acc":
            sign = _ACCENTS.get(_property(element, "accPr", "chr", "\u0302"), "\\hat")
            return f"{sign}{{{_argument(element, 'e')}}}"
        case "bar":
            return f"\\{'overline' if _property(element, 'barPr', 'pos', 'bot') == 'top' else 'underline'}{{{_argument(element, 'e')}}}"
        case "m":
            rows = " \\\\ ".join(" & ".join(_cells(line)) for line in children(element, "mr"))
            return f"\\begin{{matrix}} {rows} \\end{{matrix}}"
        case "eqArr":
            return " \\\\ ".join(_cells(element))
        case name:
            return "" if name.endswith("Pr") else _latex_of(element)

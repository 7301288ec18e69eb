"""Office equations (OMML) as LaTeX."""

import re

from assistant.documents.formats.office.ooxml import XmlElement, attribute, child, children, local

_FUNCTIONS = re.compile("sin|cos|tan|cot|sec|csc|sinh|cosh|tanh|arcsin|arccos|arctan|log|ln|exp|lim|max|min|sup|inf|det|gcd")
_APPLY = "\u2061"
"""Invisible function application."""
_NARY = {"∑": "\\sum", "∏": "\\prod", "∫": "\\int", "∬": "\\iint", "∭": "\\iiint", "∮": "\\oint", "⋃": "\\bigcup", "⋂": "\\bigcap"}
_ACCENTS = {"\u0302": "\\hat", "\u0303": "\\tilde", "\u0304": "\\bar", "\u0305": "\\overline", "\u20d7": "\\vec", "\u0307": "\\dot"}


def equation(element: XmlElement) -> str:
    """One formula, without the dollar signs around it."""
    return " ".join(_all(element).replace(_APPLY, "").split())


def _all(element: XmlElement | None) -> str:
    return "".join(_one(item) for item in element) if element is not None else ""


def _part(element: XmlElement, name: str) -> str:
    return _all(child(element, name)).strip()


def _value(element: XmlElement, properties: str, name: str, default: str) -> str:
    found = child(element, properties, name)
    return default if found is None else attribute(found, "val", default)


def _one(element: XmlElement) -> str:
    name = local(element)
    if name == "t":
        return element.text or ""
    if name in _WRITERS:
        return _WRITERS[name](element)
    return "" if name.endswith("Pr") else _all(element)


def _fraction(element: XmlElement) -> str:
    return f"\\frac{{{_part(element, 'num')}}}{{{_part(element, 'den')}}}"


def _sub_sup(element: XmlElement) -> str:
    low, high = _part(element, "sub"), _part(element, "sup")
    return (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")


def _scripts(element: XmlElement) -> str:
    return _part(element, "e") + _sub_sup(element)


def _prescripts(element: XmlElement) -> str:
    return f"{{}}_{{{_part(element, 'sub')}}}^{{{_part(element, 'sup')}}}{_part(element, 'e')}"


def _root(element: XmlElement) -> str:
    degree = _part(element, "deg")
    return f"\\sqrt{f'[{degree}]' if degree else ''}{{{_part(element, 'e')}}}"


def _nary(element: XmlElement) -> str:
    sign = _value(element, "naryPr", "chr", "∫")
    return f"{_NARY.get(sign, sign)}{_sub_sup(element)} {_part(element, 'e')}"


def _delimiters(element: XmlElement) -> str:
    begin, end = _value(element, "dPr", "begChr", "("), _value(element, "dPr", "endChr", ")")
    middle = _value(element, "dPr", "sepChr", "|")
    return f"{begin}{middle.join(_all(item).strip() for item in children(element, 'e'))}{end}"


def _named(name: str) -> str:
    return f"\\{name}" if _FUNCTIONS.fullmatch(name) else name


def _function(element: XmlElement) -> str:
    name = _part(element, "fName")
    return f"{_named(name)} {_part(element, 'e')}".strip()


def _low_limit(element: XmlElement) -> str:
    return f"{_named(_part(element, 'e'))}_{{{_part(element, 'lim')}}}"


def _high_limit(element: XmlElement) -> str:
    return f"{_part(element, 'e')}^{{{_part(element, 'lim')}}}"


def _accent(element: XmlElement) -> str:
    sign = _ACCENTS.get(_value(element, "accPr", "chr", "\u0302"), "\\hat")
    return f"{sign}{{{_part(element, 'e')}}}"


def _bar(element: XmlElement) -> str:
    sign = "\\overline" if _value(element, "barPr", "pos", "bot") == "top" else "\\underline"
    return f"{sign}{{{_part(element, 'e')}}}"


def _matrix(element: XmlElement) -> str:
    rows = (" & ".join(_all(item).strip() for item in children(line, "e")) for line in children(element, "mr"))
    body = " \\\\ ".join(rows)
    return f"\\begin{{matrix}} {body} \\end{{matrix}}"


def _lines(element: XmlElement) -> str:
    return " \\\\ ".join(_all(item).strip() for item in children(element, "e"))


_WRITERS = {
    "f": _fraction,
    "sSub": _scripts,
    "sSup": _scripts,
    "sSubSup": _scripts,
    "sPre": _prescripts,
    "rad": _root,
    "nary": _nary,
    "d": _delimiters,
    "func": _function,
    "limLow": _low_limit,
    "limUpp": _high_limit,
    "acc": _accent,
    "bar": _bar,
    "m": _matrix,
    "eqArr": _lines,
}

"""Number formats of cells: a number as its cell shows it (ECMA-376 Part 1, 18.8.31), in a neutral locale.

Dates and times are not formatted here: the reader writes them as ISO 8601. Colours and paddings are left out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

BUILT_IN: dict[int, str] = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
    48: "##0.0E+0",
}
"""Formats by the ids that files need not declare. Those of money depend on the reader's country and are left out."""

_SECTION = re.compile(r'(?:"[^"]*"?|\\.|[_*].|\[[^\]]*\]|[^;"\\_*\[]|[_*\\\[])*')
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<pad>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]|(?P<general>General)|(?P<digits>[0#?]+)|'
    r"(?P<exponent>E[+-])|(?P<date>AM/PM|A/P|[ymdhsbgea]+)|(?P<sign>[.,%/@])|(?P<literal>.)",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[0-9.]+)")
_ELAPSED = re.compile("h+|m+|s+", re.IGNORECASE)
_TESTS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda value, other: value < other,
    ">": lambda value, other: value > other,
    "<=": lambda value, other: value <= other,
    ">=": lambda value, other: value >= other,
    "=": lambda value, other: value == other,
    "<>": lambda value, other: value != other,
}
_LONGEST = 255
_MOST_DIGITS = 30
_NUDGE = 1 + 2**-51
"""Spreadsheets round the 15 decimal digits that they show: 2.675 is 2.68, though its binary value lies below."""

_Token = tuple[str, str]
_Show = Callable[[float], str]


def general(value: float) -> str:
    """A number without a format: all digits of a whole one, 15 of any other."""
    if value.is_integer() and -1e21 < value < 1e21:
        return str(int(value)) if -(2**53) < value < 2**53 else f"{Decimal(repr(value)):f}"
    return f"{value:.15g}"


@dataclass(frozen=True, slots=True)
class _Section:
    show: _Show
    """Of a number above zero."""
    test: tuple[str, float] | None
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Displayed:
    """What the file itself says that a cell shows."""

    words: str
    text: None = None

    def show(self, value: float) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The sections of a format code, for numbers and for text."""

    sections: tuple[_Section, ...]
    text: Callable[[str], str] | None = None

    def show(self, value: float) -> str:
        """The number as the cell shows it; one that its format hides is shown without a format."""
        section, signed = self._choose(value)
        if section is None or section.is_empty:
            return general(value)
        words = " ".join(section.show(abs(value)).split())
        return f"-{words}" if signed and value < 0 and any(sign in "123456789" for sign in words) else words

    def _choose(self, value: float) -> tuple[_Section | None, bool]:
        """The section for a number, and whether it takes a sign of its own."""
        sections = self.sections
        if not any(section.test for section in sections):
            index = 0 if len(sections) == 1 or value > 0 else 1 if value < 0 else 2 if len(sections) > 2 else 0
            return sections[index], index == 0
        defaults = (">", 0.0) if len(sections) > 2 else (">=", 0.0), ("<", 0.0), None
        for index, section in enumerate(sections):
            test = section.test or (None if index == len(sections) - 1 else defaults[index])
            if test is None or _TESTS[test[0]](value, test[1]):
                only_negative = test is not None and test[0] in {"<", "<=", "="} and test[1] <= 0
                return section, not only_negative
        return None, True


@lru_cache(maxsize=4_096)
def parse_format(code: str) -> NumberFormat | None:
    """The format of a code; None where cells show values as they are: "General", "@", dates and times, and codes that are broken."""
    if len(code) > _LONGEST or code.strip().lower() in {"", "general", "@"}:
        return None
    parts, at = list[str](), -1
    while at < len(code) and len(parts) < 4 and (match := _SECTION.match(code, at + 1)):
        parts.append(match[0])
        at = match.end()
    tokens = [list(_tokenize(part)) for part in parts]
    if any(kind == "date" for part in tokens for kind, _ in part):
        return None
    text = None
    if len(tokens) == 4 or (len(tokens) > 1 and any(kind == "@" for kind, _ in tokens[-1])):
        text = _text(tokens.pop())
    elif any(kind == "@" for kind, _ in tokens[0]):
        text = _text(tokens[0])
    return NumberFormat(tuple(_section(part) for part in tokens), text)


def _tokenize(section: str) -> list[_Token]:
    """Kinds and texts: literal, digits, general, exponent, date, condition, and the signs . , % / @."""
    found: list[_Token] = []
    for match in _TOKEN.finditer(section):
        kind, text = match.lastgroup or "", match[match.lastgroup or 0]
        if kind == "bracket":
            if text.startswith("$"):
                found.append(("literal", text[1:].split("-")[0]))
            elif _CONDITION.fullmatch(text):
                found.append(("condition", text))
            elif _ELAPSED.fullmatch(text):
                found.append(("date", text))
        elif kind in {"pad", "fill"}:
            found.append(("literal", " " if kind == "pad" or text == " " else ""))
        elif kind in {"quoted", "escaped"}:
            found.append(("literal", text))
        else:
            found.append((text if kind == "sign" else kind, text))
    return found


def _text(tokens: list[_Token]) -> Callable[[str], str] | None:
    """How text is shown; None where it is shown as it is."""
    parts = [None if kind == "@" else text for kind, text in tokens if kind in {"@", "literal"}]
    if None not in parts or not "".join(part or "" for part in parts).strip():
        return None
    return lambda value: "".join(value if part is None else part for part in parts).strip()


def _section(tokens: list[_Token]) -> _Section:
    test = next((_CONDITION.fullmatch(text) for kind, text in tokens if kind == "condition"), None)
    kept = [(kind, text) for kind, text in tokens if kind != "condition"]
    kinds = [kind for kind, _ in kept]
    try:
        limit = (test[1], float(test[2])) if test else None
    except ValueError:
        limit = None
    if "digits" not in kinds:
        show = _pieces(kept)
    elif "/" in kinds[kinds.index("digits") :] and "exponent" not in kinds:
        show = _fraction(kept)
    elif "exponent" in kinds:
        show = _scientific(kept)
    else:
        show = _decimal(kept)
    return _Section(show, limit, not "".join(text for _, text in kept).strip())


def _pieces(tokens: list[_Token]) -> _Show:
    """Words with the number as it is where "General" or "@" stands, or without any number."""
    parts = [None if kind in {"general", "@"} else text for kind, text in tokens]
    return lambda value: "".join(general(value) if part is None else part for part in parts)


def _split(tokens: list[_Token]) -> tuple[str, list[_Token], str]:
    """The words before the first and behind the last digit or comma that belongs to one, and what lies between."""
    places = [index for index, (kind, _) in enumerate(tokens) if kind == "digits"]
    first, last = places[0], places[-1]
    if first and tokens[first - 1][0] == ".":
        first -= 1
    while last + 1 < len(tokens) and tokens[last + 1][0] in {",", "."}:
        last += 1
    words = ["".join(text for _, text in part) for part in (tokens[:first], tokens[last + 1 :])]
    return words[0], tokens[first : last + 1], words[1]


def _decimal(tokens: list[_Token]) -> _Show:
    before, core, after = _split(tokens)
    point = next((index for index, (kind, _) in enumerate(core) if kind == "."), len(core))
    whole, part = core[:point], core[point + 1 :]
    digits = [index for index, (kind, _) in enumerate(whole) if kind == "digits"]
    last = digits[-1] if digits else -1
    grouped = any(kind == "," for kind, _ in whole[:last])
    commas = sum(1 for kind, _ in (*whole[last + 1 :], *part) if kind == ",")
    factor = 100.0 ** sum(1 for kind, _ in tokens if kind == "%") / 1000.0**commas
    mask, decimals = _mask(whole), _mask(part)[:_MOST_DIGITS]
    least = len(mask) - mask.index("0") if "0" in mask else 0
    least_decimals = decimals.rfind("0") + 1
    inside = any(kind in {"literal", "%"} for kind, _ in core)
    dot = "." if point < len(core) else ""
    nothing = "" if set(mask) == {"?"} and before.strip() else "0"  # the dash of an accounting format

    def show(value: float) -> str:
        number, behind = _digits(value * factor, len(decimals))
        number = number.lstrip("0").rjust(least, "0") if least else number.lstrip("0")
        behind = behind[:least_decimals] + behind[least_decimals:].rstrip("0")
        if inside:
            return f"{before}{_fill(whole, number)}{dot}{_spread(part, behind)}{after}"
        if grouped:
            number = _group(number)
        return f"{before}{number or ('' if behind else nothing)}{dot if behind or part else ''}{behind}{after}"

    return show


def _mask(tokens: list[_Token]) -> str:
    return "".join(text for kind, text in tokens if kind == "digits")


def _digits(value: float, decimals: int) -> tuple[str, str]:
    """The digits before and behind the point, rounded half up."""
    if value < 1e15 and not value.is_integer():
        value *= _NUDGE
    number, _, behind = (f"{value:.{decimals}f}" if value < 2**53 else f"{Decimal(repr(value)):.{decimals}f}").partition(".")
    return number, behind


def _group(number: str) -> str:
    head = len(number) % 3
    return ",".join(filter(None, [number[:head], *(number[at : at + 3] for at in range(head, len(number), 3))]))


def _fill(tokens: list[_Token], number: str) -> str:
    """Digits put into their places from the right, words between them; those left over stand in the first place."""
    done: list[str] = []
    first = next((index for index, (kind, _) in enumerate(tokens) if kind == "digits"), 0)
    for index in range(len(tokens) - 1, -1, -1):
        kind, text = tokens[index]
        if kind == "digits":
            size = len(number) if index == first else len(text)
            number, taken = (number[:-size], number[-size:]) if size else (number, "")
            done.append(taken)
        elif kind != ",":
            done.append(text)
    return "".join(reversed(done))


def _spread(tokens: list[_Token], digits: str) -> str:
    done: list[str] = []
    for kind, text in tokens:
        if kind == "digits":
            done.append(digits[: len(text)])
            digits = digits[len(text) :]
        elif kind != ",":
            done.append(text)
    return "".join(done)


def _scientific(tokens: list[_Token]) -> _Show:
    before, core, after = _split(tokens)
    at = next((index for index, (kind, _) in enumerate(core) if kind == "exponent"), len(core))
    mantissa, power = core[:at], _mask(core[at + 1 :])
    point = next((index for index, (kind, _) in enumerate(mantissa) if kind == "."), len(mantissa))
    step, decimals = max(1, len(_mask(mantissa[:point]))), min(len(_mask(mantissa[point + 1 :])), _MOST_DIGITS)
    always = core[at][1].endswith("+") if at < len(core) else True

    def show(value: float) -> str:
        exponent = int(f"{value:.{decimals}e}".partition("e")[2]) if value else 0
        exponent -= exponent % step if step > 1 else 0
        number, behind = _digits(value / 10.0**exponent if exponent > -300 else value * 1e300 / 10.0 ** (exponent + 300), decimals)
        sign = "-" if exponent < 0 else "+" if always else ""
        return f"{before}{number}{'.' if behind else ''}{behind}E{sign}{str(abs(exponent)).rjust(len(power), '0')}{after}"

    return show


def _fraction(tokens: list[_Token]) -> _Show:
    """ "# ?/?", "?/8", "# ??/16": a whole number, where the code has a place for it, and the nearest fraction."""
    slash = next(index for index, (kind, _) in enumerate(tokens) if kind == "/")
    places = [index for index, (kind, _) in enumerate(tokens) if kind == "digits"]
    over = [index for index in places if index < slash]
    mixed = len(over) > 1
    end = slash + 1
    while end < len(tokens) and (tokens[end][0] == "digits" or (tokens[end][0] == "literal" and tokens[end][1].isdigit())):
        end += 1
    below = "".join(text for _, text in tokens[slash + 1 : end])
    fixed = int(below) if below.isdigit() and int(below) and not below.startswith("0") else 0
    before = "".join(text for _, text in tokens[: over[0]]) if over else ""
    after = "".join(text for _, text in tokens[end:])
    most = 10 ** min(max(1, len(below)), 5) - 1

    def show(value: float) -> str:
        if value > 1e15:
            return f"{before}{general(value)}{after}"
        exact = Fraction(value)
        near = Fraction(round(exact * fixed), fixed) if fixed else exact.limit_denominator(most)
        whole, rest = divmod(near, 1) if mixed else (0, near)
        unit = fixed or rest.denominator
        shown = f"{rest * unit}/{unit}"
        if mixed:
            shown = f"{whole} {shown}" if whole and rest else shown if rest else str(whole)
        return f"{before}{shown}{after}"

    return show

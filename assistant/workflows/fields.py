"""The pieces of a workflow's file, taken out one by one; what is wrong with one is noted, and the others are looked at all the same."""

import difflib
from collections.abc import Collection, Sequence
from typing import Final

from assistant.workflows.definition import Problem, Shape
from assistant.workflows.references import BadReference, Template, parse_template
from assistant.workflows.yaml_text import Listing, Mapping, Scalar, Tree

_MOST_PROBLEMS: Final = 20


class Notes:
    """The problems found in one file."""

    def __init__(self, workflow: str) -> None:
        self._workflow = workflow
        self.problems: list[Problem] = []

    def add(self, line: int, words: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(Problem(workflow=self._workflow, line=line, words=words))


class Fields:
    """The keys of a mapping. `what` names it in complaints: "node 'send'"."""

    def __init__(self, tree: Mapping, what: str, known: Collection[str], notes: Notes) -> None:
        self._tree = tree
        self._what = what
        self._notes = notes
        for key, line in tree.keys.items():
            if key not in known:
                notes.add(line, f"{what} has no key '{key[:60]}'{_meant(key, known)}")

    @property
    def line(self) -> int:
        return self._tree.line

    def has(self, key: str) -> bool:
        return key in self._tree.items

    def line_of(self, key: str) -> int:
        return self._tree.keys.get(key, self._tree.line)

    def tree(self, key: str) -> Tree | None:
        return self._tree.items.get(key)

    def word(self, key: str) -> str:
        """A text without references; empty where there is none."""
        match self._tree.items.get(key):
            case None:
                return ""
            case Scalar(plain=False) | Scalar(value=str()) as scalar:
                return scalar.text
            case _:
                self._notes.add(self.line_of(key), f"{self._what}: '{key}' must be a text")
                return ""

    def flag(self, key: str, default: bool) -> bool:
        match self._tree.items.get(key):
            case None:
                return default
            case Scalar(value=bool() as value):
                return value
            case _:
                self._notes.add(self.line_of(key), f"{self._what}: '{key}' must be true or false")
                return default

    def number(self, key: str, default: float, least: float, most: float) -> float:
        match self._tree.items.get(key):
            case None:
                return default
            case Scalar(value=int() | float() as value) if not isinstance(value, bool) and least <= value <= most:
                return float(value)
            case _:
                self._notes.add(self.line_of(key), f"{self._what}: '{key}' must be a number of {least:g} to {most:g}")
                return default

    def words(self, key: str) -> Sequence[tuple[str, int]]:
        """A list of words, each with its line; one word alone is a list of it."""
        match self._tree.items.get(key):
            case None:
                return ()
            case Scalar(value=str()) as scalar:
                return ((scalar.text, scalar.line),)
            case Listing(items=items) if all(isinstance(item, Scalar) and isinstance(item.value, str) for item in items):
                return [(item.text, item.line) for item in items if isinstance(item, Scalar)]
            case _:
                self._notes.add(self.line_of(key), f"{self._what}: '{key}' must be a list of words")
                return ()

    def template(self, key: str) -> Template:
        """A text; a number is taken for its digits."""
        match self._tree.items.get(key):
            case None | Scalar(value=None):
                self._notes.add(self.line_of(key), f"{self._what} needs '{key}'")
            case Scalar() as scalar:
                return _template(scalar, self._notes)
            case other:
                hint = "; put {{ … }} in quotes" if isinstance(other, Mapping) else ""
                self._notes.add(self.line_of(key), f"{self._what}: '{key}' must be a text{hint}")
        return Template(())

    def shapes(self, key: str) -> dict[str, Shape]:
        """An object whose texts are templates; empty where there is none."""
        match self._tree.items.get(key):
            case None | Scalar(value=None):
                return {}
            case Mapping(items=items):
                return {name: shape_of(item, self._notes) for name, item in items.items()}
            case _:
                self._notes.add(self.line_of(key), f"{self._what}: '{key}' must be an object: a name, a colon and a value a line")
                return {}


def shape_of(tree: Tree, notes: Notes) -> Shape:
    match tree:
        case Scalar(value=str()):
            return _template(tree, notes)
        case Scalar(value=value):
            return value if not isinstance(value, str) else Template((value,))
        case Listing(items=items):
            return [shape_of(item, notes) for item in items]
        case Mapping(items=items):
            return {key: shape_of(item, notes) for key, item in items.items()}


def _template(scalar: Scalar, notes: Notes) -> Template:
    try:
        return parse_template(scalar.text)
    except BadReference as bad:
        # A block begins in the line below its key, a quoted text in its own.
        below = scalar.text[: bad.offset].count("\n") + (1 if scalar.block else 0)
        notes.add(scalar.line + below, str(bad))
        return Template(())


def _meant(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; '{close[0]}' was meant?" if close else f"; it takes {', '.join(known)}"

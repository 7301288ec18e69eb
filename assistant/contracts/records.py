"""How classes of values are made: what a turn makes many of, and what is declared some hundred times."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def record(kind: type[T]) -> type[T]:
    """Make a dataclass of values: with slots, named arguments, and equal where all fields are. The type checker refuses to set a field.

    Nothing refuses it while the program runs, as `dataclass(frozen=True)` does: that `__init__` takes five times as long, a turn makes some forty
    of them, and a class takes two to three times as long to declare, which the start waits for.
    """
    made = dataclass(slots=True, kw_only=True, eq=False, repr=False)(kind)
    own = kind.__dict__
    if "__eq__" not in own:
        values = _values(*[each.name for each in fields(made) if each.compare])  # pyright: ignore[reportArgumentType]

        def equal(self: object, other: object) -> bool:
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        made.__eq__ = equal
        if "__hash__" not in own:
            made.__hash__ = lambda self: hash(values(self))
    if "__repr__" not in own:
        made.__repr__ = _said
    return made


def _values(*names: str) -> Callable[[object], Any]:
    return attrgetter(*names) if names else lambda _: ()


def _said(self: Any) -> str:
    shown = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"

"""From what was written to what the models take: names in one spelling, variables filled in, nanobot's other keys set aside."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assistant.config.errors import Problem
from assistant.config.keys import ANY_NAME, KeyPath, Named, Section, Shape, Value, camel, keys_of, nearest, shape_of_names, walk
from assistant.config.nanobot_keys import OTHER_SECTIONS, SECTION_KEYS, says_nothing
from assistant.contracts.messages import Json
from assistant.contracts.settings import Settings

_VARIABLE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FOREIGN_KEYS: frozenset[KeyPath] = frozenset(
    [(*section.split("."), key) for section, keys in SECTION_KEYS.items() for key in keys]
    + [tuple(key.split(".")) for key in OTHER_SECTIONS]
)


@dataclass(slots=True)
class Check:
    """One pass over one source (the file, the environment, the command line), and what it found."""

    root: type[Settings]
    origin: str
    variables: Mapping[str, str] | None
    """What `${NAME}` stands for; None: nothing is filled in."""
    from_text: bool = False
    """Values are texts of environment variables: a list or an object is JSON in them."""
    problems: list[Problem] = field(default_factory=list[Problem])
    ignored: dict[str, None] = field(default_factory=dict[str, None])
    """nanobot's keys that were set and have no effect here, as patterns, in order."""

    def run(self, raw: Mapping[str, Json]) -> dict[str, Json]:
        """The values under their proper names. What could not be taken is left out and stands in `problems` or `ignored`."""
        return self._section(raw, self.root, ())

    def _section(self, raw: Mapping[str, Json], model: type[Settings] | None, path: KeyPath) -> dict[str, Json]:
        known = keys_of(model) if model is not None else {}
        named = shape_of_names(model) if model is not None else None
        values: dict[str, Json] = {}
        for name, value in raw.items():
            key = known.get(camel(name))
            if key is None and named is not None:
                values[name] = self._shaped(value, named, (*path, name))
            elif key is None:
                self._foreign((*path, camel(name)), name, value, list(known))
            elif key.name in values:
                self._refuse((*path, key.name), "is given twice, in two spellings; keep one")
            else:
                values[key.name] = self._shaped(value, key.shape, (*path, key.name))
        return values

    def _shaped(self, value: Json, shape: Shape, path: KeyPath) -> Json:
        if self.from_text and isinstance(value, str) and not (isinstance(shape, Value) and not shape.composite):
            try:
                value = json.loads(value)
            except ValueError:
                if not (isinstance(shape, Value) and shape.or_text):
                    self._refuse(path, 'takes JSON here, such as ["one", "two"]')
                    return None
        match shape:
            case Section(model) if isinstance(value, Mapping):
                return self._section(value, model, path)
            case Named(item) if isinstance(value, Mapping):
                return {name: self._shaped(inner, item, (*path, name)) for name, inner in value.items()}
            case _:
                return self._filled(value, path)

    def _foreign(self, path: KeyPath, written: str, value: Json, siblings: Sequence[str]) -> None:
        """A key that no model has: nanobot's (noted), a section of nanobot's (looked into), or nobody's (refused)."""
        pattern = _pattern_of(path)
        if pattern is not None:
            if not says_nothing(value):
                self.ignored[".".join(pattern)] = None
        elif isinstance(value, Mapping) and _leads_to_foreign(path):
            self._section(value, None, path)
        else:
            beside = [
                *siblings,
                *(key[len(path) - 1] for key in _FOREIGN_KEYS if len(key) >= len(path) and _fits(path[:-1], key[: len(path) - 1])),
            ]
            meant = nearest(path, beside, [key for key, _ in walk(self.root)])
            hint = f'did you mean "{meant}"?' if meant else "nanobot config show lists the keys there are"
            self._refuse((*path[:-1], written), f"there is no such key; {hint}")

    def _filled(self, value: Json, path: KeyPath) -> Json:
        if isinstance(value, str) and self.variables is not None:
            return _VARIABLE.sub(lambda found: self._variable(found, path), value)
        if isinstance(value, list):
            return [self._filled(item, (*path, str(index))) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {name: self._filled(item, (*path, name)) for name, item in value.items()}
        return value

    def _variable(self, found: re.Match[str], path: KeyPath) -> str:
        name = found[2]
        if name is None:
            return found[1]
        value = self.variables.get(name) if self.variables is not None else None
        if value is None:
            self._refuse(path, f"the environment variable {name} is not set")
            return ""
        return value

    def _refuse(self, path: KeyPath, text: str) -> None:
        self.problems.append(Problem(path=path, text=text, origin=self.origin))


def _fits(path: KeyPath, pattern: KeyPath) -> bool:
    return len(path) == len(pattern) and all(wanted in (ANY_NAME, part) for part, wanted in zip(path, pattern, strict=True))


def _pattern_of(path: KeyPath) -> KeyPath | None:
    return next((key for key in _FOREIGN_KEYS if _fits(path, key)), None)


def _leads_to_foreign(path: KeyPath) -> bool:
    return any(len(key) > len(path) and _fits(path, key[: len(path)]) for key in _FOREIGN_KEYS)

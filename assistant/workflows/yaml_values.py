"""What a workflow's file is read into: scalars with their text, value and line. `yaml_tree` reads it."""

import re
from typing import Final

from assistant.contracts.messages import Json

MAX_BYTES: Final = 64 * 1024
"""The largest file; its reader enforces it."""
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?")
_WORDS: Final[dict[str, bool | None]] = {"": None, "~": None, "null": None, "true": True, "false": False}
Lines = dict[tuple[str, ...], int]
"""The line of each key, by its path; a mapping itself is ending in the key "". Items of lists have the line of the list."""


class YamlScalar(str):
    """The text as written; `value`: what a plain scalar means; `line`: of the text's beginning."""

    __slots__ = ("line", "value")
    line: int
    value: bool | int | float | str | None


YamlTree = YamlScalar | list["YamlTree"] | dict[str, "YamlTree"]


class InvalidYaml(Exception):
    """What is wrong with the text; `line` counts from 1."""

    def __init__(self, words: str, line: int) -> None:
        super().__init__(words)
        self.line = line


def plain_json(tree: YamlTree) -> Json:
    match tree:
        case YamlScalar():
            return tree.value
        case list():
            return [plain_json(item) for item in tree]
        case dict():
            return {key: plain_json(item) for key, item in tree.items()}


def plain_value(text: str) -> bool | int | float | str | None:
    """What a plain scalar means, by the core schema of YAML 1.2."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text

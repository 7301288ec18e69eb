"""YAML without its traps, with the line of every key.

Only mappings, lists and scalars: no anchors and aliases (a kilobyte of them can expand to a gigabyte), no tags, no second document, no duplicate
keys, no deep nesting. Plain scalars follow the core schema of YAML 1.2: `yes`, `on` and 2026-01-31 are texts.
"""

from typing import Any, Final, cast

import yaml

from assistant.workflows.yaml_values import InvalidYaml, Lines, YamlScalar, YamlTree, plain_value

_MAX_DEPTH: Final = 16


def read_yaml(text: str) -> tuple[YamlTree, Lines]:
    """Raises InvalidYaml."""
    try:
        loader = _Loader(text)
        node = loader.get_node() if loader.check_node() else None
        if node is None:
            raise InvalidYaml("the file is empty", 1)
        if loader.check_node():
            raise InvalidYaml("a second document begins here; a workflow is one", _line(loader.next_event))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InvalidYaml(str(error.problem or error.context or "this is not YAML"), mark.line + 1 if mark else 1) from None
    except yaml.reader.ReaderError as error:
        raise InvalidYaml("it holds a character that YAML does not allow", text[: error.position].count("\n") + 1) from None
    except yaml.YAMLError:
        raise InvalidYaml("this is not YAML", 1) from None
    lines: Lines = {}
    return _tree(node, (), lines), lines


class _Loader(yaml.BaseLoader):
    """Composes nodes; refuses what is not supported before building anything."""

    depth = 0

    @property
    def next_event(self) -> yaml.Event:
        return cast("yaml.Event", self.peek_event())  # pyright: ignore[reportUnknownMemberType] - not typed

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.next_event
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise InvalidYaml("anchors (&) and aliases (*) are not supported; quote a text that begins with one", _line(event))
        if getattr(event, "tag", None) is not None:
            raise InvalidYaml("tags (!) are not supported; quote a text that begins with one", _line(event))
        is_key = isinstance(parent, yaml.MappingNode) and index is None
        if is_key and not isinstance(event, yaml.ScalarEvent):
            hint = "; put {{ … }} in quotes" if isinstance(event, yaml.MappingStartEvent) else ""
            raise InvalidYaml(f"a key must be a word{hint}", _line(event))
        if self.depth == _MAX_DEPTH:
            raise InvalidYaml(f"this is nested more than {_MAX_DEPTH} deep", _line(event))
        self.depth += 1
        node = super().compose_node(parent, cast("int", index))
        self.depth -= 1
        return node


def _tree(node: yaml.Node, path: tuple[str, ...], lines: Lines) -> YamlTree:
    match node:
        case yaml.ScalarNode(value=str(text), style=style):
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise InvalidYaml("half of a character (a lone surrogate) is in this text", _line(node))
            scalar = YamlScalar(text)
            scalar.value = plain_value(text) if style is None else text
            scalar.line = _line(node) + (style in ("|", ">"))  # a block begins in the line below
            return scalar
        case yaml.SequenceNode():
            return [_tree(item, path, lines) for item in node.value]
        case yaml.MappingNode():
            return _mapping(node, path, lines)
        case _:
            raise InvalidYaml("this is not YAML", _line(node))


def _mapping(node: yaml.MappingNode, path: tuple[str, ...], lines: Lines) -> dict[str, YamlTree]:
    mapping: dict[str, YamlTree] = {}
    lines[*path, ""] = _line(node)
    for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
        name, line = str(_tree(key, (), {})), _line(key)
        if name in mapping:
            raise InvalidYaml(f"duplicate key '{name[:60]}' (first in line {lines[*path, name]})", line)
        lines[*path, name] = line
        mapping[name] = _tree(value, (*path, name), lines)
    return mapping


def _line(item: yaml.Node | yaml.Event) -> int:
    return item.start_mark.line + 1

"""`docs/configuration.md` and `config.json`, written from the models: `python -m assistant.config.reference` renews both."""

import ast
import inspect
import itertools
import json
import textwrap
from pathlib import Path

from assistant.config.keys import Key, walk
from assistant.config.nanobot_keys import OTHER_SECTIONS, SECTION_KEYS
from assistant.config.schema import Config
from assistant.config.show import shown

_ROOT = Path(__file__).parents[2]
_BEGIN, _END = "<!-- written by python -m assistant.config.reference: begin -->", "<!-- end -->"


def defaults_file() -> str:
    """The built-in defaults as a configuration file."""
    return json.dumps(shown(Config()), indent=2, ensure_ascii=False) + "\n"


def renewed(page: str) -> str:
    """The page with the part between its two marks written anew."""
    before, rest = page.split(_BEGIN)
    return f"{before}{_BEGIN}\n\n{_tables()}\n{_END}{rest.split(_END, 1)[1]}"


def meaning(key: Key) -> str:
    """What a key means: its field's description, or the docstring that follows it in its class."""
    if key.field.description:
        return key.field.description
    for owner in key.owner.__mro__:
        if key.attribute in inspect.get_annotations(owner):
            body = next(iter(ast.parse(textwrap.dedent(inspect.getsource(owner))).body))
            return _docstring_after(key.attribute, body)
    return ""


def _docstring_after(attribute: str, owner: ast.stmt) -> str:
    statements = owner.body if isinstance(owner, ast.ClassDef) else []
    for statement, following in itertools.pairwise(statements):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))) if name == attribute:
                return " ".join(text.split()).replace("None:", "null:")
            case _:
                pass
    return ""


def _tables() -> str:
    sections: dict[str, list[str]] = {}
    for path, key in walk(Config):
        meant = meaning(key).replace("|", "\\|")
        row = f"| `{'.'.join(path).replace('*', '<name>')}` | {_default(key)} | {meant} |"
        sections.setdefault(path[0], []).append(row)
    parts = [f"### `{name}`\n\n| key | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n" for name, rows in sections.items()]
    foreign = [f"| `{name.replace('*', '<name>')}` | {', '.join(f'`{key}`' for key in keys)} |" for name, keys in SECTION_KEYS.items()]
    foreign += [f"| `{name}` | all |" for name in OTHER_SECTIONS]
    table = "\n".join(["## nanobot's keys without effect", "", "| section | keys |", "|---|---|", *foreign, ""])
    return "\n".join([*parts, table])


def _default(key: Key) -> str:
    if key.field.is_required():
        return "(required)"
    value = key.owner.model_construct().model_dump(mode="json", by_alias=True)[key.name]
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def main() -> None:
    page = _ROOT / "docs" / "configuration.md"
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
    (_ROOT / "config.json").write_text(defaults_file(), encoding="utf-8")


if __name__ == "__main__":
    main()

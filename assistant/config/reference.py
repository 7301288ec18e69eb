"""`docs/configuration.md`, `docs/config.schema.json` and `config.json` are written from the models by `python -m assistant.config.reference`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from assistant.config.aliases import NANOBOT_KEYS, NANOBOT_SECTIONS, RETIRED, KeyPath, plain
from assistant.config.extensions import all_sections
from assistant.config.json_schema import leaves, schema_of
from assistant.config.load import Loaded
from assistant.config.schema import Config, config_with
from assistant.config.secretless import PASSWORD_IN_URL, is_secret, put_text, texts_of
from assistant.contracts.messages import Json

_ROOT: Final = Path(__file__).parents[2]
_BEGIN, _END = "<!-- written by python -m assistant.config.reference: begin -->", "<!-- end -->"
_MASK: Final = "**********"


def shown(config: Config) -> dict[str, Json]:
    """The configuration as JSON under its camelCase keys. Secrets, by what names or holds them, are asterisks; of a URL its password."""
    values: dict[str, Json] = config.model_dump(mode="json", by_alias=True)
    for path, name, text in list(texts_of(values, ())):
        if is_secret(path, name, text):
            masked, inside = PASSWORD_IN_URL.subn(rf"\1{_MASK}\2", text)
            put_text(values, path, masked if inside else _MASK)
    return values


def settings_of(loaded: Loaded) -> list[tuple[str, Json, str]]:
    """All settings in effect: (key, value, where it came from; empty: the default), secrets as asterisks."""
    return list(_settings(shown(loaded.config), (), loaded.origins))


def _settings(values: Mapping[str, Json], path: tuple[str, ...], origins: Mapping[KeyPath, str]) -> Iterator[tuple[str, Json, str]]:
    for name, value in values.items():
        here = (*path, name)
        if isinstance(value, Mapping) and value:
            yield from _settings(value, here, origins)
            continue
        yield ".".join(here), value, origins.get(tuple(map(plain, here)), "")


def defaults_file() -> str:
    return _json({"$schema": "docs/config.schema.json", **shown(Config())})


def schema_file(model: type[Config] | None = None) -> str:
    """`model`: of a loaded configuration; None: with every channel of this package."""
    return _json(schema_of(model or _whole()))


def _whole() -> type[Config]:
    return config_with(*all_sections())


def renewed(page: str) -> str:
    """The page with the part between its two marks written anew."""
    before, rest = page.split(_BEGIN)
    return f"{before}{_BEGIN}\n\n{_tables()}\n{_END}{rest.split(_END, 1)[1]}"


def _tables() -> str:
    sections: dict[str, list[str]] = {}
    for path, key in leaves(schema_of(_whole())):
        default = f"`{json.dumps(key['default'], ensure_ascii=False)}`" if "default" in key else "(required)"
        row = f"| `{_written(path)}` | {default} | {str(key['description']).replace('|', chr(92) + '|')} |"
        sections.setdefault(path[0], []).append(row)
    parts = [f"### `{name}`\n\n| key | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n" for name, rows in sections.items()]
    retired = [f"| `{key}` | {applies} |" for key, applies in RETIRED.items()]
    parts.append("\n".join(["## Retired keys", "", "Accepted, and named in a notice.", "", "| key | now |", "|---|---|", *retired, ""]))
    foreign = [f"| `{_written(name.split('.'))}` | {', '.join(f'`{key}`' for key in keys)} |" for name, keys in NANOBOT_KEYS.items()]
    foreign += [f"| `{name}` | all |" for name in NANOBOT_SECTIONS]
    parts.append("\n".join(["## nanobot's keys without effect", "", "| section | keys |", "|---|---|", *foreign, ""]))
    return "\n".join(parts)


def _written(path: tuple[str, ...] | list[str]) -> str:
    return ".".join(path).replace("*", "<name>")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    page = _ROOT / "docs" / "configuration.md"
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
    (_ROOT / "docs" / "config.schema.json").write_text(schema_file(), encoding="utf-8")
    (_ROOT / "config.json").write_text(defaults_file(), encoding="utf-8")


if __name__ == "__main__":
    main()

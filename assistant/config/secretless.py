"""The configuration file without its secrets, as a backup holds it: each is `${NAME}` in it, by a name that says which key it is of."""

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, cast

from pydantic import BaseModel, SecretStr

from assistant.config.file import FILE_NAMES, NotJson, read_file
from assistant.config.schema import Config
from assistant.config.writing import ConfigPath, with_values
from assistant.contracts.messages import Json

_VARIABLE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_SECRET_NAME: Final = re.compile(r"(key|token|secret|password|passphrase|credentials?|cookie|authorization)$", re.IGNORECASE)
_SECRET_SECTION: Final = re.compile(r"(headers|env)$", re.IGNORECASE)
PASSWORD_IN_URL: Final = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(@)")
_SECRET_IN_TEXT: Final = re.compile(r"(?:^--?|[?&])[\w.-]*(?:key|token|secret|password)=(?!\$\{)[^&\s]", re.IGNORECASE)
"""In an argument, `--api-key=…`, or an address, `?token=…`."""
_NO_WORD: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")


def secretless(source: Path, config: Config) -> tuple[str, str, tuple[str, ...]]:
    """(The file's name, its text, the names of the variables that stand for secrets) of a valid configuration's file.

    A secret is what the models say it is, wherever it stands, and what the name of a key or an option says it is. Comments stay, except where a
    secret is in a list. A TOML file becomes JSON. Raises ConfigError where the file can't be read.
    """
    values = read_file(source)
    known = {secret for secret in _secrets(config) if secret}
    found = {path: f"${{{_named(path)}}}" for path, name, text in texts_of(values, ()) if is_secret(path, name, text, known)}
    names = tuple(sorted({name[2:-1] for name in found.values()}))
    toml = source.suffix.lower() == ".toml"
    try:
        text = "" if toml else source.read_text(encoding="utf-8-sig")
        if text and not any(part.isdigit() for path in found for part in path):
            return source.name, with_values(text, cast("dict[ConfigPath, Json]", found)), names
    except NotJson:
        pass  # in a form that can't be changed in place: written anew
    for path, name in found.items():
        put_text(values, path, name)
    return FILE_NAMES[0], json.dumps(values, indent=2, ensure_ascii=False) + "\n", names


def _secrets(value: object) -> Iterator[str]:
    """All that a model keeps as secrets."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, dict):
        for inner in cast("dict[object, object]", value).values():
            yield from _secrets(inner)
    elif isinstance(value, list | tuple):
        for inner in cast("list[object]", value):
            yield from _secrets(inner)


def texts_of(value: Json, path: ConfigPath, name: str = "") -> Iterator[tuple[ConfigPath, str, str]]:
    """(the path, what names the text, the text): a key; before an argument, its option ("--token")."""
    if isinstance(value, str):
        yield path, name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_of(inner, (*path, key), key)
    elif isinstance(value, list):
        for number, (before, inner) in enumerate(zip(["", *value], value, strict=False)):
            yield from texts_of(inner, (*path, str(number)), before if isinstance(before, str) and before.startswith("-") else "")


def is_secret(path: ConfigPath, name: str, text: str, known: Collection[str] = ()) -> bool:
    """By what names it (see `texts_of`), by what it holds, or because it is `known` as one."""
    if not text or _VARIABLE.fullmatch(text):
        return False
    named = _SECRET_NAME.search(name) or any(_SECRET_SECTION.search(part) for part in path[:-1])
    inside = PASSWORD_IN_URL.search(text) or _SECRET_IN_TEXT.search(text)
    return text in known or bool(named and not _VARIABLE.search(text)) or inside is not None


def _named(path: ConfigPath) -> str:
    """providers.openai.apiKey → PROVIDERS_OPENAI_API_KEY"""
    name = "_".join([word.upper() for part in path for word in _NO_WORD.split(part) if word])
    return name if name[:1].isalpha() else f"SECRET_{name}"


def put_text(values: Json, path: ConfigPath, value: str) -> None:
    """In the place of the text at a path of `texts_of`."""
    for part in path[:-1]:
        values = cast("Json", values[int(part)] if isinstance(values, list) else cast("dict[str, Json]", values)[part])
    if isinstance(values, list):
        values[int(path[-1])] = value
    else:
        cast("dict[str, Json]", values)[path[-1]] = value

"""Server Node's `config.toml`: its `[api]` and `[api.models.<id>]` are translated to our keys; the file's other sections are ours already."""

import re
from collections.abc import Mapping
from typing import Final

from assistant.config.errors import ConfigError, ConfigProblem
from assistant.contracts.messages import Json

_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\s]+)):(?P<port>\d{1,5})")
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "max_requests_per_minute": ("limits", "requestsPerMinute"),
    "max_tokens_per_minute": ("limits", "tokensPerMinute"),
    "cors_origins": ("cors", "origins"),
    "api_key": ("apiKey",),
}
"""Keys of its `[api]` → their places in ours."""


def translated(raw: Mapping[str, Json], origin: str) -> dict[str, Json]:
    """The object with our keys. `origin`: the file, for errors. Raises ConfigError, with a problem for each wrong key."""
    section = raw.get("api")
    if not isinstance(section, Mapping):
        return dict(raw)
    wrong: dict[str, str] = {}
    api = _api(section, wrong)
    if wrong:
        raise ConfigError(*[ConfigProblem(path=("api", key), text=text, origin=origin) for key, text in wrong.items()])
    models = section.get("models")
    if not isinstance(models, Mapping):
        return {**raw, "api": api}
    if isinstance(raw.get("models"), Mapping):
        raise ConfigError(ConfigProblem(path=("models",), text="is given beside api.models; keep one", origin=origin))
    return {**raw, "api": api, "models": dict(models)}


def _api(section: Mapping[str, Json], wrong: dict[str, str]) -> dict[str, Json]:
    """Our `api` section. Keys that are not Server Node's stay unchanged. Adds to `wrong` what is wrong, by key."""

    def switch(key: str, *, default: bool) -> bool:
        value = section.get(key, default)
        if isinstance(value, bool):
            return value
        wrong[key] = "must be true or false"
        return default

    own = {"enabled", "address", "require_auth", "cors_enabled", "models", *_PLACES}
    api: dict[str, Json] = {key: value for key, value in section.items() if key not in own}
    if not switch("enabled", default=True):
        wrong["enabled"] = "is false: there would be nothing to serve"
    if "address" in section:
        written = section["address"]
        if isinstance(written, str) and (found := _ADDRESS.fullmatch(written.strip())):
            api["host"], api["port"] = found["six"] or found["host"], int(found["port"])
        else:
            wrong["address"] = 'must be "host:port", such as "127.0.0.1:8080"'
    for key, place in _PLACES.items():
        if key in section:
            _put(api, place, section[key])
    if not switch("cors_enabled", default=True):
        _put(api, ("cors", "origins"), [])
    key = section.get("api_key")
    has_key = isinstance(key, str) and bool(key.strip())
    if not switch("require_auth", default=has_key):
        api.pop("apiKey", None)
    elif not has_key:
        wrong["require_auth"] = "is true, and api_key is not set"
    return api


def _put(section: dict[str, Json], path: tuple[str, ...], value: Json) -> None:
    for name in path[:-1]:
        inner = section.get(name)
        section[name] = inner = dict(inner) if isinstance(inner, Mapping) else {}
        section = inner
    section[path[-1]] = value

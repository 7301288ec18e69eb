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
    reading = _Reading(section, origin)
    api = reading.api()
    if reading.problems:
        raise ConfigError(*reading.problems)
    models = section.get("models")
    if isinstance(models, Mapping) and not isinstance(raw.get("models"), Mapping):
        return {**raw, "api": api, "models": dict(models)}
    if isinstance(models, Mapping):
        raise ConfigError(ConfigProblem(path=("models",), text="stands beside api.models; keep one", origin=origin))
    return {**raw, "api": api}


class _Reading:
    def __init__(self, section: Mapping[str, Json], origin: str) -> None:
        self._section = section
        self._origin = origin
        self.problems: list[ConfigProblem] = []

    def api(self) -> dict[str, Json]:
        """Our `api` section. Keys that are not Server Node's stay unchanged."""
        own = {"enabled", "address", "require_auth", "cors_enabled", "models", *_PLACES}
        api: dict[str, Json] = {key: value for key, value in self._section.items() if key not in own}
        if not self._switch("enabled", default=True):
            self._refuse("enabled", "is false: there would be nothing to serve")
        if "address" in self._section:
            self._address(api)
        for key, place in _PLACES.items():
            if key in self._section:
                _put(api, place, self._section[key])
        if not self._switch("cors_enabled", default=True):
            _put(api, ("cors", "origins"), [])
        key = self._section.get("api_key")
        has_key = isinstance(key, str) and bool(key.strip())
        if not self._switch("require_auth", default=has_key):
            api.pop("apiKey", None)
        elif not has_key:
            self._refuse("require_auth", "is true, and api_key is not set")
        return api

    def _address(self, api: dict[str, Json]) -> None:
        written = self._section["address"]
        found = _ADDRESS.fullmatch(written.strip()) if isinstance(written, str) else None
        if found is None:
            self._refuse("address", 'must be "host:port", such as "127.0.0.1:8080"')
            return
        api["host"], api["port"] = found["six"] or found["host"], int(found["port"])

    def _switch(self, key: str, *, default: bool) -> bool:
        value = self._section.get(key, default)
        if not isinstance(value, bool):
            self._refuse(key, "must be true or false")
            return default
        return value

    def _refuse(self, key: str, text: str) -> None:
        self.problems.append(ConfigProblem(path=("api", key), text=text, origin=self._origin))


def _put(section: dict[str, Json], path: tuple[str, ...], value: Json) -> None:
    for name in path[:-1]:
        inner = section.get(name)
        section[name] = inner = dict(inner) if isinstance(inner, Mapping) else {}
        section = inner
    section[path[-1]] = value

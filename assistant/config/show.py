"""A configuration as it may be shown: every key, secrets masked."""

import re
from collections.abc import Mapping

from assistant.config.schema import Config
from assistant.contracts.messages import Json

_MASK = "**********"
_PASSWORD_IN_URL = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(@)")


def shown(config: Config) -> dict[str, Json]:
    """The configuration as JSON under its camelCase keys. Secrets, headers' values and passwords in URLs are asterisks."""
    return {name: _masked(name, value) for name, value in config.model_dump(mode="json", by_alias=True).items()}


def _masked(name: str, value: Json) -> Json:
    if isinstance(value, Mapping):
        secret = name.lower().endswith("headers")
        return {key: _MASK if secret and inner else _masked(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked(name, item) for item in value]
    return _PASSWORD_IN_URL.sub(rf"\1{_MASK}\2", value) if isinstance(value, str) else value

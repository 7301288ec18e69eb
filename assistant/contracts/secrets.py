"""Secrets that the model names and never sees: `{{secret:NAME}}` is filled in where a request leaves, for the secret's own hosts only."""

import re
from typing import Final, Protocol

NAMED: Final = re.compile(r"\{\{secret:([A-Za-z0-9_-]{1,64})\}\}")


class Secrets(Protocol):
    """The `secrets` section of the configuration."""

    def fill(self, text: str, host: str) -> str:
        """The text with each `{{secret:NAME}}` replaced. Raises ToolFailed for an unknown name, and for one that `host` must not get."""
        ...

    def hide(self, text: str) -> str:
        """The text with each secret's value replaced by its name, for what comes back."""
        ...


class NoSecrets:
    """Leaves texts as they are."""

    def fill(self, text: str, host: str) -> str:
        return text

    def hide(self, text: str) -> str:
        return text

"""The secrets of the configuration: each leaves for its own hosts alone, and what comes back is shown without it."""

import re
from collections.abc import Mapping
from typing import Final

from assistant.contracts.errors import ToolFailed
from assistant.contracts.redaction import secret_forms
from assistant.contracts.secrets import NAMED
from assistant.contracts.urls import PageRefused, normal_authority
from assistant.fetching.settings import SecretSettings

_SHORTEST: Final = 4
"""A value shorter than this is not looked for: it would only garble the text."""


class ConfiguredSecrets:
    """The `Secrets` of the section `secrets`."""

    def __init__(self, settings: Mapping[str, SecretSettings]) -> None:
        self._settings = settings
        forms = {
            form: name
            for name, secret in settings.items()
            for form in secret_forms(secret.value.get_secret_value())
            if len(form) >= _SHORTEST
        }
        self._names = {form.casefold(): name for form, name in forms.items()}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if forms else None

    def fill(self, text: str, host: str) -> str:
        """`host`: its name, with a port where that is not the scheme's own. As in `Secrets`."""

        def value(found: re.Match[str]) -> str:
            secret = self._settings.get(found[1])
            if secret is None:
                named = ", ".join(self._settings) or "none"
                raise ToolFailed(f"There is no secret {found[1]!r}. Those of the configuration: {named} (secrets.<name>).")
            if not any(_matches(entry, host) for entry in secret.hosts):
                raise ToolFailed(f"The secret {found[1]!r} is not for {host}: secrets.{found[1]}.hosts names the hosts that get it.")
            return secret.value.get_secret_value()

        return NAMED.sub(value, text)

    def hide(self, text: str) -> str:
        if self._known is None:
            return text
        return self._known.sub(lambda found: f"{{{{secret:{self._names.get(found[0].casefold(), '')}}}}}", text)


def _matches(entry: str, host: str) -> bool:
    below = entry.startswith("*.")
    try:
        wanted, given = normal_authority(entry[2:] if below else entry), normal_authority(host)
    except PageRefused:
        return False
    same = given[0].endswith(f".{wanted[0]}") if below else given[0] == wanted[0]
    return same and wanted[1] in (None, given[1])

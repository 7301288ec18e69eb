"""What somebody called a file, or themselves, made fit to be shown."""

import re
import unicodedata
from pathlib import PurePosixPath

MAX_LENGTH = 255
_ADDRESS = re.compile(r"(?:\d{5,}|@)+")
_SEPARATORS = re.compile(r"[/\\]")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that a name is shown without: controls (NUL among them), bidirectional overrides, surrogates, line separators."""


def display_name(name: str, fallback: str) -> str:
    """The last step of a path, without characters that can't be seen or that turn the reading direction; at most 255, its suffix kept.

    Every door passes names through this, so that nobody behind it has to. `fallback`: for a name of which nothing is left. The result is for
    display only: no file is ever opened by it.
    """
    last = _SEPARATORS.split(name[-4096:])[-1]
    shown = "".join([c for c in last if unicodedata.category(c) not in _UNSEEN]).strip()
    if shown.strip(".") == "":
        return fallback
    if len(shown) <= MAX_LENGTH:
        return shown
    suffix = PurePosixPath(shown).suffix[:32]
    return shown[: MAX_LENGTH - len(suffix)] + suffix


def no_address(name: str) -> str:
    """A name that somebody gave themselves, a channel or a picture, as it may stand among words of another's: without what could be taken for
    the address of a chat (`mayMessage` lets the assistant write to whom the user's own words name)."""
    return _ADDRESS.sub("…", name)

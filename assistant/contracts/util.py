"""What everything uses: ids, the clock, safe names and text, the base of settings, token estimates, backoff."""

import os
import random
import re
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


def new_id(prefix: str) -> str:
    """`<prefix>_` and 28 hexadecimal digits: 48 bits of milliseconds since 1970, 20 of the nanoseconds in it, so that those of one process sort by
    when they were made, then 44 random bits. Not a secret."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    return f"{prefix}_{milliseconds:012x}{nanoseconds:05x}{random.getrandbits(44):011x}"


def derived_id(prefix: str, *causes: str) -> str:
    """Like `new_id` in form, and the same for the same causes, so that what is made again after a crash has the same id."""
    digest = blake2b("\0".join(causes).encode(), digest_size=14)
    return f"{prefix}_{digest.hexdigest()}"


def copy_hashed(source: BinaryIO, write: Callable[[bytes], object]) -> tuple[str, int]:
    """Pass `source` to `write` in blocks; returns its SHA-256 in hex and its size in bytes. Blocks."""
    digest, size = sha256(), 0
    while block := source.read(1 << 20):
        write(block)
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def write_new(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file that is there whole, on the disk, when this returns; one of that name goes first. Blocks. Raises OSError."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def lazy_pattern(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """`re.compile`, done at the first use: for what a start need not wait for. Only its methods may be used."""
    return cast("re.Pattern[str]", _LazyPattern(pattern, flags))


class _LazyPattern:
    def __init__(self, pattern: str, flags: int) -> None:
        self._source = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        method = self.__dict__[name] = getattr(re.compile(*self._source), name)
        return method


Clock = Callable[[], datetime]
"""Aware, and in UTC."""


def utc_now() -> datetime:
    return datetime.now(UTC)


MAX_NAME_LENGTH = 255
_ADDRESS = re.compile(r"(?:\d{5,}|@)+")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories removed from names: controls, bidirectional overrides, surrogates, line separators."""


def display_name(name: str, fallback: str) -> str:
    """The last step of a path without invisible and bidirectional characters; at most 255 characters, with its suffix.

    Every entry point passes names through this. `fallback`: for a name of which nothing is left. The result is for display only, never a path.
    """
    last = re.split(r"[/\\]", name[-4096:])[-1]
    shown = "".join([c for c in last if unicodedata.category(c) not in _UNSEEN]).strip()
    if shown.strip(".") == "":
        return fallback
    if len(shown) <= MAX_NAME_LENGTH:
        return shown
    suffix = PurePosixPath(shown).suffix[:32]
    return shown[: MAX_NAME_LENGTH - len(suffix)] + suffix


def expand_home(path: Path, *, start: Path | None = None) -> Path:
    """The path with the user's home for a `~` at its beginning; as it is where the user has none, as in a container under any uid. Where
    `start` is given, any other relative path begins there."""
    try:
        path = path.expanduser()
    except RuntimeError:
        return path
    return path if start is None else start / path


def no_address(name: str) -> str:
    """A name without what could be read as the address of a chat, for use among the user's own words (which `mayMessage` searches for
    addresses)."""
    return _ADDRESS.sub("…", name)


def visible_name(name: str) -> str:
    """A person's name on one line, of visible characters, at most 64; it may be empty."""
    seen = "".join([" " if unicodedata.category(c)[0] in "CZ" else c for c in name[:1024]])
    return " ".join(seen.split())[:64].strip()


def replace_surrogates(text: str) -> str:
    """Join surrogate pairs, and replace a lone surrogate by U+FFFD: no encoding can write one."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Settings(BaseModel):
    """Frozen; an unknown key is an error; keys may be written in camelCase (as nanobot does) or in snake_case."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


CHARACTERS_PER_TOKEN = 4


def estimate_tokens(characters: int) -> int:
    """Tokens of a text of so many characters: one for every four, rounded up. Low for CJK and emoji; a provider's own count replaces it."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def backoff(failures: int, jitter: float = 1.0, *, first: float = 1.0, longest: float = 300.0, spread: float = 0.25) -> float:
    """Seconds to wait after `failures` failures in a row (from 1): `first`, doubled each time, at most `longest`.

    `jitter`, from 0 to 1, shortens the wait by up to the part `spread` of it, so that callers that failed together do not return together;
    `spread=1` is full jitter.
    """
    steps = min(max(failures, 1) - 1, 32)
    return min(longest, first * 2**steps) * (1 - spread * (1 - jitter))

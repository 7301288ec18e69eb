"""Small things that everything uses: ids, the clock, safe names and text, the base of settings, estimates of tokens, backoff."""

import random
import re
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from pathlib import PurePosixPath
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


def new_id(prefix: str) -> str:
    """`<prefix>_` and 28 hexadecimal digits: 48 bits of milliseconds since 1970, then 64 random bits. It tells things apart and grants nothing."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{random.getrandbits(64):016x}"


def derived_id(prefix: str, *causes: str) -> str:
    """Like `new_id` in form, and the same for the same causes: what is made of them again after a crash is known as the same thing."""
    digest = blake2b("\0".join(causes).encode(), digest_size=14)
    return f"{prefix}_{digest.hexdigest()}"


_BLOCK = 1 << 20


def copy_hashed(source: BinaryIO, write: Callable[[bytes], object]) -> tuple[str, int]:
    """Pass `source` to `write` in blocks; returns its SHA-256 in hex and its size in bytes. Blocks."""
    digest, size = sha256(), 0
    while block := source.read(_BLOCK):
        write(block)
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


Clock = Callable[[], datetime]
"""Aware, and in UTC."""


def utc_now() -> datetime:
    return datetime.now(UTC)


MAX_NAME_LENGTH = 255
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
    if len(shown) <= MAX_NAME_LENGTH:
        return shown
    suffix = PurePosixPath(shown).suffix[:32]
    return shown[: MAX_NAME_LENGTH - len(suffix)] + suffix


def no_address(name: str) -> str:
    """A name that somebody gave themselves, a channel or a picture, as it may stand among words of another's: without what could be taken for
    the address of a chat (`mayMessage` lets the assistant write to whom the user's own words name)."""
    return _ADDRESS.sub("…", name)


def replace_surrogates(text: str) -> str:
    """Two halves of a character (surrogates) as the character that they stand for, a lone one as U+FFFD: no encoding has those, and what
    was accepted has to be kept, sent and shown."""
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


_MOST_STEPS = 32


def backoff(failures: int, jitter: float = 1.0, *, first: float = 1.0, longest: float = 300.0, spread: float = 0.25) -> float:
    """Seconds to wait after `failures` failures in a row (from 1): `first`, doubled each time, at most `longest`.

    `jitter`, from 0 to 1, shortens the wait by up to the part `spread` of it, so that callers that failed together do not return together;
    `spread=1` is full jitter.
    """
    steps = min(max(failures, 1) - 1, _MOST_STEPS)
    return min(longest, first * 2**steps) * (1 - spread * (1 - jitter))

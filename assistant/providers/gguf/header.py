"""What a GGUF file says of itself in front of its weights, read without llama.cpp.

The format: "GGUF", version, number of tensors, number of pairs, then pairs of key, type and value, the least significant byte first.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_INTEGERS: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 10: "<Q", 11: "<q"}
_TEXT: Final = 8
_ARRAY: Final = 9
_VERSIONS: Final = (2, 3)
_TOKENS: Final = "tokenizer.ggml.tokens"
"""The vocabulary, megabytes of it: behind what is asked for here, in all files that llama.cpp's own tools write."""
_LOOKED_AT: Final = 1_048_576
"""Bytes at the beginning."""
_CONTEXT: Final = 8_192
_EMBEDDING_CONTEXT: Final = 2_048
_WANTED: Final = ("context_length", "embedding_length", "pooling_type")


class NotGguf(Exception):
    """The file is none that can be read here; the text says why, as the end of "The model …": "is not a GGUF file"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    architecture: str
    """"llama", "qwen3", "bert" …"""
    context_length: int | None
    """What the model was trained for, in tokens. None: not said; so below."""
    embedding_length: int | None
    pooling: int | None
    """How its vectors are made of those of its tokens, by llama.cpp's numbers."""

    def context(self, *, embedding: bool) -> int:
        """Tokens of the context where the configuration says none: a context is paid for in memory, used or not."""
        most = _EMBEDDING_CONTEXT if embedding else _CONTEXT
        return min(self.context_length or most, most)


def read_header(path: Path) -> Header:
    """Blocks, for a millisecond. Raises NotGguf, OSError."""
    with path.open("rb") as file:
        data = file.read(_LOOKED_AT)
    if data[:4] != b"GGUF":
        raise NotGguf("is not a GGUF file")
    try:
        version, _, pairs = struct.unpack_from("<IQQ", data, 4)
        if version not in _VERSIONS:
            raise NotGguf(f"is of version {version} of GGUF, which is not read here")
        return _header(data, pairs)
    except (struct.error, UnicodeDecodeError):
        raise NotGguf("is damaged: its header ends too early, or holds what no header does") from None


def _header(data: bytes, pairs: int) -> Header:
    architecture = ""
    found: dict[str, int] = {}
    try:
        for key, value in _pairs(data, pairs):
            if key == "general.architecture":
                architecture = str(value)
            elif isinstance(value, int) and value >= 0 and (name := key.removeprefix(f"{architecture}.")) in _WANTED:
                found[name] = value
    except struct.error:
        if len(data) < _LOOKED_AT:  # else it goes on behind what was looked at
            raise
    return Header(
        architecture=architecture,
        context_length=found.get("context_length"),
        embedding_length=found.get("embedding_length"),
        pooling=found.get("pooling_type"),
    )


def _pairs(data: bytes, count: int) -> Iterator[tuple[str, int | str | None]]:
    """Up to the vocabulary. None: a value that nobody here asks for. Raises struct.error where the data end, or make no sense."""
    place = 24
    for _ in range(count):
        key, place = _text(data, place)
        (kind,) = struct.unpack_from("<I", data, place)
        place += 4
        value: int | str | None = None
        if kind in _INTEGERS:
            (value,) = struct.unpack_from(_INTEGERS[kind], data, place)
        elif kind == _TEXT:
            value, _ = _text(data, place) if key == "general.architecture" else (None, 0)
        elif kind == _ARRAY and key == _TOKENS:
            return
        place = _behind(data, place, kind)
        yield key, value


def _behind(data: bytes, place: int, kind: int) -> int:
    """Where a value of this kind ends."""
    if kind in _SIZES:
        return _within(data, place + _SIZES[kind])
    if kind == _TEXT:
        (length,) = struct.unpack_from("<Q", data, place)
        return _within(data, place + 8 + length)
    if kind != _ARRAY:
        raise struct.error(kind)
    item, count = struct.unpack_from("<IQ", data, place)
    place += 12
    if item in _SIZES:
        return _within(data, place + count * _SIZES[item])
    if item != _TEXT:  # arrays within arrays: nobody writes them
        raise struct.error(item)
    for _ in range(count):
        place = _behind(data, place, item)
    return place


def _text(data: bytes, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, place)
    end = _within(data, place + 8 + length)
    return data[place + 8 : end].decode(), end


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise struct.error(end)
    return end

"""GGUF files: which one a configured `path` names, and what its header says. Needs no llama.cpp.

A GGUF file begins with "GGUF", the version, the number of tensors, the number of key-value pairs, then the pairs (key, type, value), little-endian;
see docs/gguf.md of https://github.com/ggml-org/ggml.
"""

import struct
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Final

from assistant.contracts.records import record
from assistant.contracts.util import expand_home

NOT_INSTALLED: Final = "is a local file, and llama.cpp is not installed: install the extra 'local'"
INSTALL: Final = "pip install 'nanobot[local]' (in a checkout: make local)"

_NUMBERS: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}
"""Value types that are numbers, as `struct` formats."""
_STRING: Final = 8
_ARRAY: Final = 9
_READ: Final = 1_048_576
"""Bytes of the file that are read. The keys used here come before the vocabulary, which has megabytes."""
_CONTEXT: Final = 8_192
_EMBEDDING_CONTEXT: Final = 2_048


class NoModelFile(Exception):
    """No file at the path. The text completes "The model …" and holds no path."""


class NotGguf(Exception):
    """Not a GGUF file, or a damaged one. The text completes "The model …": "is not a GGUF file"."""


@record
class GgufHeader:
    architecture: str
    """"llama", "qwen3", "bert" …"""
    context_length: int | None
    """Tokens the model was trained for; None where the header does not say, as below."""
    embedding_length: int | None
    pooling: int | None
    """How token vectors are pooled, as llama.cpp's `llama_pooling_type`."""

    def context(self, *, embedding: bool) -> int:
        """Default context in tokens, capped because a context takes its memory whether it is used or not."""
        most = _EMBEDDING_CONTEXT if embedding else _CONTEXT
        return min(self.context_length or most, most)


def find_gguf(path: str, folder: Path) -> Path:
    """The file at `path`, or the only .gguf file in the folder at `path`. Relative paths start at `folder`. Raises NoModelFile."""
    place = folder / expand_home(Path(path))
    try:
        if not place.is_dir():
            if place.is_file():
                return place.resolve()
            raise NoModelFile("has no file: there is nothing at its path")
        found = sorted(inside for inside in place.iterdir() if inside.suffix.lower() == ".gguf" and inside.is_file())
    except OSError as error:
        raise NoModelFile(f"has a path that can't be read ({error.strerror})") from None
    if len(found) == 1:
        return found[0].resolve()
    there = f"{len(found)} .gguf files; name the one to use" if found else "no .gguf file"
    raise NoModelFile(f"has no file: its path is a folder with {there}")


def header_at(path: str, folder: Path) -> GgufHeader | None:
    """The header of the file that `find_gguf` returns; None if there is no readable one. Blocks."""
    try:
        return read_header(find_gguf(path, folder))
    except (NoModelFile, NotGguf, OSError):
        return None


def is_installed() -> bool:
    """Whether llama-cpp-python is installed. Does not import it."""
    return find_spec("llama_cpp") is not None


def read_header(path: Path) -> GgufHeader:
    """Blocks for about a millisecond. Raises NotGguf, OSError."""
    with path.open("rb") as file:
        data = file.read(_READ)
    if data[:4] != b"GGUF":
        raise NotGguf("is not a GGUF file")
    header = BytesIO(data[4:])
    found: dict[str, int | str | None] = {}
    try:
        version, _, pairs = _number(header, "<I"), _number(header, "<Q"), _number(header, "<Q")
        if version not in (2, 3):
            raise NotGguf(f"has version {version} of GGUF, which is not supported")
        for _ in range(pairs):
            key = _string(header)
            kind = _number(header, "<I")
            if key == "tokenizer.ggml.tokens":
                break
            found[key] = _value(header, kind)
    except EOFError:
        if len(data) < _READ:
            raise NotGguf("is damaged: its header ends too early") from None
    except ValueError:
        raise NotGguf("is damaged: its header can't be read") from None
    architecture = str(found.get("general.architecture", ""))

    def number(name: str) -> int | None:
        value = found.get(f"{architecture}.{name}")
        return value if isinstance(value, int) and value >= 0 else None

    return GgufHeader(
        architecture=architecture,
        context_length=number("context_length"),
        embedding_length=number("embedding_length"),
        pooling=number("pooling_type"),
    )


def _value(header: BytesIO, kind: int) -> int | str | None:
    """The next value; None for an array, which is skipped. Raises EOFError, ValueError."""
    if kind in _NUMBERS:
        return _number(header, _NUMBERS[kind])
    if kind == _STRING:
        return _string(header)
    if kind != _ARRAY:
        raise ValueError(kind)
    item, count = _number(header, "<I"), _number(header, "<Q")
    if item in _NUMBERS:
        _take(header, count * struct.calcsize(_NUMBERS[item]))
    elif item == _STRING:
        for _ in range(count):
            _take(header, _number(header, "<Q"))
    else:  # the format allows arrays of arrays, but no tool writes them
        raise ValueError(item)
    return None


def _string(header: BytesIO) -> str:
    return _take(header, _number(header, "<Q")).decode()


def _number(header: BytesIO, form: str) -> int:
    return struct.unpack(form, _take(header, struct.calcsize(form)))[0]


def _take(header: BytesIO, size: int) -> bytes:
    data = header.read(min(size, _READ))
    if len(data) < size:
        raise EOFError
    return data

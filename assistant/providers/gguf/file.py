"""Which file a model's `path` means."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from assistant.providers.gguf.header import Header, NotGguf, read_header

NOT_INSTALLED: Final = "is a file on this machine, and what runs such files is not installed: the extra 'local'"
INSTALL: Final = "pip install 'nanobot[local]' (in a checkout: make local)"


class NoModelFile(Exception):
    """There is none; the text says what is there instead, as the end of "The model …", and holds no path."""


def find_gguf(path: str, folder: Path) -> Path:
    """The file: what `path` names, or the only GGUF file in the folder that it names. `folder`: what a relative one starts at. Raises NoModelFile."""
    place = folder / Path(path).expanduser()
    try:
        if not place.is_dir():
            if place.is_file():
                return place.resolve()
            raise NoModelFile("has no file: there is nothing at its path")
        found = sorted(inside for inside in place.iterdir() if inside.suffix.lower() == ".gguf" and inside.is_file())
    except OSError as error:
        raise NoModelFile(f"has no file that can be looked at ({error.strerror})") from None
    if len(found) == 1:
        return found[0].resolve()
    there = f"{len(found)} .gguf files; name the one that is meant" if found else "no .gguf file"
    raise NoModelFile(f"has no file: its path is a folder with {there}")


def header_at(path: str, folder: Path) -> Header | None:
    """What the file says of itself; None where there is none that can be read. Blocks."""
    try:
        return read_header(find_gguf(path, folder))
    except (NoModelFile, NotGguf, OSError):
        return None


def is_installed() -> bool:
    """Whether what runs such files is there. Imports nothing of it."""
    return find_spec("llama_cpp") is not None

"""How an answer is shown while it comes."""

import re
import sys
from typing import Protocol

import typer

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What could steer a terminal or turn text around, and is never part of an answer: controls but tab and newline, and bidirectional overrides."""


def harmless(text: str) -> str:
    """The text without what a terminal would obey instead of showing: an answer may repeat a hostile document."""
    return _CONTROLS.sub("\ufffd", text)


class Display(Protocol):
    def words(self, text: str) -> None:
        """More words of the answer."""
        ...

    def tool(self, name: str) -> None:
        """A tool is being used."""
        ...

    def end(self) -> None:
        """The answer has ended, whole or not."""
        ...


class PlainDisplay:
    """The words as they are, for a pipe or a file."""

    def __init__(self) -> None:
        self._last = "\n"

    def words(self, text: str) -> None:
        if text:
            typer.echo(text, nl=False)
            sys.stdout.flush()
            self._last = text[-1]

    def tool(self, name: str) -> None:
        """Not part of the answer, so not in the pipe."""

    def end(self) -> None:
        if self._last != "\n":
            typer.echo()
        self._last = "\n"

"""Markdown in the terminal while it is being written: whole blocks are set for good, the one that grows is redrawn."""

import re

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from assistant.cli.display import harmless

_REDRAWS = 12
"""A second."""
_GOES_ON = re.compile(r"[ \t]|(?:[-*+]|\d+[.)])[ \t]")
"""A line that may belong to the list or block above, across an empty line."""
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


class MarkdownDisplay:
    """For a person at a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._growing = ""
        self._live: Live | None = None

    def words(self, text: str) -> None:
        self._growing += harmless(text)
        if whole := settled(self._growing):
            self._set(self._growing[:whole])
            self._growing = self._growing[whole:]
        if self._live is None:
            self._live = Live(console=self._console, transient=True, refresh_per_second=_REDRAWS)
            self._live.start()
        self._live.update(Markdown(self._growing))

    def tool(self, name: str) -> None:
        self.end()
        self._console.print(Text(f"· {name}", style="dim"))

    def end(self) -> None:
        self._set(self._growing)
        self._growing = ""

    def _set(self, text: str) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if text.strip():
            self._console.print(Markdown(text))


def settled(text: str) -> int:
    """How much of a growing Markdown text is whole blocks, which nothing that follows can change: characters."""
    end = position = 0
    fence = ""
    after_blank = False
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        mark = _FENCE.match(line)
        if after_blank and not fence and line.strip() and not _GOES_ON.match(line):
            end = position
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
            fence = ""
        after_blank = not fence and not line.strip()
        position += len(line)
    return end

"""`search_files`: lines of files by a regular expression, in a process of its own that is ended when its time is up.

The process gets open descriptors, no paths: what was checked is what it reads, whatever is renamed meanwhile. It is ripgrep where the machine has it.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import ClassVar, Final

from pydantic import BaseModel, Field

from assistant.contracts.errors import ToolFailed
from assistant.contracts.gate import Action
from assistant.contracts.provenance import Provenance
from assistant.contracts.tools import ToolContext, ToolResult
from tools.files.look import FOLDER, NamePattern, below
from tools.files.space import DEEPEST, MOST_READ, Place, SpaceFiles, open_found

_AT_ONCE, _SHOWN, _IN_A_FILE, _WIDTH = 100, 200, 30, 300
_SECONDS: Final = 8.0
_OURS: Final = Path(__file__).with_name("grep.py")
_FLAGS: Final = (
    *("--no-config", "--line-number", "--with-filename", "--null", "--no-heading", "--color=never", "--no-messages", "--crlf"),
    *(f"--max-count={_IN_A_FILE}", f"--max-columns={_WIDTH}", "--max-columns-preview"),
)


class SearchFilesParams(BaseModel):
    """What for, and where."""

    pattern: str = Field(min_length=1, max_length=1_000, description="A regular expression that a line fits.")
    folder: str = Field(".", max_length=2_000, description=FOLDER)
    files: str = Field("*", max_length=500, description='Only files called so: "*.md".')
    match_case: bool = Field(False, description="Whether A is not a.")


class _Hits:
    def __init__(self) -> None:
        self.lines: list[tuple[str, int, str]] = []
        """(path, number, text)"""
        self.searched = 0
        self.missing = ""
        """Why not all was searched."""


class SearchFiles:
    name: ClassVar[str] = "search_files"
    description: ClassVar[str] = "Search the text of files, line by line. Documents such as PDF are read with read_file instead."
    params: ClassVar[type[BaseModel]] = SearchFilesParams
    reads_only: ClassVar[bool] = True
    actions: ClassVar[frozenset[Action]] = frozenset({"reads"})
    brings: ClassVar[Provenance] = "file"
    timeout: ClassVar[float] = 30.0

    def __init__(self, files: SpaceFiles, *, ripgrep: str | None = None) -> None:
        """`ripgrep`: its path; "": do without it; None: look for it."""
        self._files = files
        self._ripgrep = ripgrep
        self._one = asyncio.Semaphore(2)  # each holds 100 descriptors

    async def run(self, params: SearchFilesParams, ctx: ToolContext) -> ToolResult:
        if "\0" in params.pattern:
            raise ToolFailed("Not searched: the pattern has a NUL, which no line of a text has.")
        place = await self._files.place(params.folder, ctx.owner)
        names = NamePattern(params.files)
        async with self._one:
            hits = await asyncio.to_thread(self._search, place, params, names)
        parts: list[str] = []
        for path, lines in groupby(hits.lines[:_SHOWN], key=lambda hit: hit[0]):
            parts += [path, *(f"  {number}: {text}" for _, number, text in lines)]
        if len(hits.lines) > _SHOWN:
            hits.missing = hits.missing or f"only the first {_SHOWN} lines are shown: narrow the pattern, the folder or the files"
        searched = f"{hits.searched:,} file{'' if hits.searched == 1 else 's'} searched{f'; {hits.missing}' if hits.missing else ''}"
        return ToolResult(text="\n".join([*(parts or ["No line fits."]), f"[{searched}.]"]))

    def _search(self, place: Place, params: SearchFilesParams, names: NamePattern) -> _Hits:
        hits, end = _Hits(), time.monotonic() + _SECONDS
        engine = [*self._engine(), *(() if params.match_case else ("--ignore-case",)), f"--regexp={params.pattern}", "--"]
        for batch in _batches(self._opened(place, names)):
            try:
                if len(hits.lines) > _SHOWN:
                    break
                hits.lines += _run(engine, batch, end - time.monotonic())
                hits.searched += len(batch)
            except subprocess.TimeoutExpired:
                hits.missing = f"stopped after {_SECONDS:g} s: a simpler pattern, or fewer files"
                break
            finally:
                for descriptor in batch:
                    os.close(descriptor)
        return hits

    def _engine(self) -> Sequence[str]:
        if self._ripgrep is None:
            self._ripgrep = shutil.which("rg") or shutil.which("rg", path=os.path.dirname(sys.executable)) or ""
        return (self._ripgrep, *_FLAGS) if self._ripgrep else (sys.executable, "-I", "-S", str(_OURS), *_FLAGS)

    def _opened(self, place: Place, names: NamePattern) -> Iterator[tuple[int, str]]:
        """(Descriptor, path) of each file that can be searched."""
        for found in self._files.walk(place, DEEPEST):
            if found.is_file and 0 < found.status.st_size <= MOST_READ and names.fits(found.steps):
                descriptor = open_found(found)
                if descriptor is not None:
                    yield descriptor, below(place, found)


def _batches(files: Iterator[tuple[int, str]]) -> Iterator[dict[int, str]]:
    batch: dict[int, str] = {}
    try:
        for descriptor, path in files:
            batch[descriptor] = path
            if len(batch) == _AT_ONCE:
                full, batch = batch, {}
                yield full
        full, batch = batch, {}
        if full:
            yield full
    finally:
        for descriptor in batch:
            os.close(descriptor)


def _run(engine: Sequence[str], batch: Mapping[int, str], seconds: float) -> list[tuple[str, int, str]]:
    """The lines that fit. Raises subprocess.TimeoutExpired, and ToolFailed for a pattern that is not valid."""
    named = {f"/dev/fd/{descriptor}": path for descriptor, path in batch.items()}
    done = subprocess.run(  # noqa: S603 - a list, and descriptors of ours
        [*engine, *named],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={},
        cwd="/",
        pass_fds=[*batch],
        timeout=max(seconds, 0.01),
        check=False,
    )
    if done.returncode not in (0, 1):
        words = done.stderr.decode(errors="replace").strip()
        raise ToolFailed(f"Not searched: the pattern is not valid. {words[-500:]}")
    lines: list[tuple[str, int, str]] = []
    for line in done.stdout.decode(errors="replace").split("\n"):
        file, _, rest = line.partition("\0")
        number, _, text = rest.partition(":")
        if file in named and number.isdecimal():
            lines.append((named[file], int(number), text[:_WIDTH].rstrip("\r")))
    return sorted(lines)

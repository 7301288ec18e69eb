"""`list_files` and `find_files`: what there is."""

import asyncio
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import ClassVar, Final

from pydantic import BaseModel, Field

from assistant.contracts.errors import ToolFailed
from assistant.contracts.gate import Action
from assistant.contracts.messages import human_size
from assistant.contracts.people import OWNER_ID
from assistant.contracts.provenance import Provenance
from assistant.contracts.tools import ToolContext, ToolResult
from tools.files.space import DEEPEST, Found, Place, SpaceFiles
from tools.jail import visible

_LISTED, _FOUND, _MET = 300, 100, 20_000
_OF_THE_ASSISTANT: Final = frozenset({"AGENTS.md", "SOUL.md", "TOOLS.md", "USER.md", "memory", "people", "shared", "skills", "workflows"})
"""What lies in the workspace itself and is no file of the person's."""
FOLDER: Final = 'A folder; "." is the user\'s, "shared" the household\'s.'


class ListFilesParams(BaseModel):
    """Which folder."""

    folder: str = Field(".", max_length=2_000, description=FOLDER)
    depth: int = Field(1, ge=1, le=8, description="How many levels of folders.")


class ListFiles:
    name: ClassVar[str] = "list_files"
    description: ClassVar[str] = (
        "List the user's files with sizes and times. Paths of all file tools begin at the user's own folder; shared/… is common to the household."
    )
    params: ClassVar[type[BaseModel]] = ListFilesParams
    reads_only: ClassVar[bool] = True
    actions: ClassVar[frozenset[Action]] = frozenset({"reads"})
    brings: ClassVar[Provenance] = "file"
    timeout: ClassVar[float] = 20.0

    def __init__(self, files: SpaceFiles) -> None:
        self._files = files

    async def run(self, params: ListFilesParams, ctx: ToolContext) -> ToolResult:
        place = await self._files.place(params.folder, ctx.owner)
        time = await self._files.times(ctx.owner)
        beside = _beside(self._files, ctx.owner, common=await self._files.shares(ctx.owner)) if place.path == "." else ()

        def line(found: Found) -> str:
            path = visible("/".join(found.steps))
            if found.is_folder:
                return f"{path}/"
            if not found.is_file:
                return f"{path} · neither file nor folder: left alone"
            return f"{path} · {human_size(found.status.st_size)} · {time(found.status.st_mtime)}"

        def lines() -> list[str]:
            met = [*islice(self._files.walk(place, params.depth - 1), _MET)]
            shown = [line(found) for found in met[:_LISTED]]
            more = (
                [f"[{len(met) - _LISTED:,} more are not shown: list a folder of these, or use find_files.]"] if len(met) > _LISTED else []
            )
            return [*shown, *more, *beside]

        return ToolResult(text="\n".join(await asyncio.to_thread(lines)) or "There are no files here.")


def _beside(files: SpaceFiles, owner: str, *, common: bool) -> Iterator[str]:
    """What else the person sees from their folder."""
    workspace = files.workspace.root
    if common and (workspace / "shared").is_dir():
        yield "shared/"
    if owner == OWNER_ID and (older := sorted(name for name in os.listdir(workspace) if name not in _OF_THE_ASSISTANT and name[0] != ".")):
        yield f"[In the workspace itself, to be read: {', '.join(map(visible, older[:40]))}]"


class FindFilesParams(BaseModel):
    """Which names."""

    pattern: str = Field(min_length=1, max_length=500, description='Of the name or the path, in any case: "*.pdf", "reports/**/week*.md".')
    folder: str = Field(".", max_length=2_000, description=FOLDER)


class FindFiles:
    name: ClassVar[str] = "find_files"
    description: ClassVar[str] = "Find files by their names, the newest first."
    params: ClassVar[type[BaseModel]] = FindFilesParams
    reads_only: ClassVar[bool] = True
    actions: ClassVar[frozenset[Action]] = frozenset({"reads"})
    brings: ClassVar[Provenance] = "file"
    timeout: ClassVar[float] = 20.0

    def __init__(self, files: SpaceFiles) -> None:
        self._files = files

    async def run(self, params: FindFilesParams, ctx: ToolContext) -> ToolResult:
        place = await self._files.place(params.folder, ctx.owner)
        time = await self._files.times(ctx.owner)
        pattern = NamePattern(params.pattern)

        def lines() -> list[str]:
            fitting = [found for found in self._files.walk(place, DEEPEST) if found.is_file and pattern.fits(found.steps)]
            fitting.sort(key=lambda found: (-found.status.st_mtime_ns, found.steps))
            more = [f"[{len(fitting) - _FOUND:,} older ones are not shown.]"] if len(fitting) > _FOUND else []
            return [_line(place, found, time(found.status.st_mtime)) for found in fitting[:_FOUND]] + more

        return ToolResult(text="\n".join(await asyncio.to_thread(lines)) or f"No file is called like {params.pattern!r} here.")


def _line(place: Place, found: Found, time: str) -> str:
    return f"{below(place, found)} · {human_size(found.status.st_size)} · {time}"


def below(place: Place, found: Found) -> str:
    """The whole path of what a walk of a folder met."""
    return visible("/".join(found.steps if place.path == "." else (place.path, *found.steps)))


class NamePattern:
    """A glob in any case: without a slash of the name alone, with one of the whole path, where `**` is any number of folders."""

    def __init__(self, written: str) -> None:
        """Raises ToolFailed where it has too many stars to be tried."""
        steps = tuple(step for step in written.casefold().split("/") if step not in ("", "."))
        if len(steps) > 20 or written.count("*") > 30:
            raise ToolFailed("This pattern is too long: name fewer folders, or use fewer stars.")
        self._steps = steps if "/" in written else ("**", *steps)

    def fits(self, path: tuple[str, ...]) -> bool:
        reached = {0}
        for name in map(str.casefold, path):
            reached = {after for place in self._open(reached) for after in self._after(place, name)}
        return len(self._steps) in self._open(reached)

    def _after(self, place: int, name: str) -> Iterator[int]:
        if place < len(self._steps):
            if self._steps[place] == "**":
                yield place
            elif fnmatchcase(name, self._steps[place]):
                yield place + 1

    def _open(self, reached: set[int]) -> set[int]:
        """With the places behind each `**`, which may be no folder at all."""
        places = set(reached)
        for place in sorted(reached):
            while place < len(self._steps) and self._steps[place] == "**":
                place += 1
                places.add(place)
        return places

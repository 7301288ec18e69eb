"""`write_file`, `edit_file`, `move_file`, `delete_file`."""

import asyncio
from datetime import UTC, datetime
from itertools import islice
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, Field

from assistant.contracts.effects import Effect
from assistant.contracts.errors import ToolFailed
from assistant.contracts.gate import Action
from assistant.contracts.messages import human_size
from assistant.contracts.provenance import Provenance
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.contracts.util import replace_surrogates
from tools.files.space import MOST_WRITTEN, SpaceFiles
from tools.jail import SHARED, split_path

_PATH: Final = '"notes.txt", "shared/list.md". Missing folders are made.'
_SPOTS, _BESIDE, _DIFF_CHARS = 5, 2, 4_000


class _Changing:
    """What they have in common."""

    reads_only: ClassVar[bool] = False
    actions: ClassVar[frozenset[Action]] = frozenset({"writes workspace"})
    brings: ClassVar[Provenance] = "system"
    reports_effects: ClassVar[Literal[True]] = True
    timeout: ClassVar[float] = 30.0

    def __init__(self, files: SpaceFiles) -> None:
        self._files = files


class WriteFileParams(BaseModel):
    """Where, and what."""

    path: str = Field(min_length=1, max_length=2_000, description=_PATH)
    content: str = Field(max_length=MOST_WRITTEN, description="The text.")
    mode: Literal["create", "overwrite", "append"] = Field("create", description="create: only if there is no such file.")


class WriteFile(_Changing):
    name: ClassVar[str] = "write_file"
    description: ClassVar[str] = "Write a text file: a new one, another text in place of the old one, or more at its end."
    params: ClassVar[type[BaseModel]] = WriteFileParams

    def subject(self, params: WriteFileParams, ctx: ToolContext) -> str:
        return path_of(params.path)

    async def run(self, params: WriteFileParams, ctx: ToolContext) -> ToolResult:
        place = await self._files.place(params.path, ctx.owner)
        data = replace_surrogates(params.content).encode()

        def written(there: bytes | None) -> bytes:
            if params.mode == "create" and there is not None:
                raise ToolFailed(
                    f"There is {place.path!r} already: mode overwrite replaces it, append adds to it, edit_file changes a part."
                )
            return (there or b"") + data if params.mode == "append" else data

        size = await asyncio.to_thread(self._files.update, place, written, reads=params.mode == "append")
        effect = Effect(kind="written", text=f"written · {place.path} ({human_size(size)})", ref=place.path)
        return ToolResult(text=f"Written: {place.path}, {human_size(size)}.", effects=(effect,))


class EditFileParams(BaseModel):
    """Which text is replaced by which."""

    path: str = Field(min_length=1, max_length=2_000, description=_PATH.partition(". ")[0] + ".")
    old: str = Field(min_length=1, max_length=MOST_WRITTEN, description="The exact text, with enough around it to be there once.")
    new: str = Field(max_length=MOST_WRITTEN, description="What is there instead.")
    all: bool = Field(False, description="Replace it wherever it is.")


class EditFile(_Changing):
    name: ClassVar[str] = "edit_file"
    description: ClassVar[str] = "Replace text in a file. The result shows the change."
    brings: ClassVar[Provenance] = "file"
    params: ClassVar[type[BaseModel]] = EditFileParams

    def subject(self, params: EditFileParams, ctx: ToolContext) -> str:
        return path_of(params.path)

    async def run(self, params: EditFileParams, ctx: ToolContext) -> ToolResult:
        place = await self._files.place(params.path, ctx.owner)
        if params.old == params.new:
            raise ToolFailed("Nothing to change: old and new are the same.")
        diff = ""

        def edited(there: bytes | None) -> bytes:
            nonlocal diff
            try:
                before = (there or b"").decode()
            except UnicodeDecodeError:
                raise ToolFailed(f"{place.path!r} is no UTF-8 text: only such files can be edited.") from None
            after, diff = edit(place.path, before, params.old, replace_surrogates(params.new), everywhere=params.all)
            return after.encode()

        size = await asyncio.to_thread(self._files.update, place, edited, new=False)
        effect = Effect(kind="written", text=f"edited · {place.path} ({human_size(size)})", ref=place.path)
        return ToolResult(text=f"Edited: {place.path}.\n{diff}", effects=(effect,))


class MoveFileParams(BaseModel):
    """From where, to where."""

    path: str = Field(min_length=1, max_length=2_000, description="A file or folder; from .trash/… it is restored.")
    to: str = Field(
        min_length=1, max_length=2_000, description='Its new path; with a slash at its end ("reports/"), the folder it goes into.'
    )


class MoveFile(_Changing):
    name: ClassVar[str] = "move_file"
    description: ClassVar[str] = "Move or rename a file or folder; never onto another one."
    params: ClassVar[type[BaseModel]] = MoveFileParams

    def subject(self, params: MoveFileParams, ctx: ToolContext) -> str:
        """The one of both paths that is in the common folder; else the new one."""
        paths = (_target(params), path_of(params.path))
        return next((path for path in paths if path.startswith(f"{SHARED}/")), paths[0])

    async def run(self, params: MoveFileParams, ctx: ToolContext) -> ToolResult:
        source, target = await self._files.place(params.path, ctx.owner), await self._files.place(_target(params), ctx.owner)
        await asyncio.to_thread(self._files.move, source, target)
        effect = Effect(kind="moved", text=f"moved · {source.path} to {target.path}", ref=target.path)
        return ToolResult(text=f"Moved: {source.path} is {target.path} now.", effects=(effect,))


class DeleteFileParams(BaseModel):
    """What."""

    path: str = Field(min_length=1, max_length=2_000, description="A file or folder.")


class DeleteFile(_Changing):
    name: ClassVar[str] = "delete_file"
    description: ClassVar[str] = "Delete a file or folder. It is kept in .trash for 7 days; move_file restores it."
    params: ClassVar[type[BaseModel]] = DeleteFileParams

    def subject(self, params: DeleteFileParams, ctx: ToolContext) -> str:
        return path_of(params.path)

    async def run(self, params: DeleteFileParams, ctx: ToolContext) -> ToolResult:
        place = await self._files.place(params.path, ctx.owner)
        trash = await asyncio.to_thread(self._files.delete, place, datetime.now(UTC))
        effect = Effect(kind="deleted", text=f"deleted · {place.path} (kept for 7 days)", ref=place.path)
        return ToolResult(text=f"Deleted: {place.path}. It is kept for 7 days as {trash}.", effects=(effect,))


def path_of(path: str) -> str:
    """In the one form that rules name. Raises ToolFailed."""
    return "/".join(split_path(path)) or "."


def _target(params: MoveFileParams) -> str:
    to = split_path(params.to)
    return "/".join((*to, *split_path(params.path)[-1:]) if params.to.endswith("/") else to)


def edit(path: str, before: str, old: str, new: str, *, everywhere: bool) -> tuple[str, str]:
    """(The text with `new` in place of `old`, what changed as a diff.) Raises ToolFailed unless `old` is there once, or `everywhere`."""
    if old not in before and "\r\n" in before:  # models write lines without the carriage return
        old, new = ("\r\n".join(text.replace("\r\n", "\n").split("\n")) for text in (old, new))
    count = before.count(old)
    if count == 0:
        raise ToolFailed(f"Nothing changed: {path!r} does not hold that text. read_file shows what it holds, letter by letter.")
    spots: list[int] = []
    while len(spots) < 20 and (spot := before.find(old, spots[-1] + len(old) if spots else 0)) >= 0:
        spots.append(spot)
    if count > 1 and not everywhere:
        lines = ", ".join(str(before.count("\n", 0, spot) + 1) for spot in spots)
        raise ToolFailed(
            f"Nothing changed: {path!r} holds that text {count} times, at line {lines}{' …' if count > len(spots) else ''}. "
            "Give more of the text around the one that is meant, or all=true."
        )
    diff = "\n".join(_change(before, spot, old, new) for spot in islice(spots, _SPOTS))
    if count > _SPOTS:
        diff += f"\n[… and {count - _SPOTS} more.]"
    return before.replace(old, new), diff[:_DIFF_CHARS]


def _change(before: str, spot: int, old: str, new: str) -> str:
    """The lines around one change, as in a unified diff; their numbers are those of the old text."""
    start = before.rfind("\n", 0, spot) + 1
    end = before.find("\n", spot + len(old))
    end = len(before) if end < 0 else end
    number = before.count("\n", 0, start) + 1
    above = before[:start].splitlines()[-_BESIDE:] if start else []
    below = before[end + 1 :].split("\n", _BESIDE)[:_BESIDE] if end < len(before) - 1 else []
    removed = before[start:end].splitlines()
    added = (before[start:spot] + new + before[spot + len(old) : end]).splitlines()
    return "\n".join(
        [f"@@ line {number} @@", *(f" {line}" for line in above), *(f"-{line}" for line in removed), *(f"+{line}" for line in added),
         *(f" {line}" for line in below)]
    )  # fmt: skip

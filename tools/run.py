"""`run`: a command in the sandbox, in the person's folder."""

import asyncio
import hashlib
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from assistant.contracts.effects import Effect
from assistant.contracts.errors import NanobotError, StoreUnavailable, ToolFailed
from assistant.contracts.gate import Action
from assistant.contracts.messages import Image, human_size
from assistant.contracts.provenance import Provenance
from assistant.contracts.sandbox import Ended, Ran, SandboxCommand
from assistant.contracts.tasks import NewTask, TaskConflict, TaskOutcome
from assistant.contracts.tools import ToolContext, ToolKind, ToolResult, ToolServices
from assistant.contracts.util import derived_id
from tools.workspace import Workspace, folder_of, shared_of, shown_name

_MOST_SECONDS, _USUAL_SECONDS = 3_600, 120
_OUTPUT_BYTES: Final = 2 * 1024**2
_PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")
_MOST_PICTURES, _PICTURE_BYTES = 4, 20 * 1024**2
_FILES_SHOWN: Final = 30
_WITH_HOSTS: Final[frozenset[Action]] = frozenset({"writes workspace", "network"})
_SHOWN_CHARS: Final = 20_000
"""Of the output of a command in the background; all of it is kept as an attachment."""
_ENDED: Final[dict[Ended, str]] = {
    "timeout": "it took longer than its time",
    "memory": "it used more memory than a command may",
    "output": f"it printed more than {human_size(_OUTPUT_BYTES)}: write to a file instead",
    "processes": "it started more processes than a command may",
    "disk": "it wrote more than a command may",
}
_NO_RETURN: Final = (
    "Not started: nothing could take the result of a background command here (a guest's turn, a request without a session, a job, or a helper). Run "
    "it without background."
)


class RunParams(BaseModel):
    """A command, and what it may have."""

    command: Annotated[str, Field(min_length=1, max_length=32_000)] | Annotated[list[str], Field(min_length=1, max_length=1_000)] = Field(
        description="A line for /bin/sh, or a list: the program and its arguments."
    )
    hosts: Annotated[list[str], Field(max_length=16)] = Field(
        [], description="Hosts that it needs, by HTTP(S): example.org, *.example.org, example.org:8443. Without, it has no network."
    )
    timeout: float | None = Field(None, gt=0, le=_MOST_SECONDS, description="Seconds that it may take: 120, in the background 3600.")
    background: bool = Field(False, description="Do not wait: you get an id now, and the output later by itself.")


class RunTool:
    """Nothing is run outside of the sandbox; on a machine without one the tool is not offered (`ToolKind.needs_sandbox`)."""

    name: ClassVar[str] = "run"
    description: ClassVar[str] = (
        "Run a command in a sandbox. It starts in the user's folder, whose files it may change (name them by relative paths); it sees the "
        "programs of this machine and nothing else of it. The result has the exit code, the output, and the files that were written."
    )
    params: ClassVar[type[BaseModel]] = RunParams
    reads_only: ClassVar[bool] = False
    actions: ClassVar[frozenset[Action]] = frozenset({"writes workspace"})
    brings: ClassVar[Provenance] = "tool"
    reports_effects: ClassVar[Literal[True]] = True
    timeout: ClassVar[float] = _MOST_SECONDS + 60

    def __init__(self, services: ToolServices) -> None:
        self._services = services
        self._files = Workspace(services.workspace)

    def actions_of_call(self, params: RunParams) -> frozenset[Action]:
        return _WITH_HOSTS if params.hosts else self.actions

    def subject(self, params: RunParams, ctx: ToolContext) -> str:
        """The whole command line; with hosts behind it."""
        line = _line(params)
        return f"{line} # {' '.join(sorted(params.hosts))}" if params.hosts else line

    async def run(self, params: RunParams, ctx: ToolContext) -> ToolResult:
        await self._files.admit("", ctx.owner, self._services.people)  # files of chats that were joined come along
        person = await self._services.people.person(ctx.owner)
        guest = person is not None and person.role == "guest"
        workspace = self._services.workspace
        folder, shared = await asyncio.to_thread(lambda: (folder_of(workspace, ctx.owner), None if guest else shared_of(workspace)))
        argv = ("/bin/sh", "-c", params.command) if isinstance(params.command, str) else tuple(params.command)
        if any("\0" in word for word in (*argv, *params.hosts)):
            raise ToolFailed("Not run: a command has no NUL characters.")
        command = SandboxCommand(
            argv=argv,
            folder=folder.resolve(),
            shared=shared and shared.resolve(),
            readable=tuple(await self._services.skills.folders()),
            hosts=tuple(params.hosts),
            seconds=params.timeout or (_MOST_SECONDS if params.background else _USUAL_SECONDS),
            background=params.background,
            output_bytes=_OUTPUT_BYTES,
        )
        if not params.background:
            return await self._waited(params, command, ctx)
        if guest or not ctx.goes_on:
            raise ToolFailed(_NO_RETURN)
        return await self._started(params, command, ctx)

    async def _waited(self, params: RunParams, command: SandboxCommand, ctx: ToolContext) -> ToolResult:
        ran = await self._services.sandbox.run(command)
        folder = command.folder
        pictures = [picture for path in _pictures(ran, folder) if (picture := await self._picture(path, ctx))]
        text = await asyncio.to_thread(_text, ran, folder)
        if ran.ended == "disk":
            text += "\n[the files that it had made are removed]"
        return ToolResult(text=text, effects=(_effect(params, ran, ctx),), images=tuple(pictures[: ctx.pictures]))

    async def _started(self, params: RunParams, command: SandboxCommand, ctx: ToolContext) -> ToolResult:
        """Raises ToolFailed: why it was not started."""

        async def work() -> TaskOutcome:
            ran = await self._services.sandbox.run(command)
            text = await asyncio.to_thread(_text, ran, command.folder)
            return TaskOutcome(
                answer=await self._kept(text, ctx),
                error="" if ran.ended == "exit" else _ENDED[ran.ended],
                effects=(_effect(params, ran, ctx),),
            )

        new = NewTask(
            id=derived_id("task", ctx.turn_id, ctx.call_place),
            kind="run",
            owner=ctx.owner,
            text=self.subject(params, ctx),
            session=ctx.session,
            turn_id=ctx.turn_id,
            agent=self._services.agent,
            parent_tools=None if ctx.only_tools is None else tuple(sorted(ctx.only_tools)),
            address=ctx.address,
            caller=ctx.caller,
            asker=ctx.asker,
            background=True,
        )
        try:
            await self._services.runs.begin(new, work)
        except (TaskConflict, StoreUnavailable) as error:
            raise ToolFailed(f"Not started: {error.message}") from None
        effect = Effect(kind="started", text=f"command · {_shown(_line(params))}", ref=new.id)
        text = f"Started in the background as {new.id}. Its output comes by itself: say that it runs, and do not wait."
        return ToolResult(text=text, effects=(effect,), provenance="system")

    async def _kept(self, text: str, ctx: ToolContext) -> str:
        """The beginning of a long text, which is kept as an attachment of the session, and where it goes on."""
        if len(text) <= _SHOWN_CHARS:
            return text
        kept = await self._services.attachments.keep_text(ctx.owner, ctx.session, f"result of {self.name}", text)
        more = f'read_attachment(id="{kept}", offset={_SHOWN_CHARS}) goes on.'
        return f"{text[:_SHOWN_CHARS]}\n[{len(text) - _SHOWN_CHARS:,} of {len(text):,} characters are not shown. {more}]"

    async def _picture(self, path: str, ctx: ToolContext) -> Image | None:
        """A picture that the command wrote, kept with the session; None: it is none that can be read."""
        from assistant.contracts.documents import ReadImage  # noqa: PLC0415 - only where there is one
        from assistant.contracts.turns import Upload  # noqa: PLC0415 - it imports the tools' port

        with TemporaryDirectory(prefix="nanobot-") as place:
            copy = Path(place) / "picture"
            try:
                size, digest = await asyncio.to_thread(self._copied, path, ctx.owner, copy)
                upload = Upload(name=shown_name(path), path=copy, size=size, digest=digest)
                read = await self._services.reader.read(upload)
                if not isinstance(read, ReadImage):
                    return None
            except NanobotError:  # too large, or not the picture that its name says: it stands among the files
                return None
            kept = await self._services.attachments.keep_file(ctx.owner, ctx.session, upload, read)
        return Image(
            attachment_id=kept,
            name=upload.name,
            media_type=read.media_type,
            width=read.width,
            height=read.height,
            size=upload.size,
            original=read.original,
        )

    def _copied(self, path: str, owner: str, copy: Path) -> tuple[int, str]:
        with self._files.opened(path, owner) as file:
            data = file.read(_PICTURE_BYTES + 1)
        if len(data) > _PICTURE_BYTES:
            raise ToolFailed(f"{path!r} is too large to be shown.")
        copy.write_bytes(data)
        return len(data), hashlib.sha256(data).hexdigest()


def _effect(params: RunParams, ran: Ran, ctx: ToolContext) -> Effect:
    return Effect(kind="ran", text=f"{_shown(_line(params))} · {_outcome(ran)}", ref=f"{ctx.turn_id}/{ctx.call_place}")


def _line(params: RunParams) -> str:
    return params.command.strip() if isinstance(params.command, str) else shlex.join(params.command)


def _shown(text: str) -> str:
    """In one line, without what can't be seen."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= 300 else f"{line[:299]}…"


def _outcome(ran: Ran) -> str:
    return f"exit code {ran.code}" if ran.ended == "exit" else f"ended ({ran.ended})"


def _pictures(ran: Ran, folder: Path) -> list[str]:
    """The newest last."""
    found = [path for path in ran.written if path.lower().endswith(_PICTURES)]
    return sorted(found, key=lambda path: _changed(folder / path))[-_MOST_PICTURES:]


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0


def _text(ran: Ran, folder: Path) -> str:
    blocks = [f"[exit code {ran.code}]" if ran.ended == "exit" else f"[It was ended: {_ENDED[ran.ended]}.]"]
    for name, data in (("output", ran.stdout), ("errors", ran.stderr)):
        if data:
            blocks.append(f"[{name}]\n{data.decode(errors='replace').replace(chr(0), '').rstrip()}")
    if ran.written:
        shown = [f"{_shown(path)} ({human_size(_size(folder / path))})" for path in ran.written[:_FILES_SHOWN]]
        more = [f"and {len(ran.written) - _FILES_SHOWN} more"] if len(ran.written) > _FILES_SHOWN else []
        blocks.append(f"[files written: {', '.join([*shown, *more])}]")
    elif not ran.stdout and not ran.stderr:
        blocks.append("[no output]")
    return "\n".join(blocks)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _open(settings: Any, services: ToolServices) -> RunTool:
    return RunTool(services)


KINDS: Final = (ToolKind(name=RunTool.name, open=_open, needs_sandbox=True),)

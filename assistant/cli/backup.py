"""`nanobot backup`, `nanobot restore` and `nanobot resume`."""

import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from assistant.app.opening import opened_store
from assistant.backup.archive import BackupRefused
from assistant.backup.make import Advance, BackupSources, write_backup
from assistant.backup.restore import RestoreTarget, restore_backup, what_is_there
from assistant.backup.unpack import Unpacked, check_backup
from assistant.cli.shared import ConfigOption, WorkspaceOption, configured, harmless, with_store
from assistant.config import Loaded
from assistant.config.secretless import secretless
from assistant.config.secrets_file import FILE_NAME as SECRETS
from assistant.contracts.errors import NanobotError, StoreUnavailable
from assistant.contracts.messages import human_size
from assistant.schedule.book import StoredSchedules
from assistant.skills.lock import FILE as SKILLS
from assistant.store.freezes import Freeze
from assistant.store.store import HEAD, Store, open_engine, revision_of, sqlite_path, store_url

BY_DIGEST, FOLDERS = ("attachments", "media"), ("channels",)
"""The folders of the state that are kept; the workspace is one more."""
commands = typer.Typer()


@commands.command()
def backup(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Where to; - is standard output.  [default: nanobot-<time>.tar.gz]", show_default=False),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only read FILE, and say whether it is whole.")] = False,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Keep tokens and keys in the configuration, and secrets.env.")
    ] = False,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write everything that is kept into one file, also while the server runs.

    The store as of one moment (SQLite or PostgreSQL), attachments, media, what channels keep, the workspace, and the configuration, in which
    ${NAME} stands for each secret. The file holds what people wrote: only its owner can read it.

    Example: nanobot backup

    Example: nanobot backup - | ssh backups 'cat > nanobot.tar.gz'

    Example: nanobot backup --check nanobot-2026-11-29T083000Z.tar.gz
    """
    if check:
        if file is None:
            raise typer.BadParameter("--check needs the FILE that is to be read.")
        with _reading(file) as (source, size), _bar("check", lambda: size) as advance:
            found = check_backup(cast("BinaryIO", _Counted(source, advance)))
        typer.echo(f"{file} is whole: {_described(found)}")
        return
    loaded = configured(config, workspace=workspace)
    target = file or Path(f"nanobot-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.tar.gz")
    _check_revision(loaded)
    asyncio.run(_settled(loaded))
    texts, names = _configuration(loaded, with_secrets=with_secrets)
    sources = BackupSources(
        engine=open_engine(store_url(loaded.config.store, loaded.home)),
        by_digest={name: loaded.home / name for name in BY_DIGEST},
        folders={**{name: loaded.home / name for name in FOLDERS}, "workspace": loaded.workspace},
        texts=texts,
        scratch=loaded.home,
        store=loaded.config.store,
    )
    with _explained(str(target)), _bar("backup", sources.size) as advance, _writing(target) as out:
        made = write_backup(sources, out, advance)
    typer.echo(f"{target}: {made.rows} rows, {made.files} files of {human_size(made.size)}", err=str(target) == "-")
    for path in made.left_out:
        typer.echo(f"left out, as it is a link or no file: {harmless(path)}", err=True)
    if names:
        typer.echo(f"{len(names)} secrets of the configuration are not in it (--with-secrets keeps them)", err=True)


@commands.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `nanobot backup` wrote; - is standard input.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Put a backup in the place of the store, its files and the workspace of this configuration.

    The whole file is checked before anything is changed, and a restore that is cut off leaves what was there, or is completed by the next command.
    The server must not run. Afterwards everything that waits is frozen, so that nothing goes out twice: see `nanobot resume`.

    The backup's configuration is restored where there is none.

    Example: nanobot restore nanobot-2026-11-29T083000Z.tar.gz
    """
    loaded = configured(config, workspace=workspace)
    folders = {name: loaded.home / name for name in (*BY_DIGEST, *FOLDERS)}
    files = {f"config/{SKILLS}": loaded.home / SKILLS}
    if loaded.source is None:
        files |= {f"config/{name}": loaded.home / name for name in ("config.json", "config.json5")}
        if not (loaded.home / SECRETS).exists():
            files[f"config/{SECRETS}"] = loaded.home / SECRETS
    target = RestoreTarget(
        url=store_url(loaded.config.store, loaded.home),
        home=loaded.home,
        folders={**folders, "workspace": loaded.workspace},
        files=files,
        store=loaded.config.store,
    )
    there = _replaced(target)
    if there and not force:
        raise BackupRefused(f"The target is not empty: {there}. Add --force to replace all of it.")
    with _reading(file) as (source, size), _bar("restore", lambda: size) as advance:
        found = restore_backup(cast("BinaryIO", _Counted(source, advance)), target)
    typer.echo(f"restored: {_described(found)}")
    name = f"config/{found.configuration}"
    if name in files:
        typer.echo(f"the backup's configuration is {files[name]} now; nanobot config check says what it lacks")
    elif found.configuration:
        typer.echo(
            f"{loaded.source or 'What is built in'} holds; the backup's own configuration: tar -xzOf {file} {harmless(shlex.quote(name))}"
        )
    typer.echo("the store is frozen: nothing is sent, and no schedule, task or channel runs, until `nanobot resume`")


@commands.command()
def resume(
    send: Annotated[bool, typer.Option("--send", help="Send and do what waited when the backup was made.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel what waited when the backup was made.")] = False,
    config: ConfigOption = None,
) -> None:
    """Let a restored store send, and its schedules, tasks and channels run.

    What waited when the backup was made may have been done since, by the server that it was made of. So one of --send and --cancel is needed where
    anything waits. A server that runs begins at once.

    Example: nanobot deliveries list --state queued; nanobot resume --cancel
    """
    if send and cancel:
        raise typer.BadParameter("either --send or --cancel.")
    loaded = configured(config)

    async def thaw(store: Store) -> str:
        freeze = await store.freezes.get()
        if freeze is None:
            return "The store is not frozen: there is nothing to resume."
        waiting = await store.freezes.waiting(freeze)
        if waiting and not (send or cancel):
            raise BackupRefused(_choice(freeze, waiting))
        if waiting and cancel:
            await StoredSchedules(store.schedules).skip_due()
            await store.freezes.cancel_waiting(freeze)
        await store.freezes.thaw()
        return f"resumed{f', and cancelled what waited: {_counts(waiting)}' if waiting and cancel else ''}"

    typer.echo(with_store(loaded, thaw))


def _replaced(target: RestoreTarget) -> str:
    try:
        return what_is_there(target)
    except StoreUnavailable as error:
        path = sqlite_path(target.url)
        advice = f" If it can't be read any more, move {path} away, with its -wal and -shm, and restore then." if path else ""
        raise StoreUnavailable(f"{error.message}{advice}") from error


def _choice(freeze: Freeze, waiting: Mapping[str, int]) -> str:
    return (
        f"Since before the backup of {freeze.made:%Y-%m-%d %H:%M} UTC there wait: {_counts(waiting)}. What of it was done since then is not known "
        "here. `nanobot resume --cancel` cancels it, `nanobot resume --send` does it; `nanobot deliveries list --state queued` and "
        "`nanobot schedule list` show it."
    )


def _counts(waiting: Mapping[str, int]) -> str:
    return ", ".join([f"{count} {kind}" for kind, count in waiting.items()])


def _check_revision(loaded: Loaded) -> None:
    """A backup upgrades nothing: perhaps it is what is made before an upgrade, beside an older version that runs."""
    url = store_url(loaded.config.store, loaded.home)
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return
    link = open_engine(url).connect(writes=False)
    try:
        link.begin()
        found = revision_of(link)
        link.rollback()
    finally:
        link.close()
    if found not in ("", HEAD):
        raise BackupRefused(
            f"The store is of another version (its revision is {found}, this version's is {HEAD}). Back it up with the version that runs, or start "
            "this one first."
        )


async def _settled(loaded: Loaded) -> None:
    """With a restore that was cut off completed, or dropped."""
    async with opened_store(loaded):
        pass


def _configuration(loaded: Loaded, *, with_secrets: bool) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The files of the archive's folder `config`, and the names of the secrets that are not in them."""
    texts: dict[str, bytes] = {}
    names: tuple[str, ...] = ()
    if loaded.source is not None and with_secrets:
        texts[f"config/config{loaded.source.suffix}"] = loaded.source.read_bytes()
    elif loaded.source is not None:
        name, text, names = secretless(loaded.source, loaded.config)
        texts[f"config/config{Path(name).suffix}"] = text.encode()
    for name in (SKILLS, *([SECRETS] if with_secrets else [])):
        if (loaded.home / name).is_file():
            texts[f"config/{name}"] = (loaded.home / name).read_bytes()
    return texts, names


def _described(found: Unpacked) -> str:
    head = found.head
    rows = sum(found.rows.values())
    made = f"made {head.made:%Y-%m-%d %H:%M} UTC by nanobot {harmless(head.version)} on {harmless(head.host)}"
    return f"{rows} rows, {found.files} files of {human_size(found.size)}, {made}"


@contextmanager
def _writing(target: Path) -> Generator[BinaryIO]:
    """Standard output, or a file that is there when it is whole."""
    if str(target) == "-":
        yield sys.stdout.buffer
        return
    if target.exists():
        raise BackupRefused(f"{target} exists already: name another file, or remove it.")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _reading(file: Path) -> Generator[tuple[BinaryIO, int]]:
    if str(file) == "-":
        yield sys.stdin.buffer, 0
        return
    with _explained(str(file)), file.open("rb") as source:
        yield source, os.fstat(source.fileno()).st_size


@contextmanager
def _explained(what: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise NanobotError(f"{error.filename or what}: {error.strerror or error}.") from None


class _Counted:
    """A stream that says how far it was read. All that is asked of it is `read`."""

    def __init__(self, source: BinaryIO, advance: Advance) -> None:
        self._source = source
        self._advance = advance

    def read(self, most: int = -1) -> bytes:
        block = self._source.read(most)
        self._advance(len(block))
        return block


@contextmanager
def _bar(what: str, total: Callable[[], int]) -> Generator[Advance]:
    """A bar of progress, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield int
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe need not wait for it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - as above

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total())
        yield lambda size: bar.advance(task, size)

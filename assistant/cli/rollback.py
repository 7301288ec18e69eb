"""`nanobot rollback`: the way back from an upgrade."""

import sys
from typing import Annotated

import typer

from assistant.backup.archive import BackupRefused
from assistant.backup.restore import refuse_if_used
from assistant.cli.shared import ConfigOption, configured, moment
from assistant.store.snapshots import StoreSnapshot, roll_back, snapshots, written_since
from assistant.store.store import HEAD, open_engine, sqlite_path, store_url

commands = typer.Typer()


@commands.command()
def rollback(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Bring back the store as it was before the last upgrade.

    Before an upgrade changes the schema, the store is copied (SQLite; the last two copies are kept beside it). This brings the latest one back, to be
    used by the version of nanobot that you had before: this one would upgrade it again. What was written since is lost, and said before; what was
    sent since is not sent again. The store that is replaced is kept as a copy, too.

    Example: nanobot rollback
    """
    loaded = configured(config)
    path = sqlite_path(store_url(loaded.config.store, loaded.home))
    if path is None:
        raise BackupRefused("The store is on PostgreSQL, of which no copies are kept: restore the dump that you made before the upgrade.")
    found = next((each for each in snapshots(path) if each.revision != HEAD), None)
    if found is None or not path.exists():
        raise BackupRefused(f"There is no copy of {path} from before an upgrade.")
    link = open_engine(store_url(loaded.config.store, loaded.home)).connect(writes=True)
    try:
        refuse_if_used(link, path)
    finally:
        link.close()
    lost = ", ".join([f"{count} {kind}" for kind, count in written_since(path, found).items()]) or "nothing that is counted"
    typer.echo(f"The store of {moment(found.at)} UTC, of revision {found.revision}, comes back. Lost is what was written since: {lost}.")
    if not (yes or (sys.stdin.isatty() and typer.confirm("Go on?"))):
        raise BackupRefused("Nothing was changed. Add --yes to do it.")
    roll_back(path, found)
    typer.echo(_then(found))


def _then(found: StoreSnapshot) -> str:
    return f"rolled back to revision {found.revision}. Start the version of nanobot that you had before; this one upgrades the store again."

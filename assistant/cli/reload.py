"""`nanobot reload`: a changed configuration for the server that runs."""

import os
import signal
import time
from typing import Final

import typer

from assistant.app.server_file import latest_report, running_server
from assistant.cli.program import fail
from assistant.cli.shared import ConfigOption, configured, harmless

commands = typer.Typer()
_PATIENCE: Final = 30.0
_LOOK_AGAIN: Final = 0.05


@commands.command()
def reload(config: ConfigOption = None) -> None:
    """Have the running server read the configuration anew, without a restart.

    At once hold: models and providers with their keys, agents' instructions and options, channels that connect by themselves, who may write
    on them (allowFrom, owners), the log's level. What needs a restart is listed, with why. A configuration that is wrong changes nothing.
    SIGHUP does the same.

    Example: nanobot reload
    """
    loaded = configured(config)
    pid = running_server(loaded.home)
    if pid is None:
        fail(f"no server runs on {loaded.home}: nanobot serve reads the configuration when it starts")
    before, _ = latest_report(loaded.home, pid)
    os.kill(pid, signal.SIGHUP)
    end = time.monotonic() + _PATIENCE
    while (report := latest_report(loaded.home, pid))[0] == before:
        if time.monotonic() > end:
            fail(f"the server (process {pid}) did not answer within {_PATIENCE:g} s; its log may say why")
        time.sleep(_LOOK_AGAIN)
    _, done = report
    if done.wrong:
        fail(f"nothing was changed: {done.wrong}")
    for key in done.applied:
        typer.echo(f"holds now      {harmless(key)}")
    for line in done.waiting:
        typer.echo(f"after restart  {harmless(line)}")
    if not done.applied and not done.waiting:
        typer.echo("Nothing has changed.")

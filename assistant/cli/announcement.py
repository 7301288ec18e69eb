"""What a server says when it begins to listen."""

import typer

from assistant.app import Assistant

_MOST_NOTICES = 5


def announce(assistant: Assistant, port: int) -> None:
    """What is served, where, with which model and why."""
    loaded = assistant.loaded
    host = loaded.config.api.host
    lines = [
        f"nanobot serves http://{f'[{host}]' if ':' in host else host}:{port}/v1",
        f"  model          {assistant.choice}",
        f"  configuration  {loaded.source or 'the built-in defaults'}",
        f"  workspace      {loaded.workspace}",
        f"  channels       {_channels(assistant)}",
        f"  state          {loaded.home}",
    ]
    if len(loaded.notices) > _MOST_NOTICES:
        lines.append(f"  {len(loaded.notices)} keys of the configuration have no effect: nanobot config check")
    else:
        lines += [f"  {notice}" for notice in loaded.notices]
    typer.echo("\n".join(lines))


def _channels(assistant: Assistant) -> str:
    """Those that are open, and those that could not be, with why."""
    outlet = assistant.outlet
    opened = [channel.name for channel in outlet.channels] if outlet else []
    unopened = [f"{name} is not open: {why}" for name, why in outlet.unopened.items()] if outlet else []
    return "; ".join(filter(None, [", ".join(opened), *unopened])) or "none"

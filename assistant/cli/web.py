"""`nanobot web`: a link that logs a browser in to the page."""

import os
import sys
import webbrowser
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from assistant.access.browsers import LINK_LASTS, new_link
from assistant.access.principals import digest_of
from assistant.cli.shared import ConfigOption, configured, harmless, with_store
from assistant.config import Loaded
from assistant.contracts.people import OWNER_ID, shown_person
from assistant.store.store import Store

commands = typer.Typer()

_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "*": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - replaced, never bound to


def page_address(host: str, port: int) -> str:
    """Where this machine reaches the page of a server that listens on `host`."""
    return f"http://{_EVERY_ADDRESS.get(host) or (f'[{host}]' if ':' in host and not host.startswith('[') else host)}:{port}/"


@commands.command()
def web(
    open_it: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open it in the browser.  [default: where there is a screen]", show_default=False),
    ] = None,
    person: Annotated[str, typer.Option(metavar="NAME", help="Whose page: a person by name, id or identity.")] = "owner",
    log_out_everywhere: Annotated[
        bool, typer.Option("--log-out-everywhere", help="Log out all browsers of this person, and make no link.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make a link that logs one browser in to the page, and open it.

    It can be used once, within five minutes; the browser stays logged in for thirty days. A person other than the owner sees what is
    their own.

    Example: nanobot web

    Example: nanobot web --no-open --person Anna
    """
    loaded = configured(config)
    if log_out_everywhere:
        ended = with_store(loaded, lambda store: _log_out(store, person))
        typer.echo(f"{ended} {'browser was' if ended == 1 else 'browsers were'} logged out; what they have open ends within a second")
        return
    secret, shown = with_store(loaded, lambda store: _add_link(store, person))
    address = f"{_page(loaded)}#login={secret}"
    typer.echo(address)
    minutes = LINK_LASTS.total_seconds() / 60
    typer.echo(f"this opens the page of {harmless(shown)} once, within {minutes:.0f} minutes, where nanobot serve runs", err=True)
    if _has_screen() if open_it is None else open_it:
        webbrowser.open(address)


async def _add_link(store: Store, wanted: str) -> tuple[str, str]:
    """(The link's secret, whose it is.)"""
    found = await store.people.find(wanted)
    secret, browser = new_link(found.id, datetime.now(UTC))
    await store.browsers.add(browser, digest_of(secret.encode()), link=True)
    return secret, found.name or ("the owner" if found.id == OWNER_ID else shown_person(found.id))


async def _log_out(store: Store, wanted: str) -> int:
    return await store.browsers.remove((await store.people.find(wanted)).id)


def _page(loaded: Loaded) -> str:
    return page_address(loaded.config.api.host, loaded.config.api.port)


def _has_screen() -> bool:
    return sys.stdout.isatty() and (
        sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    )

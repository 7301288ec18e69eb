"""`nanobot mcp list | test | approve | login | logout`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final, TypeVar

import orjson
import typer

from assistant.app.mcp import build_mcp
from assistant.app.opening import opened_store
from assistant.app.sandbox import build_sandbox
from assistant.app.web import open_secrets
from assistant.cli.shared import ConfigOption, JsonOption, configured, harmless, print_table
from assistant.config import Loaded
from assistant.config.folders import make_workspace
from assistant.contracts.errors import ToolFailed
from assistant.documents.reader import ChildReader
from assistant.mcp.pins import differences
from assistant.mcp.service import McpServers
from assistant.mcp.settings import McpServer
from assistant.store.mcp import KnownServer
from assistant.store.store import Store

T = TypeVar("T")
commands = typer.Typer(name="mcp", help="MCP servers: other programs whose tools the assistant can use.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The server's name in the configuration.")]
_HEADS: Final = ("NAME", "KIND", "TOOLS>", "OFF>", "LOGIN", "PEOPLE")
_NOTHING: Final = "No server is configured: paste a mcpServers block into the configuration (docs/mcp.md)."


@commands.command("list")
def list_servers(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the servers, how many of their tools are on, and how many wait for an approval.

    Nothing is connected: it shows what was seen last.

    Example: nanobot mcp list
    """
    loaded = configured(config)

    async def look(store: Store) -> list[dict[str, Any]]:
        known = {each.name: each for each in await store.mcp.all()}
        granted = await store.mcp.granted()
        return [_facts(name, server, known.get(name), granted.get(name)) for name, server in loaded.config.mcp.servers.items()]

    found = _run(loaded, look)
    if as_json:
        for each in found:
            typer.echo(orjson.dumps(each))
        return
    rows = [(each["name"], each["kind"], _count(each["on"]), _count(each["off"]), each["login"], each["people"]) for each in found]
    print_table(_HEADS, rows, _NOTHING)


@commands.command("test")
def try_server(name: NameArgument, config: ConfigOption = None) -> None:
    """Connect to a server, and show its tools.

    Example: nanobot mcp test github
    """
    known = _connected(configured(config), name)
    print_table(
        ("TOOL", "STATE", "DOES", "DESCRIPTION"),
        [
            (
                tool.name,
                "on" if tool in known.on else "off",
                "reads" if tool.reads_only else "acts",
                " ".join(tool.description.split())[:80],
            )
            for tool in known.listed
        ],
    )
    if known.off:
        typer.echo(f"{len(known.off)} wait for an approval: nanobot mcp approve {name}")


@commands.command()
def approve(
    name: NameArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, config: ConfigOption = None
) -> None:
    """Show what a server has changed of its tools, and turn them on again.

    The first list of a server is trusted, as the configuration names it. What it changes later could make the assistant do something else with your
    data: read it as you would read a contract.

    Example: nanobot mcp approve github
    """
    loaded = configured(config)
    _server(loaded, name)

    async def look(store: Store) -> KnownServer | None:
        return next((each for each in await store.mcp.all() if each.name == name), None)

    known = _run(loaded, look)
    if known is None or not known.off:
        typer.echo(f"{name} has changed nothing since it was approved.")
        return
    for line in differences(known):
        typer.echo(harmless(line))
    if not yes:
        typer.confirm(f"Turn on these {len(known.off)}?", abort=True)
    if not _run(loaded, lambda store: store.mcp.approve(known)):
        raise typer.BadParameter("the server has changed its tools again meanwhile; look once more.", param_hint="NAME")
    typer.echo(f"{len(known.off)} turned on")


@commands.command()
def login(name: NameArgument, config: ConfigOption = None) -> None:
    """Log in to a server that wants OAuth.

    Prints an address: open it in a browser on this machine. The tokens stay in the store, and are renewed by the server.

    Example: nanobot mcp login github
    """
    loaded = configured(config)
    server = _server(loaded, name)
    if server.url is None:
        raise typer.BadParameter("it is a program: its keys belong into its env.", param_hint="NAME")
    from assistant.mcp.login import log_in  # noqa: PLC0415 - the SDK takes most of a second

    async def go(store: Store) -> bool:
        headers = {key: value.get_secret_value() for key, value in server.headers.items()}
        granted = await log_in(server, headers, lambda url: typer.echo(f"Open this address in a browser:\n\n{harmless(url)}\n"))
        if granted is not None:
            await store.mcp.keep_grant(name, server.url or "", granted)
        return granted is not None

    if not _run(loaded, go):
        typer.echo(f"{name} wants no login.")
        return
    known = _connected(loaded, name)
    typer.echo(f"Logged in. {len(known.on)} tools are on.")


@commands.command()
def logout(name: NameArgument, config: ConfigOption = None) -> None:
    """Forget the tokens of a login. The authorization server may have a page to end it there, too.

    Example: nanobot mcp logout github
    """
    gone = _run(configured(config), lambda store: store.mcp.drop_grant(name))
    typer.echo(f"The login at {name} is forgotten" if gone else f"There is no login at {name}.")


def _connected(loaded: Loaded, name: str) -> KnownServer:
    """Connect once, and note what the server lists."""
    _server(loaded, name)
    make_workspace(loaded.workspace)  # where programs have their folders

    async def connect(store: Store) -> KnownServer:
        async with AsyncExitStack() as opened:
            reader = ChildReader(loaded.config.documents)
            opened.push_async_callback(reader.close)
            secrets = open_secrets(loaded.config)
            sandbox = build_sandbox(loaded, secrets)
            servers = build_mcp(loaded, store, reader, opened, sandbox=sandbox, secrets=secrets).servers
            if servers is None or name not in servers.servers:
                raise ToolFailed(f"{name} is not enabled.")
            return await _meet(servers, name)

    return _run(loaded, connect)


async def _meet(servers: McpServers, name: str) -> KnownServer:
    await servers.refresh()
    server = servers.servers[name]
    await server.link.connected()
    assert server.known is not None
    return server.known


def _run(loaded: Loaded, use: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        async with opened_store(loaded) as store:
            return await use(store)

    try:
        return asyncio.run(run())
    except ToolFailed as error:
        typer.echo(f"nanobot: {harmless(str(error))}", err=True)
        raise typer.Exit(1) from None


def _server(loaded: Loaded, name: str) -> McpServer:
    servers = loaded.config.mcp.servers
    if name not in servers:
        raise typer.BadParameter(f"there is no such server; there are: {', '.join(servers) or 'none'}.", param_hint="NAME")
    return servers[name]


def _facts(name: str, server: McpServer, known: KnownServer | None, granted: str | None) -> dict[str, Any]:
    seen = known if known is not None and known.origin == server.origin else None
    logged_in = granted is not None and granted == server.url
    return {
        "name": name,
        "kind": ("http" if server.url else "program") if server.enabled else "disabled",
        "on": None if seen is None else len(seen.on),
        "off": None if seen is None else len(seen.off),
        "login": "yes" if logged_in else "no" if server.url else "-",
        "people": ", ".join(server.people),
    }


def _count(number: int | None) -> str:
    return "not seen" if number is None else str(number)

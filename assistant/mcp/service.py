"""The MCP servers of the configuration: which of their tools an agent is offered in a session, and the connections behind them."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from assistant.contracts.errors import StoreUnavailable, ToolFailed
from assistant.contracts.sandbox import Sandbox, SandboxCommand
from assistant.contracts.secrets import Secrets
from assistant.contracts.tools import Tool, ToolContext, ToolResult
from assistant.mcp.link import HttpServer, Link, Listing, Program
from assistant.mcp.pins import model_names
from assistant.mcp.results import KeepFile, RemoteResult, ResultBlock, result_of
from assistant.mcp.settings import McpServer, McpSettings
from assistant.mcp.tools import FindTools, ReadRemote, RemoteCall, offered
from assistant.store.mcp import KnownServer, McpStore, RemoteTool

log = logging.getLogger(__name__)

FIRST_WAIT: Final = 3.0
"""Seconds that a turn waits for servers that were never seen; later turns do not."""
_SESSIONS: Final = 1_000
"""Whose found tools are remembered, and which lists are kept."""


class ConfiguredServer:
    """A server, its connection, and what is known of it. Implements RemoteServer."""

    def __init__(self, name: str, settings: McpServer, owned: "McpServers") -> None:
        self.name = name
        self.settings = settings
        self.known: KnownServer | None = None
        self.waited_for = False
        self._owned = owned
        self.link = Link(name, self._target, self._saw, idle=owned.settings.idle)

    def allows(self, owner: str) -> bool:
        return self.settings.allows(owner)

    @property
    def tools(self) -> list[RemoteTool]:
        """Those that may be used."""
        named = self.settings.tools
        return [tool for tool in (self.known.on if self.known else ()) if named is None or tool.name in named]

    async def call(self, tool: RemoteTool, arguments: dict[str, Any], owner: str) -> RemoteResult:
        self._check(owner)
        await self.link.connected()  # which lists its tools anew
        if all(each.digest != tool.digest for each in self.tools):
            raise ToolFailed(
                f"{self.name} has changed this tool, or has it no more: it is off until the owner runs `nanobot mcp approve {self.name}`."
            )
        return await self.link.call(lambda connection: connection.call(tool.name, arguments), again=tool.reads_only)

    async def read(self, uri: str, prompt: str, arguments: dict[str, str], owner: str) -> RemoteResult:
        self._check(owner)
        if uri:
            return await self.link.call(lambda connection: connection.read(uri), again=True)
        if prompt:
            return await self.link.call(lambda connection: connection.prompt(prompt, arguments), again=True)
        lines = await self.link.call(lambda connection: connection.index(), again=True)
        return RemoteResult(blocks=(ResultBlock(text="\n".join(lines)),))

    async def told(self, answer: RemoteResult, ctx: ToolContext) -> ToolResult:
        return await result_of(answer, ctx, self._owned.keep, self._owned.secrets)

    def _check(self, owner: str) -> None:
        if not self.allows(owner):
            raise ToolFailed(f"{self.name} is not for the person you talk with.")

    async def _target(self) -> Program | HttpServer:
        """Raises ToolFailed where there is no sandbox, or a secret must not go there."""
        settings, secrets = self.settings, self._owned.secrets
        if settings.type == "sse":
            raise ToolFailed('it is configured with the old transport "sse", which is not spoken: most servers answer at /mcp, too')
        if settings.url:
            headers = {name: secrets.fill(value.get_secret_value(), settings.host) for name, value in settings.headers.items()}
            return HttpServer(name=self.name, url=settings.url, headers=headers, grants=self._owned.grants())
        if self._owned.sandbox is None or (await self._owned.sandbox.rung()) == "none":
            raise ToolFailed("it is a program, and this machine has no sandbox to run it in (`nanobot doctor` says what to install)")
        folder = self._owned.workspace / "mcp" / "".join([c if c.isalnum() or c in "-_" else "_" for c in self.name])
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        environment: dict[str, str] = {}
        for name, value in settings.env.items():
            filled = [
                secrets.fill(value.get_secret_value(), host) for host in settings.hosts or ("",)
            ]  # each of them must be one of the secret's
            environment[name] = filled[0]
        command = SandboxCommand(
            argv=(settings.command or "", *settings.args),
            folder=folder,
            readable=tuple(
                [path for each in (settings.command or "", *settings.args, *settings.readable) if (path := Path(each)).is_absolute()]
            ),
            hosts=settings.hosts,
            environment=environment,
            seconds=None,
            output_bytes=2**50,
        )
        return Program(sandbox=self._owned.sandbox, command=command)

    async def _saw(self, listing: Listing) -> None:
        self.known = known = await self._owned.store.saw(self.name, self.settings.origin, listing.tools, listing.offers)
        if known.off or listing.left_out:
            log.warning("mcp.tools_off server=%s off=%d missing=%d", self.name, len(known.off), listing.left_out)


class McpServers:
    """All servers of a process. Nothing is connected before it is used."""

    def __init__(
        self, settings: McpSettings, store: McpStore, *, workspace: Path, keep: KeepFile, secrets: Secrets, sandbox: Sandbox | None
    ) -> None:
        """`keep`: stores a file that a result holds. `sandbox`: where programs run; None: none does."""
        self.settings = settings
        self.store = store
        self.workspace = workspace
        self.keep = keep
        self.secrets = secrets
        self.sandbox = sandbox
        self.servers = {name: ConfiguredServer(name, each, self) for name, each in settings.servers.items() if each.enabled}
        self._revisions: Mapping[str, int] = {}
        self._found: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()
        self._lists: OrderedDict[tuple[Any, ...], tuple[Tool[Any], ...]] = OrderedDict()
        self._grants: Any = None

    def grants(self) -> Any:
        """The tokens of logins; made when one may be needed."""
        if self._grants is None:
            from assistant.mcp.grants import Grants  # noqa: PLC0415 - its HTTP client is not needed before

            self._grants = Grants(self.store)
        return self._grants

    async def refresh(self) -> None:
        """Look at what other processes stored: approvals, logins, lists."""
        revisions = await self.store.revisions()
        if revisions == self._revisions:
            return
        known = {each.name: each for each in await self.store.all()}
        for name, server in self.servers.items():
            if revisions.get(name) != self._revisions.get(name):
                stored = known.get(name)
                server.known = stored if stored and stored.origin == server.settings.origin else None
                server.link.forgive()
        self._revisions = revisions

    async def offered(self, names: Sequence[str] | None, owner: str, session: str) -> tuple[Tool[Any], ...]:
        """What an agent with these servers (None: all) may use in a session: the same object until something changes."""
        try:
            await self.refresh()
        except StoreUnavailable:
            log.warning("mcp.not_refreshed")
        servers = [server for name, server in self.servers.items() if (names is None or name in names) and server.allows(owner)]
        if new := [server for server in servers if server.known is None]:
            await self._meet(new)
        there = [server for server in servers if server.known is not None]
        found = self._found.get((owner, session), ())
        key = (found, *[(server.name, server.known and server.known.revision) for server in there])
        if key not in self._lists:
            self._lists[key] = self._list(there, found)
            while len(self._lists) > _SESSIONS:
                self._lists.popitem(last=False)
        return self._lists[key]

    async def close(self) -> None:
        await asyncio.gather(*[server.link.close() for server in self.servers.values()])
        if self._grants is not None:
            await self._grants.close()

    async def _meet(self, servers: Sequence[ConfiguredServer]) -> None:
        """Connect servers that were never seen, in the background; the first turn that needs them waits a little."""
        for server in servers:
            server.link.begin()
        waiting = [asyncio.create_task(server.link.connected()) for server in servers if not server.waited_for and not server.link.resting]
        for server in servers:
            server.waited_for = True
        if not waiting:
            return
        done, late = await asyncio.wait(waiting, timeout=FIRST_WAIT)
        for task in late:
            task.cancel()
        for task in done:
            task.exception()

    def _list(self, servers: Sequence[ConfiguredServer], found: tuple[str, ...]) -> tuple[Tool[Any], ...]:
        pairs = [(server, tool) for server in servers for tool in server.tools]
        names = model_names([(server.name, tool.name) for server, tool in pairs])
        calls = [
            offered(
                server,
                tool,
                names[server.name, tool.name],
                timeout=server.settings.timeout,
                offline=server.settings.url is None and not server.settings.hosts,
            )
            for server, tool in pairs
        ]
        more: list[Tool[Any]] = []
        if len(calls) > self.settings.most_tools:
            more.append(FindTools(calls, self._keep_found))
            by_name = {call.name: call for call in calls}
            shown: list[RemoteCall] = [by_name[name] for name in found if name in by_name]
        else:
            shown = calls
        if readable := [server for server in servers if server.known and server.known.offers]:
            more.append(ReadRemote(readable))
        return (*more, *shown)

    def _keep_found(self, ctx: ToolContext, names: Sequence[str]) -> None:
        where = ctx.owner, ctx.session
        self._found[where] = tuple(dict.fromkeys([*self._found.pop(where, ()), *names]))
        while len(self._found) > _SESSIONS:
            self._found.popitem(last=False)

"""`nanobot mcp-server`: the running server's /mcp over standard input and output, for programs that start their MCP servers."""

import asyncio
import os
import sys
import threading
from typing import Annotated, Any, Final, cast

import orjson
import typer

from assistant import __version__
from assistant.cli.shared import ConfigOption, configured
from assistant.config import Loaded
from assistant.contracts.errors import InvalidRequest

commands = typer.Typer()
KEY: Final = "NANOBOT_API_KEY"
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, never bound to
_FAILED: Final = -32000


@commands.command("mcp-server")
def mcp_server(
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="The server.  [default: as configured, on this machine]", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Let another program's agent use the assistant: ask, send_message, deliveries, remember, recall, schedule.

    That program starts this command and speaks MCP with it over standard input and output. `nanobot serve` must be running. The key is that of
    NANOBOT_API_KEY (nanobot keys create NAME --scope mcp), else api.apiKey, else none.

    Example: {"mcpServers": {"nanobot": {"command": "nanobot", "args": ["mcp-server"]}}}
    """
    loaded = configured(config)
    where = (url or _configured_url(loaded)).rstrip("/")
    if not where.startswith(("http://", "https://")):
        raise InvalidRequest(f"{where} is no URL of a server: write it as http://127.0.0.1:8900.")
    secret = loaded.config.api.api_key
    key = os.environ.get(KEY) or (secret.get_secret_value() if secret and url is None else "")
    asyncio.run(_Bridge(where, key, passes_proxies=url is not None).run())


def _configured_url(loaded: Loaded) -> str:
    host, port = loaded.config.api.host, loaded.config.api.port
    host = "127.0.0.1" if host in _EVERYWHERE else host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Bridge:
    """A line of standard input is a message for /mcp, and its answer is a line of standard output. Messages do not wait for each other."""

    def __init__(self, url: str, key: str, *, passes_proxies: bool) -> None:
        self._url = url
        self._headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": f"nanobot/{__version__}"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._passes_proxies = passes_proxies
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def run(self) -> None:
        """Until standard input ends and what it asked is answered."""
        import aiohttp  # noqa: PLC0415 - `nanobot --help` loads this module

        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), daemon=True).start()  # daemon: a read can't be cancelled
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=timeout, trust_env=self._passes_proxies) as http,
            asyncio.TaskGroup() as asking,
        ):
            while line := await self._lines.get():
                if line.strip():
                    asking.create_task(self._pass_on(http, line))

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin.buffer:
            loop.call_soon_threadsafe(self._lines.put_nowait, line)
        loop.call_soon_threadsafe(self._lines.put_nowait, b"")

    async def _pass_on(self, http: Any, line: bytes) -> None:
        import aiohttp  # noqa: PLC0415 - as above

        try:
            async with http.post(f"{self._url}/mcp", data=line) as answer:
                body = await answer.read()
            if answer.status == 202:
                return
            if answer.status == 200:
                _write(orjson.loads(body))
                return
            why = orjson.loads(body)["error"]["message"]
        except aiohttp.ClientError as error:
            why = f"The nanobot server does not answer at {self._url} ({type(error).__name__}). Start it with: nanobot serve"
        except (ValueError, KeyError, TypeError):
            why = f"What answers at {self._url} is no nanobot server."
        if (identity := _id_of(line)) is not None:
            _write({"jsonrpc": "2.0", "id": identity, "error": {"code": _FAILED, "message": why}})


def _id_of(line: bytes) -> str | int | None:
    try:
        message: Any = orjson.loads(line)
    except ValueError:
        return None
    found = cast("dict[str, object]", message).get("id") if isinstance(message, dict) else None
    return found if isinstance(found, str | int) else None


def _write(message: Any) -> None:
    """One line, whole: there is one thread that writes."""
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
    sys.stdout.buffer.flush()

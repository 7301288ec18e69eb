"""The Model Context Protocol as it is spoken, by the SDK: over a program's pipes, and over HTTP. Imported at the first connection."""

import base64
import binascii
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import anyio
import httpx2
import mcp_types as types
from mcp.client.session import ClientSession, IncomingMessage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from pydantic import BaseModel, ValidationError

from assistant import __version__
from assistant.contracts.errors import ToolFailed
from assistant.contracts.messages import Json
from assistant.contracts.sandbox import SandboxProcess
from assistant.mcp.grants import GrantAuth
from assistant.mcp.link import HttpServer, Listing, Program, ServerLost
from assistant.mcp.pins import MOST_TOOLS, pinned
from assistant.mcp.results import RemoteResult, ResultBlock

R = TypeVar("R", bound=BaseModel)

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of a message, and of the answer to a request; more ends the connection."""
_PAGES: Final = 100
_SESSION: Final = "mcp-session-id"
_LEAVE: Final = 1.0
"""Seconds that a program has to end by itself when its input ends."""
_WORDS: Final = 2_000
"""Characters of an error of the server's that are passed on."""
_LAST: Final = 300
"""Bytes of the end of what a program wrote to its errors that are passed on."""
for _name in ("mcp", "client", "httpx2"):  # they write messages and addresses into the log
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class Connection:
    """A server that answered."""

    def __init__(self, session: ClientSession, state: "_State") -> None:
        self._session = session
        self._state = state

    async def listing(self) -> Listing:
        """Its tools, and what else it has."""
        found: list[types.Tool] = []
        capabilities = self._session.server_capabilities or types.ServerCapabilities()
        cursor: str | None = None
        for _ in range(_PAGES if capabilities.tools else 0):
            page = await self._asked(self._session.list_tools(params=types.PaginatedRequestParams(cursor=cursor)))
            found += page.tools
            cursor = page.next_cursor
            if cursor is None or len(found) > MOST_TOOLS:
                break
        tools = [_pinned(tool) for tool in found[:MOST_TOOLS]]
        kept = {tool.name: tool for tool in tools if tool is not None}
        offers = [name for name in ("resources", "prompts") if getattr(capabilities, name)]
        return Listing(tools=tuple(kept.values()), left_out=len(found) - len(kept), offers=tuple(offers))

    async def call(self, name: str, arguments: dict[str, Json]) -> RemoteResult:
        """Raises ServerLost, ToolFailed."""
        request = types.CallToolRequest(params=types.CallToolRequestParams(name=name, arguments=arguments))
        result = await self._asked(self._session.send_request(request, types.CallToolResult))  # not by call_tool, which runs its patterns
        return RemoteResult(
            blocks=tuple([_block(each) for each in result.content]), structured=result.structured_content, failed=bool(result.is_error)
        )

    async def index(self) -> list[str]:
        """A line for each resource, template and prompt."""
        capabilities, lines = self._session.server_capabilities or types.ServerCapabilities(), list[str]()
        if capabilities.resources:
            resources = (await self._asked(self._session.list_resources())).resources
            lines += [f"resource {each.uri}: {each.title or each.name}. {each.description or ''}" for each in resources]
            templates = (await self._asked(self._session.list_resource_templates())).resource_templates
            lines += [f"template {each.uri_template}: {each.title or each.name}. {each.description or ''}" for each in templates]
        if capabilities.prompts:
            for each in (await self._asked(self._session.list_prompts())).prompts:
                named = ", ".join([f"{given.name}{'' if given.required else '?'}" for given in each.arguments or ()])
                lines.append(f"prompt {each.name}({named}): {each.description or each.title or ''}")
        return [" ".join(line.split())[:400] for line in lines]

    async def read(self, uri: str) -> RemoteResult:
        result = await self._asked(self._session.read_resource(uri))
        return RemoteResult(blocks=tuple([_contents(each) for each in result.contents]))

    async def prompt(self, name: str, arguments: dict[str, str]) -> RemoteResult:
        result = await self._asked(self._session.get_prompt(name, arguments))
        blocks = [block for each in result.messages for block in (ResultBlock(text=f"{each.role}:"), _block(each.content))]
        return RemoteResult(blocks=tuple(blocks))

    async def _asked(self, answer: Awaitable[R]) -> R:
        """The answer, its errors in words. Raises ServerLost, ToolFailed."""
        state = self._state
        state.begin()
        try:
            return await answer
        except MCPError as error:
            said = " ".join(error.message.split())[:_WORDS]
            if state.lost or (state.status in (400, 404) and "session" in said.lower()):
                raise ServerLost(f"The MCP server forgot the session: {said}.", ran=False) from None
            if state.wants_login:
                raise ToolFailed(state.wants_login) from None
            if error.code == types.CONNECTION_CLOSED or state.fault:
                why = state.fault or "The connection to the MCP server broke."
                raise ServerLost(why, ran=not state.unreached) from None
            raise ToolFailed(f"The MCP server answered with an error: {said} (code {error.code}).") from None
        except ValidationError as error:
            raise ToolFailed(f"The MCP server's answer breaks the protocol ({error.error_count()} faults).") from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise ServerLost(state.fault or "The connection to the MCP server is closed.", ran=False) from None


class _State:
    """What the transport noticed."""

    def __init__(self, name: str) -> None:
        self.fault = self.wants_login = ""
        self.lost = self.unreached = False
        self.status = 0
        self.received = 0
        self._name = name

    def begin(self) -> None:
        self.received = self.status = 0
        self.lost = self.unreached = False

    def took(self, size: int) -> None:
        """Count what came since the last request. Raises _Flood."""
        self.received += size
        if self.received > MOST_BYTES:
            self.fault = f"The MCP server sent more than {MOST_BYTES // 1024**2} MB at once."
            raise _Flood(self.fault)

    def answered(self, request: httpx2.Request, status: int) -> None:
        self.status = status
        self.lost = self.lost or (status == 404 and _SESSION in request.headers)
        if status in (401, 403):
            self.wants_login = (
                f"The MCP server refuses the login ({status}): the owner runs `nanobot mcp login {self._name}`, or checks its headers."
            )
        elif status < 400:
            self.wants_login = ""


class _Flood(httpx2.StreamError):
    """More bytes than a message may have."""


@asynccontextmanager
async def connect(target: Program | HttpServer, changed: Callable[[], None], ended: Callable[[], None]) -> AsyncGenerator[Connection]:
    """A connection, to be closed by the task that opened it. `changed`: told that the list of tools is another; `ended`: that the server ended."""

    async def told(message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            changed()

    state = _State(target.name if isinstance(target, HttpServer) else target.command.folder.name)
    async with AsyncExitStack() as stack:
        pipes = _program(target, state, ended) if isinstance(target, Program) else _http(target, state)
        read, write = await stack.enter_async_context(pipes)
        about = types.Implementation(name="nanobot", version=__version__)
        session = await stack.enter_async_context(ClientSession(read, write, message_handler=told, client_info=about))
        connection = Connection(session, state)
        await _greet(session, state)
        yield connection


async def _greet(session: ClientSession, state: _State) -> None:
    """Agree on a version: by the handshake that all servers know, and with those of 2026 that know it no more by asking what they speak."""
    try:
        await session.initialize()
    except MCPError as error:
        if error.code == types.CONNECTION_CLOSED or state.fault or state.wants_login:
            raise ToolFailed(state.wants_login or state.fault or "it ended before it answered") from None
        await session.discover()


@asynccontextmanager
async def _http(target: HttpServer, state: _State) -> AsyncGenerator[tuple[Any, Any]]:
    client = _Client(
        state,
        headers=dict(target.headers),
        auth=None if any(name.lower() == "authorization" for name in target.headers) else GrantAuth(target.grants, target.name, target.url),
        timeout=httpx2.Timeout(30, read=300),
    )
    async with client, streamable_http_client(target.url, http_client=client, max_sse_event_size=MOST_BYTES) as streams:
        yield streams


class _Client(httpx2.AsyncClient):
    """Notes the statuses of answers, and ends one that grows without bound."""

    def __init__(self, state: _State, **settings: Any) -> None:
        super().__init__(**settings)
        self._noted = state

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            self._noted.unreached = True
            raise
        self._noted.answered(request, response.status_code)
        if request.method == "POST" and isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Counted(response.stream, self._noted)
        return response


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, state: _State) -> None:
        self._stream = stream
        self._noted = state

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            self._noted.took(len(data))
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def _program(target: Program, state: _State, ended: Callable[[], None]) -> AsyncGenerator[tuple[Any, Any]]:
    process = await target.sandbox.start(target.command)
    arrived, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, to_send = anyio.create_memory_object_stream[SessionMessage](0)
    said, drained = bytearray(), anyio.Event()

    async def receive() -> None:
        async with arrived:
            with suppress(_Flood, anyio.BrokenResourceError, anyio.ClosedResourceError):
                async for line in _lines(process, state):
                    with suppress(ValidationError):  # what a program prints besides
                        await arrived.send(SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False)))
            with anyio.move_on_after(_LEAVE):
                await drained.wait()
            last = said.decode(errors="replace").strip(" .\n").rpartition("\n")[2]
            state.fault = state.fault or f"The MCP server's program ended{f', and said: {last}' if last else ''}."
        ended()

    async def send() -> None:
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with to_send:
                async for message in to_send:
                    process.stdin.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                    await process.stdin.drain()

    async def drain() -> None:
        while data := await process.stderr.read(65_536):
            said[:] = (said + data)[-_LAST:]
        drained.set()

    try:
        async with anyio.create_task_group() as tasks, read, write:
            for task in (receive, send, drain):
                tasks.start_soon(task)
            yield read, write
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            process.stdin.close()
            with anyio.move_on_after(_LEAVE):
                await process.wait()
            await process.kill()


async def _lines(process: SandboxProcess, state: _State) -> AsyncIterator[bytes]:
    """What a program writes, line by line. Raises _Flood."""
    buffer = bytearray()
    while data := await process.stdout.read(65_536):
        state.took(len(data))
        buffer += data
        if b"\n" in data:
            *whole, buffer = buffer.split(b"\n")
            for line in whole:
                if line.strip():
                    yield bytes(line)


def _pinned(tool: types.Tool) -> Any:
    annotations = tool.annotations.model_dump(by_alias=True, exclude_none=True) if tool.annotations else {}
    title = tool.title or annotations.get("title")
    description = "\n".join(filter(None, [title if title != tool.name else "", tool.description]))
    return pinned(tool.name, description, tool.input_schema, annotations)


def _block(content: Any) -> ResultBlock:
    """A part of a result. `content`: one of the protocol's blocks."""
    match content:
        case types.TextContent():
            return ResultBlock(text=content.text)
        case types.ImageContent() | types.AudioContent():
            return ResultBlock(
                data=_decoded(content.data), media_type=content.mime_type, name=f"{content.type}.{content.mime_type.rpartition('/')[2]}"
            )
        case types.EmbeddedResource():
            return _contents(content.resource)
        case types.ResourceLink():
            return ResultBlock(text=f"[resource {content.uri}: {content.title or content.name}]")
        case _:
            return ResultBlock(text=f"[a part of kind {type(content).__name__}]")


def _contents(resource: types.TextResourceContents | types.BlobResourceContents) -> ResultBlock:
    name = str(resource.uri)
    if isinstance(resource, types.TextResourceContents):
        return ResultBlock(text=f"[{name}]\n{resource.text}")
    return ResultBlock(data=_decoded(resource.blob), media_type=resource.mime_type or "", name=name)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        return b""


def words(error: BaseException) -> str | None:
    """What went wrong with a server, for people; None: a fault of this program, or an unknown one."""
    match error:
        case MCPError():
            return f"it answered with an error: {' '.join(error.message.split())[:_WORDS]}"
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return "nothing answers at its address"
        case httpx2.HTTPError() | httpx2.StreamError() | httpx2.InvalidURL():
            return f"the connection failed ({type(error).__name__})"
        case OSError():
            return error.strerror or "the connection failed"
        case ValidationError() | RuntimeError():
            return "its answers break the protocol"
        case _:
            return None

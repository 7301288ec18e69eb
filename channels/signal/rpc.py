"""signal-cli's JSON-RPC, by HTTP or a socket. https://github.com/AsamK/signal-cli/blob/master/man/signal-cli-jsonrpc.5.adoc"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from itertools import count
from typing import Any, Final, Protocol

import orjson

from assistant.contracts.channels import ChannelFailed
from channels.kit.http import Answered, PlatformHttp, Unanswered, Unreached, stream_lines
from channels.kit.values import loads, text_at, value_at

_MOST_LINE: Final = 160_000_000
"""Bytes: a file of 100 MB in base64, with room."""
_QUIET: Final = 100.0
"""Seconds without a byte after which a stream of events is dead: a comment comes every 15."""
_SECONDS: Final = 50.0
_CONNECT_SECONDS: Final = 5.0
_MOST_WAITING: Final = 10_000
_MOST_ID: Final = 64
_LONG: Final = 1 << 20
"""Bytes of JSON from which it is read in a thread."""
_JSON: Final = {"Content-Type": "application/json"}


class SignalRpc(Protocol):
    """A way to signal-cli."""

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """The result of a method. Raises PlatformError; Answered: signal-cli refuses, and `code` is its own."""
        ...

    def events(self, after: str) -> AsyncGenerator[tuple[str, Any]]:
        """(id, notification) of what comes in, behind the event `after`; empty ids: there are none. The first has no notification: it is connected.
        Raises PlatformError or ChannelFailed."""
        ...

    async def close(self) -> None: ...


async def decoded(line: bytes) -> Any:
    """None: it is no JSON."""
    try:
        return await asyncio.to_thread(loads, line) if len(line) > _LONG else loads(line)
    except ValueError:
        return None


def result_of(answer: Any) -> Any:
    """The result of a call. Raises Answered where it is an error."""
    error, code = value_at(answer, "error"), value_at(answer, "error", "code")
    if error is not None:
        words = text_at(error, "message") or "an error without words"
        raise Answered(400, words, code=str(code) if isinstance(code, int) else "", body=answer)
    if not isinstance(answer, dict) or "result" not in answer:
        raise Unanswered("the answer is no JSON-RPC")
    return answer["result"]  # pyright: ignore[reportUnknownVariableType] - JSON of a platform


async def request(method: str, params: Mapping[str, Any], id: str) -> bytes:
    body = {"jsonrpc": "2.0", "method": method, "params": params, "id": id}
    return await asyncio.to_thread(orjson.dumps, body) if "attachment" in params else orjson.dumps(body)


class HttpRpc:
    """Of `daemon --http`. Its events have ids, and the last thousand are sent again behind the last that was read."""

    def __init__(self, http: PlatformHttp) -> None:
        self._http = http
        self._ids = count(1)

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        body = await request(method, params, str(next(self._ids)))
        return result_of(await self._http.json("POST", "/api/v1/rpc", data=body, headers=_JSON, seconds=_SECONDS))

    async def events(self, after: str) -> AsyncGenerator[tuple[str, Any]]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": after}
        async with self._http.stream("GET", "/api/v1/events", headers=headers, quiet=_QUIET) as stream:
            yield "", None
            id, data = "", list[bytes]()
            async for line in stream_lines(stream, _MOST_LINE):
                field, _, value = line.rstrip(b"\r").partition(b":")
                value = value.removeprefix(b" ")
                if field == b"id":
                    id = value.decode() if value.isalnum() and len(value) <= _MOST_ID else ""
                elif field == b"data":
                    data.append(value)
                elif not field and not value and data:
                    yield id, await decoded(b"\n".join(data))
                    data = []

    async def close(self) -> None:
        await self._http.close()


class SocketRpc:
    """Of `daemon --tcp` and `--socket`: calls and notifications share one connection, so that no message goes to another that reads none."""

    def __init__(self, daemon: str) -> None:
        self._daemon = daemon
        self._ids = count(1)
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._came: asyncio.Queue[Any] = asyncio.Queue(_MOST_WAITING)
        self._held: tuple[Any] | None = None
        """What was read and is not taken in yet: it comes again to the next who reads."""
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        writer = await self._open()
        id = str(next(self._ids))
        answer = self._waiting[id] = asyncio.get_running_loop().create_future()
        try:
            writer.write(await request(method, params, id) + b"\n")
            await writer.drain()
            async with asyncio.timeout(_SECONDS):
                return result_of(await answer)
        except (OSError, TimeoutError) as error:
            raise Unanswered(type(error).__name__) from None
        finally:
            self._waiting.pop(id, None)

    async def events(self, after: str) -> AsyncGenerator[tuple[str, Any]]:
        await self._open()
        yield "", None
        while True:
            if self._held is None:
                self._held = (await self._came.get(),)
            if self._held[0] is None:
                self._held = None
                raise ChannelFailed("The connection to signal-cli ended.")
            yield "", self._held[0]
            self._held = None

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        self._end()

    async def _open(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._writer is None:
                try:
                    async with asyncio.timeout(_CONNECT_SECONDS):
                        reader, self._writer = await self._connect()
                except (OSError, OverflowError, TimeoutError) as error:
                    raise Unreached(type(error).__name__) from None
                self._reader = asyncio.create_task(self._read(reader), name="signal-cli")
            return self._writer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._daemon.startswith("unix:"):
            return await asyncio.open_unix_connection(self._daemon.removeprefix("unix:"))
        host, _, port = self._daemon.removeprefix("tcp://").rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            async for line in stream_lines(reader, _MOST_LINE):
                found = await decoded(line)
                waiting = self._waiting.get(str(value_at(found, "id")))
                if waiting is None and value_at(found, "method") == "receive":
                    await self._came.put(found)
                elif waiting is not None and not waiting.done():
                    waiting.set_result(found)
        self._end()
        await self._came.put(None)

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Unanswered("the connection ended"))


def rpc_of(daemon: str, version: str) -> SignalRpc:
    """Raises ChannelFailed."""
    return HttpRpc(PlatformHttp("signal", version=version, base=daemon)) if daemon.startswith("http") else SocketRpc(daemon)

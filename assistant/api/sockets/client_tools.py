"""Tools that the client runs: named in its manifest, called by frames, answered by frames."""

import asyncio
from collections.abc import Collection
from typing import Any

import orjson

from assistant.api.complaints import validated
from assistant.api.sockets.codec import Frame
from assistant.api.sockets.wire import MAX_MANIFEST_BYTES, ClientToolResult, Manifest
from assistant.contracts.errors import InvalidRequest, RequestTooLarge, ToolFailed
from assistant.contracts.models import ToolSpec
from assistant.contracts.records import record
from assistant.contracts.tools import ToolContext, ToolResult


@record
class ClientTool:
    """One of them, as the tool of a turn."""

    spec: ToolSpec
    timeout: float
    calls: "ClientCalls"

    async def run(self, arguments: dict[str, Any], ctx: ToolContext) -> ToolResult:
        """The client got the call as the turn's event."""
        return ToolResult(text=await self.calls.result(ctx.call_id))


class ClientCalls:
    """The calls that wait for the client, each for its tool's timeout at most."""

    __slots__ = ("_gone", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[ClientToolResult]] = {}
        self._gone = False

    async def result(self, call_id: str) -> str:
        """The client's result. Raises ToolFailed if the tool failed (with the client's error), or if the client is gone."""
        if self._gone:
            raise _gone()
        if call_id in self._waiting:
            raise ToolFailed("Not run: another call with the same id is running.")
        waiting = self._waiting[call_id] = asyncio.get_running_loop().create_future()
        try:
            answer = await waiting
        finally:
            del self._waiting[call_id]
        if not answer.ok:
            raise ToolFailed(answer.error or "The client could not run this tool.")
        return _text(answer.result)

    def settle(self, frame: Frame) -> None:
        """Take a `tool_result`. Raises InvalidRequest for one that no call waits for."""
        answer = validated(ClientToolResult, frame)
        waiting = self._waiting.get(answer.tool_call_id)
        if waiting is None or waiting.done():
            raise InvalidRequest(f"No call '{answer.tool_call_id[:64]}' waits for a result.", param="tool_call_id")
        _text(answer.result)  # refused here, where the client gets the error
        waiting.set_result(answer)

    def leave(self) -> None:
        """The client is gone: waiting and later calls fail."""
        self._gone = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_gone())


def read_manifest(frame: Frame, calls: ClientCalls, *, taken: Collection[str], timeout: float) -> tuple[ClientTool, ...]:
    """`taken`: names of our own tools. Raises InvalidRequest, RequestTooLarge."""
    manifest = validated(Manifest, frame)
    try:
        size = len(orjson.dumps(frame["tools"]))
    except TypeError:  # bytes, above all
        raise InvalidRequest("'tools' must hold what JSON can hold.", param="tools") from None
    if size > MAX_MANIFEST_BYTES:
        raise RequestTooLarge(f"The tools are larger than {MAX_MANIFEST_BYTES // 1024} KiB together.", param="tools")
    names: set[str] = set()
    for index, tool in enumerate(manifest.tools):
        if tool.name in names or tool.name in taken:
            raise InvalidRequest(f"There is a tool called '{tool.name}' already: give yours another name.", param=f"tools.{index}.name")
        names.add(tool.name)
    none: dict[str, Any] = {"type": "object", "properties": {}}
    specs = [ToolSpec(name=tool.name, description=tool.description, parameters=tool.parameters or none) for tool in manifest.tools]
    return tuple([ClientTool(spec=spec, timeout=timeout, calls=calls) for spec in specs])


def _text(result: object) -> str:
    if isinstance(result, str):
        return result
    try:
        return orjson.dumps(result).decode()
    except TypeError:
        raise InvalidRequest("'result' must be what JSON can hold.", param="result") from None


def _gone() -> ToolFailed:
    return ToolFailed("No result: the client that runs this tool is gone.")

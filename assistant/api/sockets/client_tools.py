"""Tools that the client runs: named in its manifest, called by frames, answered by frames."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from assistant.api.complaints import complaint
from assistant.api.sockets.codec import Frame
from assistant.api.sockets.wire import MAX_MANIFEST_BYTES, ClientToolResult, Manifest
from assistant.contracts.errors import InvalidRequest, RequestTooLarge, ToolFailed
from assistant.contracts.models import ToolSpec
from assistant.contracts.tools import ToolContext, ToolResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTool:
    """One of them, as a turn brings it along."""

    spec: ToolSpec
    timeout: float
    calls: "ClientCalls"

    async def run(self, arguments: dict[str, Any], ctx: ToolContext) -> ToolResult:
        """The client was told of the call by the turn's own event."""
        return ToolResult(text=await self.calls.result(ctx.call_id))


class ClientCalls:
    """The calls that wait for the client. Each wait is bounded by its tool's time."""

    __slots__ = ("_gone", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[ClientToolResult]] = {}
        self._gone = False

    async def result(self, call_id: str) -> str:
        """What the client answers to the call. Raises ToolFailed with its words where it failed, or where there is no client any more."""
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
        try:
            answer = ClientToolResult.model_validate(frame)
        except ValidationError as error:
            raise complaint(error.errors(include_url=False)) from None
        waiting = self._waiting.get(answer.tool_call_id)
        if waiting is None or waiting.done():
            raise InvalidRequest(f"No call '{answer.tool_call_id[:64]}' waits for a result.", param="tool_call_id")
        _text(answer.result)  # what is no JSON is refused here, where the client is told
        waiting.set_result(answer)

    def leave(self) -> None:
        """The client is gone: calls that wait fail, and those that come."""
        self._gone = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_gone())


def read_manifest(frame: Frame, calls: ClientCalls, *, taken: Collection[str], timeout: float) -> tuple[ClientTool, ...]:
    """`taken`: names of our own tools, which none of the client's may have. Raises InvalidRequest, RequestTooLarge."""
    try:
        manifest = Manifest.model_validate(frame)
        size = len(orjson.dumps(frame["tools"]))
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None
    except TypeError:  # bytes, above all
        raise InvalidRequest("'tools' must hold what JSON can hold.", param="tools") from None
    if size > MAX_MANIFEST_BYTES:
        raise RequestTooLarge(f"The tools are larger than {MAX_MANIFEST_BYTES // 1024} KiB together.", param="tools")
    names: set[str] = set()
    for index, tool in enumerate(manifest.tools):
        if tool.name in names or tool.name in taken:
            raise InvalidRequest(f"There is a tool called '{tool.name}' already: give yours another name.", param=f"tools.{index}.name")
        names.add(tool.name)
    return tuple(
        [
            ClientTool(
                spec=ToolSpec(
                    name=tool.name, description=tool.description, parameters=tool.parameters or {"type": "object", "properties": {}}
                ),
                timeout=timeout,
                calls=calls,
            )
            for tool in manifest.tools
        ]
    )


def _text(result: object) -> str:
    if isinstance(result, str):
        return result
    try:
        return orjson.dumps(result).decode()
    except TypeError:
        raise InvalidRequest("'result' must be what JSON can hold.", param="result") from None


def _gone() -> ToolFailed:
    return ToolFailed("No result: the client that runs this tool is gone.")

"""/mcp: the assistant for other programs' agents, by the Model Context Protocol over streamable HTTP, without sessions.

The protocol is spoken here and not by its SDK, whose server takes 1.2 s and 55 MB to import: six tools need five methods.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from fastapi import Request, Response
from pydantic import JsonValue
from starlette.types import Receive, Scope, Send

from assistant.api.body.request import read_json
from assistant.api.chat.endpoint import ChatEndpoint
from assistant.api.middleware.request import header
from assistant.api.openapi import endpoint, errors
from assistant.api.settings import ApiSettings
from assistant.api.sse import EventStream, event
from assistant.contracts.errors import InvalidRequest

if TYPE_CHECKING:
    from assistant.api.mcp_tools import McpTool

PROTOCOLS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""The revisions that a client may ask for, the newest first."""
_INSTRUCTIONS: Final = (
    "nanobot is a person's assistant. What you ask, send, remember or schedule through it is done in the name of that person: "
    "do it only as they wish."
)
_NO_METHOD, _BAD_PARAMS = -32601, -32602
_LONGEST: Final = 200
_ID: Final = {"type": ["string", "number", "null"]}
_OBJECT: Final = {"type": ["object", "null"]}
_MESSAGE: Final = {
    "type": "object",
    "title": "McpMessage",
    "description": "A JSON-RPC request; without an id, or without a method, a notification or a client's answer.",
    "required": ["jsonrpc"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "id": _ID,
        "method": {"type": ["string", "null"], "maxLength": _LONGEST},
        "params": _OBJECT,
    },
}
_FAULT: Final = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
_ANSWER: Final = {
    "type": "object",
    "title": "McpAnswer",
    "required": ["jsonrpc", "id"],
    "properties": {"jsonrpc": {"const": "2.0"}, "id": _ID, "result": {"type": "object"}, "error": _FAULT},
}
_ANSWERED: Final = "The result or the error; of `ask`, as one event of a stream where the client takes one."


@dataclass(frozen=True, kw_only=True)
class McpEndpoints:
    version: str
    settings: ApiSettings
    chat: ChatEndpoint
    resources: Sequence[object]
    """The API's, of which tools are made."""

    @endpoint(
        "POST",
        "/mcp",
        "Use the assistant by MCP",
        scope="mcp",
        responses={
            200: {"description": _ANSWERED, "content": {"application/json": {"schema": _ANSWER}}},
            202: {"description": "A notification, or a client's answer."},
            **errors(400, 401, 408, 413, 415, 503),
        },
        extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _MESSAGE}}}},
    )
    async def speak(self, request: Request) -> Response:
        """One message of the Model Context Protocol. There are no sessions: each request stands for itself, and GET and DELETE are not needed."""
        spoken = header(request.scope, b"mcp-protocol-version")
        if spoken is not None and spoken.decode("latin-1") not in PROTOCOLS:
            raise InvalidRequest(f"This MCP-Protocol-Version is not supported: one of {', '.join(PROTOCOLS)} is.")
        identity, method, params = _checked(await read_json(request.scope, request.receive, self.settings.limits))
        if identity is None or method is None:
            return Response(status_code=202)
        if method == "tools/call":
            takes_events = b"text/event-stream" in (header(request.scope, b"accept") or b"")
            answer = self._called(identity, request, params)
            if takes_events and params.get("name") == "ask":
                return _Event(answer, self.settings.keep_alive_seconds)
            return _json(await answer)
        result: dict[str, Any] = {}
        match method:
            case "initialize":
                wanted = params.get("protocolVersion")
                result = {
                    "protocolVersion": wanted if wanted in PROTOCOLS else PROTOCOLS[0],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "nanobot", "version": self.version},
                    "instructions": _INSTRUCTIONS,
                }
            case "ping":
                pass
            case "tools/list":
                result = {"tools": [tool.shown(name) for name, tool in self._tools.items()]}
            case _:
                return _json(_refused(identity, _NO_METHOD, "There is no such method here."))
        return _json({"jsonrpc": "2.0", "id": identity, "result": result})

    async def _called(self, identity: JsonValue, request: Request, params: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        tool = self._tools.get(str(params.get("name")))
        if tool is None:
            return _refused(identity, _BAD_PARAMS, f"There is no such tool. There are: {', '.join(self._tools)}.")
        return {"jsonrpc": "2.0", "id": identity, "result": await tool.answer(request, params.get("arguments") or {})}

    @cached_property
    def _tools(self) -> "Mapping[str, McpTool]":
        from assistant.api.mcp_tools import tools_over  # noqa: PLC0415 - the start need not wait for it

        return tools_over(self.chat, self.resources)


class _Event(Response):
    """One answer as an event; while it is made, comments keep the connection open."""

    def __init__(self, answer: Awaitable[Mapping[str, JsonValue]], keep_alive: float) -> None:
        super().__init__()
        self._answer = answer
        self._keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with EventStream(send, keep_alive=self._keep_alive) as stream:
            await stream.write(b"event: message\n" + event(orjson.dumps(await self._answer)), last=True)


def _checked(message: Mapping[str, Any]) -> tuple[JsonValue, str | None, Mapping[str, JsonValue]]:
    """(id, method, params). Raises InvalidRequest for what is no message of JSON-RPC."""
    identity, method, params = message.get("id"), message.get("method"), message.get("params")
    if message.get("jsonrpc") != "2.0":
        raise InvalidRequest("'jsonrpc' must be \"2.0\".", param="jsonrpc")
    if isinstance(identity, bool) or not isinstance(identity, str | int | float | None):
        raise InvalidRequest("'id' must be a string or a number.", param="id")
    if not isinstance(method, str | None) or len(method or "") > _LONGEST:
        raise InvalidRequest(f"'method' must be a string of at most {_LONGEST} characters.", param="method")
    if not isinstance(params, dict | None):
        raise InvalidRequest("'params' must be an object.", param="params")
    return identity, method, cast("Mapping[str, JsonValue]", params or {})


def _json(answer: Mapping[str, JsonValue]) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")


def _refused(identity: JsonValue, code: int, why: str) -> Mapping[str, JsonValue]:
    return {"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": why}}

"""/mcp: the assistant for other programs' agents, by the Model Context Protocol over streamable HTTP, without sessions.

The protocol is spoken here and not by its SDK, whose server takes 1.2 s and 55 MB to import: six tools need five methods. Each tool is a request of
the API, made by the caller: their person, their limits, their key's models.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Literal, Self, TypeVar, cast

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.types import Message, Receive, Scope, Send

from assistant.api.answers import Answer
from assistant.api.body.request import read_json
from assistant.api.chat.endpoint import ChatEndpoint
from assistant.api.complaints import validated
from assistant.api.deliveries import DeliveryEndpoints, DeliveryRequest
from assistant.api.memories import MemoryEndpoints, MemoryRequest
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.request import header
from assistant.api.openapi import described, endpoint, errors, takes
from assistant.api.schedules import ScheduleEndpoints, ScheduleRequest
from assistant.api.settings import ApiSettings
from assistant.api.sse import EventStream, event
from assistant.contracts.errors import InvalidRequest, NanobotError
from assistant.contracts.outbox import DeliveryState

T = TypeVar("T")
PROTOCOLS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""The revisions that a client may ask for, the newest first."""
_INSTRUCTIONS: Final = (
    "nanobot is a person's assistant. What you ask, send, remember or schedule through it is done in the name of that person: "
    "do it only as they wish."
)
_NO_METHOD, _BAD_PARAMS = -32601, -32602


class McpMessage(BaseModel):
    """A JSON-RPC request or notification; what a client answers is taken and not looked at."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, defer_build=True)

    jsonrpc: Literal["2.0"]
    id: str | int | None = Field(default=None, description="Absent in a notification, which is answered with 202.")
    method: str | None = Field(default=None, max_length=200)
    params: dict[str, JsonValue] | None = None


class McpError(Answer):
    code: int
    message: str


class McpAnswer(Answer):
    """The result, or the error."""

    model_config = ConfigDict(defer_build=True, json_schema_serialization_defaults_required=False, json_schema_extra=None)

    jsonrpc: Literal["2.0"] = "2.0"
    id: str | int
    result: dict[str, JsonValue] | None = None
    error: McpError | None = None


class AskArguments(BaseModel):
    """What the assistant is asked."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    message: Annotated[str, Field(min_length=1, max_length=200_000)]
    session_id: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        default="mcp", description="The conversation that it belongs to; the assistant knows what was said in it."
    )
    agent: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(default=None, description="Default: the default agent.")


class DeliveriesArguments(BaseModel):
    """Which messages."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    id: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="One message, as send_message named it.")
    state: DeliveryState | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 20


class RecallArguments(BaseModel):
    """What to look for."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    query: Annotated[str, Field(max_length=500)] | None = Field(default=None, description="Absent: the latest.")
    limit: Annotated[int, Field(ge=1, le=200)] = 20


Call = Callable[[Request, Any], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """A tool. `call` takes the request and the validated arguments; where `passes_on`, the request's body is the arguments instead."""

    description: str
    params: type[BaseModel]
    call: Call
    passes_on: bool = False
    reads_only: bool = False

    def shown(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "description": self.description,
            "inputSchema": self.params.model_json_schema(),
            "annotations": {"readOnlyHint": self.reads_only},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class McpEndpoints:
    """Where a part is None, its tools are not offered."""

    version: str
    settings: ApiSettings
    chat: ChatEndpoint
    deliveries: DeliveryEndpoints | None
    memory: MemoryEndpoints | None
    schedules: ScheduleEndpoints | None

    @classmethod
    def over(cls, resources: Sequence[object], *, version: str, settings: ApiSettings, chat: ChatEndpoint) -> Self:
        """Tools for those of the API's resources that are there."""
        return cls(
            version=version,
            settings=settings,
            chat=chat,
            deliveries=_first(resources, DeliveryEndpoints),
            memory=_first(resources, MemoryEndpoints),
            schedules=_first(resources, ScheduleEndpoints),
        )

    @endpoint(
        "POST",
        "/mcp",
        "Use the assistant by MCP",
        scope="mcp",
        responses={
            200: described(McpAnswer, "The answer; of `ask`, as one event of a stream where the client takes one."),
            202: {"description": "A notification, or a client's answer."},
            **errors(400, 401, 408, 413, 415, 503),
        },
        extra=takes(McpMessage),
    )
    async def speak(self, request: Request) -> Response:
        """One message of the Model Context Protocol. There are no sessions: each request stands for itself, and GET and DELETE are not needed."""
        spoken = header(request.scope, b"mcp-protocol-version")
        if spoken is not None and spoken.decode("latin-1") not in PROTOCOLS:
            raise InvalidRequest(f"This MCP-Protocol-Version is not supported: one of {', '.join(PROTOCOLS)} is.")
        asked = validated(McpMessage, await read_json(request.scope, request.receive, self.settings.limits))
        if asked.id is None or asked.method is None:
            return Response(status_code=202)
        if asked.method == "tools/call":
            takes_events = b"text/event-stream" in (header(request.scope, b"accept") or b"")
            answer = self._called(request, asked)
            if takes_events and (asked.params or {}).get("name") == "ask":
                return _Event(answer, self.settings.keep_alive_seconds)
            return _json(await answer)
        result: dict[str, Any] = {}
        match asked.method:
            case "initialize":
                wanted = (asked.params or {}).get("protocolVersion")
                result = {
                    "protocolVersion": wanted if wanted in PROTOCOLS else PROTOCOLS[0],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "nanobot", "version": self.version},
                    "instructions": _INSTRUCTIONS,
                }
            case "ping":
                pass
            case "tools/list":
                result = {"tools": [offer.shown(name) for name, offer in self._offers().items()]}
            case _:
                return _json(_refused(asked, _NO_METHOD, "There is no such method here."))
        return _json(_answered(asked, result))

    async def _called(self, request: Request, asked: McpMessage) -> dict[str, Any]:
        params = asked.params or {}
        offer = self._offers().get(str(params.get("name")))
        if offer is None:
            return _refused(asked, _BAD_PARAMS, f"There is no such tool. There are: {', '.join(self._offers())}.")
        arguments = params.get("arguments") or {}
        try:
            if not isinstance(arguments, dict):
                raise InvalidRequest("The arguments must be an object.")
            call = _inner(request, arguments) if offer.passes_on else request
            found = await offer.call(call, None if offer.passes_on else validated(offer.params, arguments))
        except NanobotError as error:
            return _answered(asked, _result(error.message, failed=True))
        except FailedAfterActing as failed:
            return _answered(asked, _result(f"{failed.error.message} Something was done before; see the session.", failed=True))
        if isinstance(found, str):
            return _answered(asked, _result(found))
        body = bytes(found.body) if isinstance(found, Response) else orjson.dumps(cast("BaseModel", found).model_dump(mode="json"))
        return _answered(asked, {**_result(body.decode()), "structuredContent": orjson.loads(body)})

    def _offers(self) -> Mapping[str, _Offer]:
        offers = {
            "ask": _Offer(
                description="Ask the person's assistant; it knows them, and has its own tools.", params=AskArguments, call=self._ask
            )
        }
        if (deliveries := self.deliveries) is not None:
            words = (
                "Send a message to a chat of the person's, or one that they name. It is kept and tried until it is sent; see deliveries."
            )
            offers["send_message"] = _Offer(
                description=words, params=DeliveryRequest, call=lambda request, _: deliveries.create(request), passes_on=True
            )
            offers["deliveries"] = _Offer(
                description="Messages that were sent or wait, and their states.",
                params=DeliveriesArguments,
                call=partial(_delivered, deliveries),
                reads_only=True,
            )
        if (memory := self.memory) is not None:
            offers["remember"] = _Offer(
                description="Keep a statement about the person or their world, as they said it.",
                params=MemoryRequest,
                call=lambda request, _: memory.create(request),
                passes_on=True,
            )
            offers["recall"] = _Offer(
                description="What is remembered of the person.",
                params=RecallArguments,
                call=lambda request, asked: memory.index(request, query=asked.query, limit=asked.limit),
                reads_only=True,
            )
        if (schedules := self.schedules) is not None:
            offers["schedule"] = _Offer(
                description="Plan a reminder, or something that the assistant does later.",
                params=ScheduleRequest,
                call=lambda request, _: schedules.create(request),
                passes_on=True,
            )
        return offers

    async def _ask(self, request: Request, asked: AskArguments) -> str:
        body: dict[str, JsonValue] = {"messages": [{"role": "user", "content": asked.message}], "session_id": asked.session_id}
        inner = _inner(request, body if asked.agent is None else {**body, "model": f"agent:{asked.agent}"})
        answer = bytearray()

        async def send(message: Message) -> None:
            answer.extend(message.get("body", b""))

        await self.chat(inner.scope, inner.receive, send)
        return str(orjson.loads(answer)["choices"][0]["message"]["content"] or "")


async def _delivered(deliveries: DeliveryEndpoints, request: Request, asked: DeliveriesArguments) -> BaseModel:
    if asked.id is not None:
        return await deliveries.show(request, asked.id)
    return await deliveries.index(request, state=asked.state, limit=asked.limit)


class _Event(Response):
    """One answer as an event; while it is made, comments keep the connection open."""

    def __init__(self, answer: Awaitable[dict[str, Any]], keep_alive: float) -> None:
        super().__init__()
        self._answer = answer
        self._keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with EventStream(send, keep_alive=self._keep_alive) as stream:
            await stream.write(b"event: message\n" + event(orjson.dumps(await self._answer)), last=True)


def _inner(request: Request, body: Mapping[str, JsonValue]) -> Request:
    """The same caller's request with another body, and no headers but its own. Behind the body it hears when the client is gone."""
    data, read = orjson.dumps(body), asyncio.Event()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]

    async def receive() -> Message:
        if read.is_set():
            return await request.receive()
        read.set()
        return {"type": "http.request", "body": data, "more_body": False}

    return Request({**request.scope, "headers": headers}, receive)


def _first(resources: Sequence[object], kind: type[T]) -> T | None:
    return next((each for each in resources if isinstance(each, kind)), None)


def _json(answer: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")


def _answered(asked: McpMessage, result: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": asked.id, "result": result}


def _refused(asked: McpMessage, code: int, why: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": asked.id, "error": {"code": code, "message": why}}


def _result(text: str, *, failed: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": failed}

"""The tools of /mcp: each is a request of the API, made by the caller. Imported at the first use of /mcp."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar, cast

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.types import Message

from assistant.api.chat.endpoint import ChatEndpoint
from assistant.api.complaints import validated
from assistant.api.deliveries import DeliveryEndpoints, DeliveryRequest
from assistant.api.memories import MemoryEndpoints, MemoryRequest
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.schedules import ScheduleEndpoints, ScheduleRequest
from assistant.contracts.errors import InvalidRequest, NanobotError
from assistant.contracts.outbox import DeliveryState
from assistant.contracts.records import record

T = TypeVar("T")


class AskArguments(BaseModel):
    """What the assistant is asked."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    message: Annotated[str, Field(min_length=1, max_length=200_000)]
    session_id: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        default="mcp", description="The conversation that it belongs to; the assistant knows what was said in it."
    )
    agent: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(default=None, description="Default: the default agent.")


class DeliveriesArguments(BaseModel):
    """Which messages."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="One message, as send_message named it.")
    state: DeliveryState | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 20


class RecallArguments(BaseModel):
    """What to look for."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    query: Annotated[str, Field(max_length=500)] | None = Field(default=None, description="Absent: the latest.")
    limit: Annotated[int, Field(ge=1, le=200)] = 20


@record
class McpTool:
    """`call` takes the request and the validated arguments; where it `passes_on`, the arguments are the request's body instead."""

    description: str
    params: type[BaseModel]
    call: Callable[[Request, Any], Awaitable[object]]
    passes_on: bool = False
    reads_only: bool = False

    def shown(self, name: str) -> dict[str, Any]:
        """As tools/list has it."""
        return {
            "name": name,
            "description": self.description,
            "inputSchema": self.params.model_json_schema(),
            "annotations": {"readOnlyHint": self.reads_only},
        }

    async def answer(self, request: Request, arguments: JsonValue) -> dict[str, Any]:
        """The result of a call; what the API would refuse is a result, too, in the same words. Raises what is a bug."""
        try:
            if not isinstance(arguments, dict):
                raise InvalidRequest("The arguments must be an object.")
            if self.passes_on:
                found = await self.call(_inner(request, arguments), None)
            else:
                found = await self.call(request, validated(self.params, arguments))
        except NanobotError as error:
            return _result(error.message, failed=True)
        except FailedAfterActing as failed:
            return _result(f"{failed.error.message} Something was done before; see the session.", failed=True)
        if isinstance(found, str):
            return _result(found)
        body = bytes(found.body) if isinstance(found, Response) else orjson.dumps(cast("BaseModel", found).model_dump(mode="json"))
        return {**_result(body.decode()), "structuredContent": orjson.loads(body)}


def tools_over(chat: ChatEndpoint, resources: Sequence[object]) -> Mapping[str, McpTool]:
    """Tools for those of the API's resources that are there."""
    offers = {
        "ask": McpTool(
            description="Ask the person's assistant; it knows them, and has its own tools.", params=AskArguments, call=partial(_ask, chat)
        )
    }
    if (deliveries := _first(resources, DeliveryEndpoints)) is not None:
        words = "Send a message to a chat of the person's, or one that they name. It is kept and tried until it is sent; see deliveries."
        offers["send_message"] = McpTool(
            description=words, params=DeliveryRequest, call=lambda request, _: deliveries.create(request), passes_on=True
        )
        offers["deliveries"] = McpTool(
            description="Messages that were sent or wait, and their states.",
            params=DeliveriesArguments,
            call=partial(_delivered, deliveries),
            reads_only=True,
        )
    if (memory := _first(resources, MemoryEndpoints)) is not None:
        offers["remember"] = McpTool(
            description="Keep a statement about the person or their world, as they said it.",
            params=MemoryRequest,
            call=lambda request, _: memory.create(request),
            passes_on=True,
        )
        offers["recall"] = McpTool(
            description="What is remembered of the person.",
            params=RecallArguments,
            call=lambda request, asked: memory.index(request, query=asked.query, limit=asked.limit),
            reads_only=True,
        )
    if (schedules := _first(resources, ScheduleEndpoints)) is not None:
        offers["schedule"] = McpTool(
            description="Plan a reminder, or something that the assistant does later.",
            params=ScheduleRequest,
            call=lambda request, _: schedules.create(request),
            passes_on=True,
        )
    return offers


async def _ask(chat: ChatEndpoint, request: Request, asked: AskArguments) -> str:
    body: dict[str, JsonValue] = {"messages": [{"role": "user", "content": asked.message}], "session_id": asked.session_id}
    inner = _inner(request, body if asked.agent is None else {**body, "model": f"agent:{asked.agent}"})
    answer = bytearray()

    async def send(message: Message) -> None:
        answer.extend(message.get("body", b""))

    await chat(inner.scope, inner.receive, send)
    return str(orjson.loads(answer)["choices"][0]["message"]["content"] or "")


async def _delivered(deliveries: DeliveryEndpoints, request: Request, asked: DeliveriesArguments) -> BaseModel:
    if asked.id is not None:
        return await deliveries.show(request, asked.id)
    return await deliveries.index(request, state=asked.state, limit=asked.limit)


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


def _result(text: str, *, failed: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": failed}

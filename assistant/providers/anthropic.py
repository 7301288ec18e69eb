"""Anthropic's own wire: POST /v1/messages, with cache marks where the prompt stays the same."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import orjson

from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import ModelInfo, ModelRequest, NamedTool, Sampling
from assistant.providers.anthropic_answer import AnthropicAnswer
from assistant.providers.anthropic_prompt import encode, side_by_side
from assistant.providers.encoding import EncodedMessages, encode_messages
from assistant.providers.pieces import unheard
from assistant.providers.target import Target
from assistant.providers.upstream import Upstream

_VERSION = "2023-06-01"
_CACHED: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
_EFFORT = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}
_JSON_ONLY = "Answer with one JSON object and nothing else."


class AnthropicProvider:
    """A model behind `<api_base>/v1/messages`.

    The prompt is marked for the provider's cache in two places: after the first instruction block, which stays the same from turn to turn and
    has the tools before it, and after the last message, from which the next step of the turn goes on.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        headers = {"anthropic-version": _VERSION, **({"x-api-key": target.key} if target.key else {})}
        self._upstream = Upstream(target.endpoint(headers, base=target.base.removesuffix("/v1")), target.peer)
        self._encoded = EncodedMessages()

    @property
    def info(self) -> ModelInfo:
        return self._target.info

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
        messages = await encode_messages(request, self._encoded, partial(encode, vision=self.info.vision))
        body = self._body(request, messages)
        answer = AnthropicAnswer(self._target.peer)
        async with self._upstream.request("POST", "/v1/messages", body) as response:
            if response.content_type == "text/event-stream":
                await _read_stream(self._upstream.events(response), answer, emit if request.stream else unheard)
            else:
                answer.take_whole(await self._upstream.json(response))
                if request.stream and answer.text:
                    emit(answer.text)
        return answer.message(request, default_model=self.info.id)

    async def probe(self) -> None:
        await self._upstream.get("/v1/models")

    async def close(self) -> None:
        await self._upstream.close()

    def _body(self, request: ModelRequest, messages: list[bytes]) -> bytes:
        body: dict[str, Any] = {
            "model": self.info.id,
            "max_tokens": request.sampling.max_tokens or self._target.max_output,
            "messages": side_by_side(request.messages, messages),
            **self._sampling(request.sampling),
        }
        system = [{"type": "text", "text": text} for text in request.instructions if text.strip()]
        if system:
            system[0] = {**system[0], **_CACHED}
        if (request.sampling.response_format or {}).get("type") == "json_object":
            system.append({"type": "text", "text": _JSON_ONLY})
        if system:
            body["system"] = system
        if request.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)} for tool in request.tools
            ]
            if choice := _choice(request):
                body["tool_choice"] = choice
        if request.stream:
            body["stream"] = True
        body.update(self._target.extra_body)
        return orjson.dumps(body)

    def _sampling(self, sampling: Sampling) -> dict[str, Any]:
        """What this wire has of it. It has no seed; its temperature ends at 1."""
        fields: dict[str, Any] = {}
        if self._target.samples and sampling.temperature is not None:
            fields["temperature"] = min(sampling.temperature, 1.0)
        elif self._target.samples and sampling.top_p is not None:  # newer models refuse the two together
            fields["top_p"] = sampling.top_p
        if stop := [text for text in sampling.stop if text.strip()]:
            fields["stop_sequences"] = stop
        output: dict[str, Any] = {}
        if self._target.takes_effort and sampling.reasoning_effort in _EFFORT:
            output["effort"] = _EFFORT[sampling.reasoning_effort]
        wanted = sampling.response_format or {}
        described = wanted.get("json_schema")
        if wanted.get("type") == "json_schema" and isinstance(described, dict):
            output["format"] = {"type": "json_schema", "schema": described.get("schema") or {}}
        if output:
            fields["output_config"] = output
        return fields


def _choice(request: ModelRequest) -> dict[str, Any]:
    """This wire tells in one object which tools are called and how many at once; {}: nothing was said of it."""
    match request.tool_choice if request.may_call else "none":
        case "none":
            return {"type": "none"}
        case NamedTool(name=name):
            choice: dict[str, Any] = {"type": "tool", "name": name}
        case "required":
            choice = {"type": "any"}
        case "auto":
            choice = {"type": "auto"}
        case None:
            choice = {} if request.parallel_calls is not False else {"type": "auto"}
    return choice if request.parallel_calls is not False else {**choice, "disable_parallel_tool_use": True}


async def _read_stream(events: AsyncIterator[list[dict[str, Any] | None]], answer: AnthropicAnswer, emit: Callable[[str], None]) -> None:
    async for batch in events:
        for event in batch:
            if event is not None and (words := answer.take(event)):
                emit(words)
            if answer.done:
                return


def open_provider(target: Target) -> AnthropicProvider:
    """The provider for a target of this wire."""
    return AnthropicProvider(target)

"""OpenAI's chat-completions wire, which most providers and local servers speak."""

import base64
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import orjson

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage, Images, Message, UserMessage
from assistant.contracts.models import ModelInfo, ModelRequest, NamedTool, Sampling, ToolSpec
from assistant.providers.encoding import EncodedMessages, encode_messages
from assistant.providers.failures import Peer, stream_failure
from assistant.providers.openai_answer import OpenAIAnswer
from assistant.providers.pieces import unheard
from assistant.providers.rendering import assistant_text, image_text, is_shown, part_text, tool_text
from assistant.providers.target import Target
from assistant.providers.upstream import Upstream


class OpenAIProvider:
    """A model behind `<api_base>/chat/completions`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._upstream = Upstream(target.endpoint({"Authorization": f"Bearer {target.key}"} if target.key else {}), target.peer)
        self._encoded = EncodedMessages()
        self._tools: tuple[tuple[ToolSpec, ...], orjson.Fragment | None] = ((), None)

    @property
    def info(self) -> ModelInfo:
        return self._target.info

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
        messages = await encode_messages(request, self._encoded, partial(_encode, vision=self.info.vision))
        body = self._body(request, messages)
        answer = OpenAIAnswer(self._target.peer.provider)
        async with self._upstream.request("POST", "/chat/completions", body) as response:
            if response.content_type == "text/event-stream":
                await self._read_stream(self._upstream.events(response), answer, emit if request.stream else unheard)
            else:
                _take_whole(self._target.peer, await self._upstream.json(response), answer)
                if request.stream and answer.text:
                    emit(answer.text)
        return answer.message(request, default_model=self.info.id)

    async def probe(self) -> None:
        await self._upstream.get("/models")

    async def close(self) -> None:
        await self._upstream.close()

    async def _read_stream(
        self, events: AsyncIterator[list[dict[str, Any] | None]], answer: OpenAIAnswer, emit: Callable[[str], None]
    ) -> None:
        async for batch in events:
            for event in batch:
                if event is None:
                    answer.done = True
                    return
                if event.get("error"):
                    raise stream_failure(self._target.peer, event["error"])
                if words := answer.take(event, "delta"):
                    emit(words)

    def _body(self, request: ModelRequest, messages: list[bytes]) -> bytes:
        if request.instructions:
            messages = [orjson.dumps({"role": "system", "content": "\n\n".join(request.instructions)}), *messages]
        body: dict[str, Any] = {"model": self.info.id, "messages": orjson.Fragment(b"[" + b",".join(messages) + b"]")}
        if request.tools:
            body["tools"] = self._encoded_tools(request.tools)
            body.update(_choice(request))
        if request.top_logprobs is not None:
            body["logprobs"] = True
            if request.top_logprobs:
                body["top_logprobs"] = request.top_logprobs
        body.update(sampling_fields(self._target, request.sampling))
        if request.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        body.update(self._target.extra_body)
        return orjson.dumps(body)

    def _encoded_tools(self, tools: tuple[ToolSpec, ...]) -> orjson.Fragment:
        known, fragment = self._tools
        if fragment is None or not (known is tools or known == tools):
            fragment = orjson.Fragment(orjson.dumps([_tool(tool) for tool in tools]))
            self._tools = (tools, fragment)
        return fragment


def sampling_fields(target: Target, sampling: Sampling) -> dict[str, Any]:
    """How the answer is drawn, in this wire's fields; those that are left open are left out."""
    fields: dict[str, Any] = {
        "temperature": sampling.temperature if target.samples else None,
        "top_p": sampling.top_p if target.samples else None,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        target.max_tokens_field: sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
        "reasoning_effort": sampling.reasoning_effort,
        "response_format": None if sampling.response_format is None else dict(sampling.response_format),
    }
    return {name: value for name, value in fields.items() if value is not None}


def open_provider(target: Target) -> OpenAIProvider:
    """The provider for a target of this wire."""
    return OpenAIProvider(target)


def _take_whole(peer: Peer, value: dict[str, Any], answer: OpenAIAnswer) -> None:
    if value.get("error"):
        raise stream_failure(peer, value["error"])
    if not isinstance(value.get("choices"), list):
        raise ProviderFailed(f"{peer.provider} answered with JSON that is not a chat completion. Check providers.{peer.provider}.apiBase.")
    answer.take(value, "message")
    answer.done = True


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(request: ModelRequest) -> dict[str, Any]:
    """Which of the tools are called, and how many at once."""
    fields: dict[str, Any] = {}
    if not request.may_call:
        fields["tool_choice"] = "none"
    elif isinstance(request.tool_choice, NamedTool):
        fields["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice.name}}
    elif request.tool_choice is not None:
        fields["tool_choice"] = request.tool_choice
    if request.parallel_calls is not None:
        fields["parallel_tool_calls"] = request.parallel_calls
    return fields


def _encode(message: Message, images: Images, *, vision: bool) -> bytes:
    if message.role == "user":
        return orjson.dumps({"role": "user", "content": _content(message, images, vision)})
    if message.role == "tool":
        return orjson.dumps({"role": "tool", "tool_call_id": message.call_id, "content": tool_text(message)})
    value: dict[str, Any] = {"role": "assistant", "content": assistant_text(message) or None}
    if message.tool_calls:
        value["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in message.tool_calls
        ]
    return orjson.dumps(value)


def _content(message: UserMessage, images: Images, vision: bool) -> str | Sequence[dict[str, Any]]:
    """The parts as blocks; as one text where none is a picture: servers without vision often take plain strings only."""
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if part.kind != "image":
            content.append({"type": "text", "text": part_text(part)})
            continue
        shown = is_shown(part, images, vision=vision)
        content.append({"type": "text", "text": image_text(part, shown=shown, vision=vision)})
        if shown:
            data = base64.b64encode(images[part.attachment_id]).decode("ascii")
            content.append({"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{data}"}})
    if any(block["type"] != "text" for block in content):
        return content
    return "\n\n".join(block["text"] for block in content)

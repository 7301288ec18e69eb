"""OpenAI's wire, which most providers and local servers speak: POST <api_base>/chat/completions, the older /completions, and /embeddings."""

import asyncio
import base64
from array import array
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import orjson

from assistant.contracts.causes import Payer
from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage, Images, Json, Message, Text, UserMessage, Verbatim
from assistant.contracts.models import EmbeddingInput, Embeddings, EmitText, ModelRequest, NamedTool, Sampling, ToolSpec
from assistant.contracts.util import CHARACTERS_PER_TOKEN, estimate_tokens
from assistant.providers.chain import RetryPolicy
from assistant.providers.failures import stream_failure
from assistant.providers.http import HttpWire, ProviderEndpoint
from assistant.providers.messages import (
    EncodedMessages,
    count,
    encode_uncached,
    listed,
    mapping,
    part_text,
    shown_part,
    tool_text,
)
from assistant.providers.openai_answer import THINKING_PARTS, OpenAIAnswer, OpenAITextAnswer
from assistant.providers.transcript_rules import UNSIGNED, PromptForm, assistant_text

_BATCH: Final = 128
_BATCH_CHARS: Final = 400_000
"""Texts and characters of a call: below what OpenAI (2,048 texts, 300,000 tokens) and smaller servers take. Parsing the answer blocks the loop:
for 20 ms with 128 vectors of 1,536 numbers."""
_LARGEST: Final = 3.4e38
"""Of 32 bits, as vectors are kept and sent everywhere."""


class OpenAIProvider(HttpWire):
    """A model behind `<api_base>/chat/completions`."""

    def __init__(self, endpoint: ProviderEndpoint) -> None:
        super().__init__(endpoint)
        self._encoded = EncodedMessages()
        self._rules = endpoint.rules
        self._thinks_first = False
        self._tools: tuple[tuple[ToolSpec, ...], orjson.Fragment | None] = ((), None)
        self._system: tuple[tuple[str, ...], bytes] = ((), b"")

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        form = self._rules.form(request)
        encode = partial(_encode, form=form, images=request.images, vision=self.info.vision and "pictures" not in request.without)
        if request.images or not request.conversation:
            messages = await encode_uncached(request, form, encode)
        else:
            messages = self._encoded.all(request.messages, form, encode)
        answer = OpenAIAnswer(self._endpoint.peer, thinks_first=self._thinks_first)
        await self._http.post("/chat/completions", self._body(request, messages.encoded), answer, emit if request.stream else None)
        message = answer.message(request, self.info.id)
        self._thinks_first = answer.spoken.thinks_first
        return message

    def _body(self, request: ModelRequest, messages: list[bytes]) -> bytes:
        if request.instructions:
            if self._system[0] != request.instructions:
                said = orjson.dumps({"role": "system", "content": "\n\n".join(request.instructions)})
                self._system = request.instructions, said
            messages = [self._system[1], *messages]
        body: dict[str, Any] = dict(request.extra_fields)
        # Each by itself: joined, they would be copied three times, and pictures are of many MB.
        body.update({"model": self.info.id, "messages": list(map(orjson.Fragment, messages))})
        if request.tools:
            body.update(self._tool_fields(request))
        if request.top_logprobs is not None:
            body["logprobs"] = True
            if request.top_logprobs:
                body["top_logprobs"] = request.top_logprobs
        body.update(sampling_fields(self._endpoint, request.sampling))
        if request.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        body.update(self._endpoint.settings.extra_body)
        return orjson.dumps(body)

    def _tool_fields(self, request: ModelRequest) -> dict[str, Any]:
        """The tools (encoded once while they stay the same), which of them are called, and how many at once."""
        known, fragment = self._tools
        if fragment is None or not (known is request.tools or known == request.tools):
            fragment = orjson.Fragment(orjson.dumps(list(map(_tool, request.tools))))
            self._tools = (request.tools, fragment)
        fields: dict[str, Any] = {"tools": fragment}
        if not request.may_call:
            fields["tool_choice"] = "none"
        elif isinstance(request.tool_choice, NamedTool):
            fields["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice.name}}
        elif request.tool_choice is not None:
            fields["tool_choice"] = request.tool_choice
        if request.parallel_calls is not None:
            fields["parallel_tool_calls"] = request.parallel_calls
        return fields


class OpenAICompletions(HttpWire):
    """A model behind `<api_base>/completions`, which continues the text of the user's messages. Instructions and tools are not sent."""

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        parts = [part for message in request.messages if message.role == "user" for part in message.parts]
        fields = sampling_fields(self._endpoint, request.sampling)
        limit = fields.pop(self._endpoint.max_tokens_field, None)
        tokens = next((part.value.get("tokens") for part in parts if isinstance(part, Verbatim)), None)
        body: dict[str, Any] = {
            **request.extra_fields,
            "model": self.info.id,
            "prompt": tokens or "".join(part_text(part) for part in parts if part.kind != "image"),
            **fields,
            **({} if limit is None else {"max_tokens": limit}),
            **({"stream": True, "stream_options": {"include_usage": True}} if request.stream else {}),
            **self._endpoint.settings.extra_body,
        }
        answer = OpenAITextAnswer(self._endpoint.peer)
        await self._http.post("/completions", orjson.dumps(body), answer, emit if request.stream else None)
        return answer.message(request, self.info.id)


def sampling_fields(endpoint: ProviderEndpoint, sampling: Sampling) -> dict[str, Any]:
    """Sampling in this wire's fields; open ones are left out."""
    fields: dict[str, Any] = {
        "temperature": sampling.temperature if endpoint.samples else None,
        "top_p": sampling.top_p if endpoint.samples else None,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        endpoint.max_tokens_field: sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
        "reasoning_effort": sampling.reasoning_effort,
        "response_format": None if sampling.response_format is None else dict(sampling.response_format),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _encode(message: Message, *, form: PromptForm, images: Images, vision: bool) -> bytes:
    if message.role == "user":
        return orjson.dumps({**message.extras, "role": "user", "content": _content(message, images, vision)})
    if message.role == "tool":
        named = {"name": message.name} if form.rules.names_results else {}
        return orjson.dumps({"role": "tool", "tool_call_id": message.call_id, **named, "content": tool_text(message)})
    if not message.tool_calls and not message.extras:
        return orjson.dumps({"role": "assistant", "content": assistant_text(message)})
    return orjson.dumps(_said(message, form))


def _said(message: AssistantMessage, form: PromptForm) -> dict[str, Any]:
    """What the assistant said, with what its provider wants back."""
    extras = dict(message.extras)
    text: str | list[Any] | None = assistant_text(message) or None
    if isinstance(thinking := extras.pop(THINKING_PARTS, None), list):  # Mistral's thoughts are parts of the content
        text = [*thinking, *([{"type": "text", "text": text}] if text else [])]
    value: dict[str, Any] = {**extras, "role": "assistant", "content": text}
    if message.tool_calls:
        value["tool_calls"] = [
            {**call.extras, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        if form.rules.reasoning_beside_calls and "extras" not in form.without:
            value.setdefault("reasoning_content", "")
        if form.rules.signs_calls and "extras" not in form.without:
            value["tool_calls"][0].setdefault("extra_content", UNSIGNED)
    return value


def _content(message: UserMessage, images: Images, vision: bool) -> str | Sequence[dict[str, Any]]:
    """The parts as blocks; as one text where none is a picture: servers without vision often take plain strings only."""
    if len(message.parts) == 1 and type(words := message.parts[0]) is Text and not (words.quoted or words.heard):
        return words.text
    texts: list[str] = []
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Verbatim):
            content.append(dict(part.value))
            continue
        text, image = shown_part(part, images, vision=vision)
        if text or image is None:
            texts.append(text)
            content.append({"type": "text", "text": text})
        if image is not None:
            detail = {"detail": image.detail} if image.detail else {}
            content.append({"type": "image_url", "image_url": {"url": _data_url(image.media_type, images[image.attachment_id]), **detail}})
    return content if len(content) > len(texts) else "\n\n".join(texts)


def _data_url(media_type: str, data: bytes) -> orjson.Fragment:
    """As JSON: base64 has nothing to escape, and as a text it would be copied twice more and searched."""
    return orjson.Fragment(b"".join((orjson.dumps(f"data:{media_type};base64,")[:-1], base64.b64encode(data), b'"')))


class OpenAIEmbeddings(HttpWire):
    """Implements EmbeddingProvider, with retries. A batch that fails fails the whole."""

    def __init__(self, endpoint: ProviderEndpoint) -> None:
        super().__init__(endpoint)
        self._retry = RetryPolicy()

    async def embed(
        self,
        inputs: Sequence[EmbeddingInput],
        dimensions: int | None,
        extra_fields: Mapping[str, Json] | None = None,
        payer: Payer | None = None,
    ) -> Embeddings:
        return await self._retry.run(self.info.provider, partial(self._embed, inputs, dimensions, extra_fields or {}))

    async def _embed(self, inputs: Sequence[EmbeddingInput], dimensions: int | None, extra_fields: Mapping[str, Json]) -> Embeddings:
        vectors: list[Sequence[float]] = []
        tokens, model = 0, ""
        for batch in batches(inputs):
            made = await self._batch(batch, dimensions, extra_fields)
            vectors += made.vectors
            tokens += made.prompt_tokens
            model = made.model
        if len({len(vector) for vector in vectors} | ({dimensions} - {None})) > 1:
            raise ProviderFailed(f"{self._endpoint.peer.provider} gave vectors of other lengths than requested.", retryable=False)
        return Embeddings(vectors=tuple(vectors), prompt_tokens=tokens, model=model or self.info.id)

    async def _batch(self, inputs: Sequence[EmbeddingInput], dimensions: int | None, extra_fields: Mapping[str, Json]) -> Embeddings:
        body: dict[str, Any] = {**extra_fields, "model": self.info.id, "input": list(inputs), "encoding_format": "float"}
        if dimensions is not None:
            body["dimensions"] = dimensions
        async with self._http.request("POST", "/embeddings", orjson.dumps({**body, **self._endpoint.settings.extra_body})) as response:
            answer = await self._http.json(response)
        if answer.get("error"):
            raise stream_failure(self._endpoint.peer, answer["error"])
        usage = mapping(answer.get("usage"))
        counted = count(usage, "prompt_tokens") or count(usage, "total_tokens") or sum(estimate_tokens(_size(text)) for text in inputs)
        vectors = await asyncio.to_thread(self._vectors, answer, len(inputs))
        return Embeddings(vectors=vectors, prompt_tokens=counted, model=str(answer.get("model") or self.info.id))

    def _vectors(self, answer: dict[str, Any], wanted: int) -> tuple[Sequence[float], ...]:
        """In the order of `index`. For a thread. Raises ProviderFailed unless there is one for each text."""
        found: dict[int, Sequence[float]] = {}
        for place, item in enumerate(map(mapping, listed(answer.get("data")))):
            index: object = item.get("index", place)
            vector = _vector(listed(item.get("embedding")))
            if isinstance(index, int) and vector:
                found[index] = vector
        if sorted(found) != list(range(wanted)):
            who = self._endpoint.peer.provider
            raise ProviderFailed(f"{who} gave {len(found)} vectors that can be read for {wanted} texts.", retryable=False)
        return tuple([found[index] for index in range(wanted)])


def _vector(values: list[object]) -> Sequence[float]:
    """As an array, which takes a quarter of the memory; empty where it is no vector."""
    if not values or not set(map(type, values)) <= {int, float}:
        return ()
    vector = array("d", cast("list[float]", values))
    return vector if min(vector) > -_LARGEST and max(vector) < _LARGEST else ()


def batches(inputs: Sequence[EmbeddingInput]) -> list[list[EmbeddingInput]]:
    """The inputs in order, in as few calls as the limits allow."""
    made: list[list[EmbeddingInput]] = []
    size = 0
    for text in inputs:
        if not made or len(made[-1]) >= _BATCH or size + _size(text) > _BATCH_CHARS:
            made.append([])
            size = 0
        made[-1].append(text)
        size += _size(text)
    return made


def _size(text: EmbeddingInput) -> int:
    """Characters; a token counts as the four that it holds on average."""
    return len(text) if isinstance(text, str) else len(text) * CHARACTERS_PER_TOKEN

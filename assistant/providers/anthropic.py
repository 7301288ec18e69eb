"""Anthropic's own wire: POST /v1/messages, with cache marks where the prompt stays the same."""

import base64
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final, cast

import orjson

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage, FinishReason, Images, Json, Message, ToolCall, Usage, UserMessage
from assistant.contracts.models import EmitText, ModelRequest, NamedTool, Sampling
from assistant.providers.failures import Peer, described_error, stream_failure
from assistant.providers.http import HttpWire, ProviderEndpoint
from assistant.providers.messages import (
    EncodedMessages,
    EncodedPrompt,
    IncomingAnswer,
    ToolCallParts,
    build_message,
    count,
    encode_uncached,
    listed,
    mapping,
    shown_part,
)
from assistant.providers.transcript_rules import NO_WORDS, assistant_text

_CACHE_MARK: Final = b',"cache_control":{"type":"ephemeral"}}'
_EFFORT: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
BLOCKS: Final = "content"
"""Of `extras`: the blocks of an answer in their order, calls without their input."""
_THOUGHTS: Final = ("thinking", "redacted_thinking")
_REASONS: Final[dict[str, FinishReason]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "tool_use": "tool_calls",
}


class AnthropicProvider(HttpWire):
    """A model behind `<api_base>/v1/messages`.

    The prompt is marked for the provider's cache in two places: after the first instruction block, which stays the same from turn to turn and
    has the tools before it, and after the last message, which the next step of the turn continues.
    """

    def __init__(self, endpoint: ProviderEndpoint) -> None:
        super().__init__(endpoint)
        self._encoded = EncodedMessages()
        self._thinks_first = False

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        form = self._endpoint.rules.form(request)
        encode = partial(_encode, images=request.images, vision=self.info.vision and "pictures" not in request.without)
        if request.images or not request.conversation:
            messages = await encode_uncached(request, form, encode)
        else:
            messages = self._encoded.all(request.messages, form, encode)
        answer = AnthropicAnswer(self._endpoint.peer, thinks_first=self._thinks_first)
        await self._http.post("/v1/messages", self._body(request, messages), answer, emit if request.stream else None)
        message = answer.message(request, self.info.id)
        self._thinks_first = answer.spoken.thinks_first
        return message

    def _body(self, request: ModelRequest, messages: EncodedPrompt) -> bytes:
        body: dict[str, Any] = {
            "model": self.info.id,
            "max_tokens": request.sampling.max_tokens or self._endpoint.max_output,
            "messages": _two_sides(messages.sent, messages.encoded),
            **self._sampling(request.sampling),
        }
        system = [_text(text) for text in request.instructions if text.strip()]
        if system:
            system[0]["cache_control"] = {"type": "ephemeral"}
        if (request.sampling.response_format or {}).get("type") == "json_object":
            system.append(_text("Answer with one JSON object and nothing else."))
        if system:
            body["system"] = system
        if request.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)} for tool in request.tools
            ]
            if choice := _tool_choice(request):
                body["tool_choice"] = choice
        if request.stream:
            body["stream"] = True
        body.update(self._endpoint.settings.extra_body)
        return orjson.dumps(body)

    def _sampling(self, sampling: Sampling) -> dict[str, Any]:
        """The part of it that this wire has: no seed, and a temperature of 1 at most."""
        fields: dict[str, Any] = {}
        if self._endpoint.samples and sampling.temperature is not None:
            fields["temperature"] = min(sampling.temperature, 1.0)
        elif self._endpoint.samples and sampling.top_p is not None:  # newer models refuse the two together
            fields["top_p"] = sampling.top_p
        if stop := [text for text in sampling.stop if text.strip()]:
            fields["stop_sequences"] = stop
        output: dict[str, Any] = {}
        if self._endpoint.takes_effort and sampling.reasoning_effort in _EFFORT:
            output["effort"] = _EFFORT[sampling.reasoning_effort]
        wanted = sampling.response_format or {}
        described = wanted.get("json_schema")
        if wanted.get("type") == "json_schema" and isinstance(described, dict):
            output["format"] = {"type": "json_schema", "schema": described.get("schema") or {}}
        if output:
            fields["output_config"] = output
        return fields


def _tool_choice(request: ModelRequest) -> dict[str, Any]:
    """Which tools are called and how many at once, in one object; {}: the request sets neither."""
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


def _two_sides(messages: Sequence[Message], encoded: Sequence[bytes]) -> list[dict[str, Any]]:
    """Neighbouring messages of one side as one; a tool's result is the user's side. The last block is marked for the cache."""
    marked = [*encoded[:-1], *(blocks[:-1] + _CACHE_MARK for blocks in encoded[-1:])]
    sides = ["assistant" if message.role == "assistant" else "user" for message in messages]
    return [
        {"role": side, "content": orjson.Fragment(b"[" + b",".join([blocks for _, blocks in group]) + b"]")}
        for side, group in groupby(zip(sides, marked, strict=True), key=lambda pair: pair[0])
    ]


def _encode(message: Message, *, images: Images, vision: bool) -> bytes:
    """The blocks of a message as JSON, joined by commas. Blocks without text are refused by the wire and say nothing: they are left out."""
    blocks: list[dict[str, Any]]
    if message.role == "user":
        blocks = _user_blocks(message, images, vision)
    elif message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.call_id, "content": message.text}
        blocks = [result if message.ok else {**result, "is_error": True}]
    else:
        blocks = _said(message)
    kept = [block for block in blocks if block.get("text", "-").strip()]
    return b",".join(map(orjson.dumps, kept or [_text(NO_WORDS)]))


def _user_blocks(message: UserMessage, images: Images, vision: bool) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in message.parts:
        text, image = shown_part(part, images, vision=vision)
        blocks += [_text(text)] if text or image is None else []
        if image is not None:
            data = base64.b64encode(images[image.attachment_id]).decode("ascii")
            blocks.append({"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": data}})
    return blocks


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": orjson.Fragment(call.arguments)}


def _said(message: AssistantMessage) -> list[dict[str, Any]]:
    """Words and calls; thinking blocks as they came, each before the block that it came before. One that was cut off before its signature is
    refused ("thinking.signature: Field required"), and so is a message that ends with one ("The final block … cannot be `thinking`")."""
    calls = list(map(_tool_use, message.tool_calls))
    text = assistant_text(message).rstrip()  # "final assistant content cannot end with trailing whitespace"
    given = map(mapping, listed(message.extras.get(BLOCKS)))
    kept = [block for block in given if block.get("type") != "thinking" or block.get("signature")]
    if not kept or message.cut_off is not None:
        return [_text(text), *calls]
    blocks: list[dict[str, Any]] = []
    texts = [str(block.get("text") or "") for block in kept if block.get("type") == "text"]
    whole = "".join(texts).strip() == text.strip()
    for block in kept:
        if block.get("type") == "tool_use":
            blocks += calls[:1]
            calls = calls[1:]
        elif block.get("type") != "text":
            blocks.append(block)
        elif whole:
            blocks.append(_text(str(block.get("text") or "").rstrip()))
        elif text:
            blocks.append(_text(text))
            text = ""
    blocks = [block for block in blocks if block.get("text", "-").strip()]
    if not message.tool_calls and (not blocks or blocks[-1].get("type") in _THOUGHTS):
        blocks.append(_text(NO_WORDS if texts else text))
    return [*blocks, *calls]


class AnthropicAnswer(IncomingAnswer):
    """An answer of the messages API. Its blocks are kept where some are thoughts: their signatures hold for their place."""

    def __init__(self, peer: Peer, *, thinks_first: bool = False) -> None:
        super().__init__(peer, thinks_first=thinks_first)
        self._blocks: dict[str, dict[str, Any]] = {}
        self._by_index: dict[str, ToolCallParts] = {}

    def take(self, event: dict[str, Any] | None) -> None:
        event = event or {}
        if (event.get("type") in (None, "error") or "error" in event) and described_error(event) is not None:
            raise stream_failure(self._peer, event)
        match event.get("type"):
            case "content_block_delta":
                self._take_delta(str(event.get("index")), mapping(event.get("delta")))
            case "content_block_start":
                self._take_block(str(event.get("index")), mapping(event.get("content_block")))
            case "message_start":
                message = mapping(event.get("message"))
                self._model = str(message.get("model") or "")
                self._usage |= mapping(message.get("usage"))
            case "message_delta":
                self._reason = str(mapping(event.get("delta")).get("stop_reason") or "")
                self._usage |= {name: tokens for name, tokens in mapping(event.get("usage")).items() if tokens}
            case "message_stop":
                self.done = True
            case _:  # "ping", "content_block_stop", and what may yet be added
                pass

    def take_whole(self, value: dict[str, Any]) -> None:
        if described_error(value) is not None:
            raise stream_failure(self._peer, value)
        if not isinstance(value.get("content"), list):
            who = self._peer.provider
            raise ProviderFailed(f"{who} answered with JSON that is not a message. Check providers.{who}.apiBase.")
        for index, block in enumerate(listed(value["content"])):
            self._take_block(str(index), mapping(block))
        self._model = str(value.get("model") or "")
        self._usage = mapping(value.get("usage"))
        self._reason = str(value.get("stop_reason") or "")
        self.done = True

    def message(self, request: ModelRequest, default_model: str) -> AssistantMessage:
        """The whole answer. Raises ProviderFailed where it is cut or empty."""
        who, usage = self._peer.provider, self._usage
        if not self.done:
            raise ProviderFailed(f"{who} ended the stream before its answer was whole.")
        # `input_tokens` leaves out what the cache gave and took.
        cached = count(usage, "cache_read_input_tokens")
        prompt = count(usage, "input_tokens") + count(usage, "cache_creation_input_tokens") + cached
        return build_message(
            request,
            provider=who,
            model=self._model or default_model,
            spoken=self.spoken,
            calls=self._calls,
            reason=_REASONS.get(self._reason, "stop"),
            usage=Usage(prompt_tokens=prompt, completion_tokens=count(usage, "output_tokens"), cached_tokens=cached) if prompt else None,
            extras=self._kept(),
        )

    def _take_block(self, index: str, block: dict[str, Any]) -> None:
        self._blocks[index] = kept = dict(block)
        match block.get("type"):
            case "tool_use":
                given = mapping(block.get("input"))
                arguments = [orjson.dumps(given).decode()] if given else []
                call = ToolCallParts(id=str(block.get("id") or ""), name=str(block.get("name") or ""), arguments=arguments)
                self._by_index[index] = call
                self._calls.append(call)
                kept.pop("input", None)
            case "text":
                self.spoken.say(str(block.get("text") or ""))
            case "thinking":
                self.spoken.think(str(block.get("thinking") or ""))
            case _:  # redacted thoughts, and what may yet be added
                pass

    def _take_delta(self, index: str, delta: dict[str, Any]) -> None:
        block = self._blocks.setdefault(index, {})
        match delta.get("type"):
            case "input_json_delta":
                if call := self._by_index.get(index):
                    call.arguments.append(str(delta.get("partial_json") or ""))
            case "text_delta":
                text = str(delta.get("text") or "")
                block["text"] = f"{block.get('text') or ''}{text}"
                self.spoken.say(text)
            case "thinking_delta":
                thought = str(delta.get("thinking") or "")
                block["thinking"] = f"{block.get('thinking') or ''}{thought}"
                self.spoken.think(thought)
            case "signature_delta":
                block["signature"] = f"{block.get('signature') or ''}{delta.get('signature') or ''}"
            case _:  # citations, and what may yet be added
                pass

    def _kept(self) -> dict[str, Json]:
        blocks = list(self._blocks.values())
        thoughts = any(block.get("type") in _THOUGHTS for block in blocks)
        named = (*_THOUGHTS, "text", "tool_use")
        return {BLOCKS: cast("Json", [block for block in blocks if block.get("type") in named])} if thoughts else {}

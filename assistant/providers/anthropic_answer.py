"""Puts an answer of Anthropic's wire together, from one object or from the events of a stream."""

from typing import Any

import orjson

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage, FinishReason, Usage
from assistant.contracts.models import ModelRequest
from assistant.providers.failures import Peer, stream_failure
from assistant.providers.pieces import CallPieces, count, listed, mapping, whole_answer

_REASONS: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "tool_use": "tool_calls",
}


class AnthropicAnswer:
    """One answer. `done`: whether its end was announced. Thinking is not kept."""

    __slots__ = ("_calls", "_model", "_peer", "_pieces", "_reason", "_usage", "done")

    def __init__(self, peer: Peer) -> None:
        self.done = False
        self._peer = peer
        self._pieces: list[str] = []
        self._calls: dict[int, CallPieces] = {}
        self._reason = ""
        self._model = ""
        self._usage: dict[str, Any] = {}

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def take(self, event: dict[str, Any]) -> str:
        """Take an event; return the words that it adds. Raises the failure that an "error" event stands for."""
        match event.get("type"):
            case "content_block_delta":
                return self._take_delta(count(event, "index"), mapping(event.get("delta")))
            case "content_block_start":
                return self._take_block(count(event, "index"), mapping(event.get("content_block")))
            case "message_start":
                message = mapping(event.get("message"))
                self._model = str(message.get("model") or "")
                self._usage |= mapping(message.get("usage"))
            case "message_delta":
                self._reason = str(mapping(event.get("delta")).get("stop_reason") or "")
                self._usage |= {name: tokens for name, tokens in mapping(event.get("usage")).items() if tokens}
            case "message_stop":
                self.done = True
            case "error":
                raise stream_failure(self._peer, event.get("error"))
            case _:  # "ping", "content_block_stop", and what may yet be added
                pass
        return ""

    def take_whole(self, value: dict[str, Any]) -> None:
        """Take a response that is not a stream."""
        if value.get("type") == "error":
            raise stream_failure(self._peer, value.get("error"))
        if not isinstance(value.get("content"), list):
            who = self._peer.provider
            raise ProviderFailed(f"{who} answered with JSON that is not a message. Check providers.{who}.apiBase.")
        for index, block in enumerate(listed(value["content"])):
            self._take_block(index, mapping(block))
        self._model = str(value.get("model") or "")
        self._usage = mapping(value.get("usage"))
        self._reason = str(value.get("stop_reason") or "")
        self.done = True

    def message(self, request: ModelRequest, *, default_model: str) -> AssistantMessage:
        """The whole answer. Raises ProviderFailed where it is cut or empty."""
        who = self._peer.provider
        if not self.done:
            raise ProviderFailed(f"{who} ended the stream before its answer was whole.")
        return whole_answer(
            request,
            provider=who,
            model=self._model or default_model,
            text=self.text,
            calls=self._calls.values(),
            reason=_REASONS.get(self._reason, "stop"),
            usage=self._counted(),
        )

    def _take_block(self, index: int, block: dict[str, Any]) -> str:
        if block.get("type") == "tool_use":
            given = mapping(block.get("input"))
            arguments = [orjson.dumps(given).decode()] if given else []
            self._calls[index] = CallPieces(id=str(block.get("id") or ""), name=str(block.get("name") or ""), arguments=arguments)
            return ""
        return self._say(block) if block.get("type") == "text" else ""

    def _take_delta(self, index: int, delta: dict[str, Any]) -> str:
        kind = delta.get("type")
        if kind == "input_json_delta" and (call := self._calls.get(index)):
            call.arguments.append(str(delta.get("partial_json") or ""))
        return self._say(delta) if kind == "text_delta" else ""

    def _say(self, block: dict[str, Any]) -> str:
        words = str(block.get("text") or "")
        if words:
            self._pieces.append(words)
        return words

    def _counted(self) -> Usage | None:
        """`input_tokens` counts only what the cache neither gave nor took."""
        usage = self._usage
        cached = count(usage, "cache_read_input_tokens")
        prompt = count(usage, "input_tokens") + count(usage, "cache_creation_input_tokens") + cached
        return Usage(prompt_tokens=prompt, completion_tokens=count(usage, "output_tokens"), cached_tokens=cached) if prompt else None

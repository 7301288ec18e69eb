"""Puts an answer of OpenAI's wire together, from one object or from the pieces of a stream."""

from typing import Any, cast

import orjson

from assistant.contracts.errors import ProviderFailed, ProviderOverloaded
from assistant.contracts.messages import AssistantMessage, FinishReason, Json, Usage
from assistant.contracts.models import ModelRequest, Scored
from assistant.providers.pieces import CallPieces, count, listed, mapping, whole_answer

_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_BROKEN = frozenset({"error", "insufficient_system_resource", "abort"})
"""Reasons that OpenRouter, DeepSeek and vLLM give for an answer that is not whole."""


class OpenAIAnswer:
    """One answer. `done`: whether its end was announced ("[DONE]", or a body that is whole by its length)."""

    __slots__ = ("_by_index", "_calls", "_logprobs", "_model", "_pieces", "_provider", "_reason", "_usage", "done")

    def __init__(self, provider: str) -> None:
        self.done = False
        self._provider = provider
        self._pieces: list[str] = []
        self._calls: list[CallPieces] = []
        self._by_index: dict[str, CallPieces] = {}
        self._logprobs: dict[str, list[object]] = {}
        self._reason = ""
        self._model = ""
        self._usage: dict[str, Any] = {}

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def take(self, event: dict[str, Any], part: str) -> str:
        """Take the first choice's `part` ("delta" or "message"); return the words that it adds."""
        if model := event.get("model"):
            self._model = str(model)
        if usage := event.get("usage"):
            self._usage = mapping(usage)
        choices = listed(event.get("choices"))
        if not choices:
            return ""
        choice = mapping(choices[0])
        if reason := choice.get("finish_reason"):
            self._reason = str(reason)
        if scores := choice.get("logprobs"):
            for name, tokens in mapping(scores).items():
                self._logprobs.setdefault(name, []).extend(listed(tokens))
        delta = mapping(choice.get(part))
        if calls := delta.get("tool_calls"):
            for position, piece in enumerate(listed(calls)):
                self._take_call(mapping(piece), position)
        words = _words(delta.get("content") or delta.get("refusal"))
        if words:
            self._pieces.append(words)
        return words

    def message(self, request: ModelRequest, *, default_model: str) -> AssistantMessage:
        """The whole answer. Raises ProviderFailed where it is cut or empty."""
        if self._reason in _BROKEN:
            raise ProviderOverloaded(f"{self._provider} broke its answer off ({self._reason}).")
        if not self.done and not self._reason:
            raise ProviderFailed(f"{self._provider} ended the stream before its answer was whole.")
        answer = whole_answer(
            request,
            provider=self._provider,
            model=self._model or default_model,
            text=self.text,
            calls=[call for call in self._calls if call.name],
            reason=_finish_reason(self._reason),
            usage=self._counted(),
        )
        return answer if request.top_logprobs is None else self._scored(answer)

    def _scored(self, answer: AssistantMessage) -> Scored:
        fields: dict[str, Any] = {name: getattr(answer, name) for name in AssistantMessage.__slots__}
        return Scored(**fields, logprobs=cast("Json", self._logprobs or None))

    def _take_call(self, piece: dict[str, Any], position: int) -> None:
        index = str(piece.get("index", position))
        function = mapping(piece.get("function"))
        call_id, name = str(piece.get("id") or ""), str(function.get("name") or "")
        call = self._by_index.get(index)
        # Some servers number every call 0: then another id begins another call.
        if call is None or (call_id and call.id and call_id != call.id):
            call = self._by_index[index] = CallPieces()
            self._calls.append(call)
        call.id = call.id or call_id
        call.name = call.name or name
        if arguments := function.get("arguments"):
            call.arguments.append(arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode())

    def _counted(self) -> Usage | None:
        usage = self._usage
        if not count(usage, "prompt_tokens"):
            return None
        cached = count(mapping(usage.get("prompt_tokens_details")), "cached_tokens") or count(
            usage, "prompt_cache_hit_tokens"
        )  # DeepSeek's
        return Usage(prompt_tokens=count(usage, "prompt_tokens"), completion_tokens=count(usage, "completion_tokens"), cached_tokens=cached)


def _words(content: object) -> str:
    if isinstance(content, str):
        return content
    # Mistral's reasoning models send parts, of which only "text" is said.
    parts = [mapping(part) for part in listed(content)]
    return "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")


def _finish_reason(reason: str) -> FinishReason:
    # Gemini adds what was filtered.
    return "content_filter" if reason.startswith("content_filter") else _REASONS.get(reason, "stop")

"""What comes back over OpenAI's wire, whole or in pieces, as the many servers that speak it send it."""

from typing import Any, Final, cast

import orjson

from assistant.contracts.errors import ProviderFailed, ProviderOverloaded
from assistant.contracts.ledger import NANO
from assistant.contracts.messages import AssistantMessage, BilledUsage, FinishReason, Json, Usage
from assistant.contracts.models import ModelRequest, Scored
from assistant.providers.failures import described_error, stream_failure
from assistant.providers.messages import IncomingAnswer, ToolCallParts, build_message, count, listed, mapping

_REASONS: Final[dict[str, FinishReason]] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_BROKEN: Final = frozenset({"error", "insufficient_system_resource", "abort"})
"""Reasons that OpenRouter, DeepSeek and vLLM give for an answer that is not whole."""
_MOST_DOLLARS: Final = 1_000_000
_OWN_CALL_FIELDS: Final = frozenset({"index", "id", "type", "function"})
_PLAIN: Final = frozenset({"role", "content", "refusal"})
_KEPT: Final = ("reasoning_details", "extra_content", "thinking_blocks", "reasoning_opaque", "reasoning_signature", "thought_signature")
"""Fields of a message that go back with it: OpenRouter's, Gemini's, LiteLLM's of Anthropic's models, Copilot's."""
_TOLD: Final = ("annotations", "audio", "images")
"""Fields of a message that are for the client of a registered model alone: OpenAI's, and OpenRouter's pictures."""
_BESIDE_CALLS: Final = "reasoning_content"
"""Goes back beside calls alone: DeepSeek's thinking mode needs it there, and its R1 refuses it elsewhere."""
_THOUGHTS: Final = ("reasoning_content", "reasoning", "thinking")
"""Fields that hold thoughts in words: DeepSeek and most; OpenRouter, Groq, newer vLLM; Ollama's own. Some servers send two of them alike."""
THINKING_PARTS: Final = "thinking"
"""Of `extras`: Mistral's parts of the content that are thoughts."""


class OpenAIAnswer(IncomingAnswer):
    """An answer of chat completions. The parts name the field of a choice that holds its content: an object, or a text."""

    _stream_part = "delta"
    _whole_part = "message"
    _raw = False

    def take(self, event: dict[str, Any] | None) -> None:
        if event is None:
            self.done = True
        else:
            self._take(event, self._stream_part)

    def take_whole(self, value: dict[str, Any]) -> None:
        self._take(value, self._whole_part)
        if not isinstance(value.get("choices"), list):
            who = self._peer.provider
            raise ProviderFailed(f"{who} answered with JSON that is not a completion. Check providers.{who}.apiBase.")
        self.done = True

    def message(self, request: ModelRequest, default_model: str) -> AssistantMessage:
        """The whole answer. Raises ProviderFailed where it is cut or empty."""
        who, reason, usage = self._peer.provider, self._reason, self._usage
        if reason in _BROKEN:
            raise ProviderOverloaded(f"{who} broke its answer off ({reason}).")
        if not reason and (not self.done or any(call.arguments and not call.whole for call in self._calls)):
            raise ProviderFailed(f"{who} ended the stream before its answer was whole.")
        prompt = count(usage, "prompt_tokens")
        cached = count(mapping(usage.get("prompt_tokens_details")), "cached_tokens")
        cached = cached or count(usage, "prompt_cache_hit_tokens")  # DeepSeek's
        counted = Usage(
            prompt_tokens=prompt,
            completion_tokens=count(usage, "completion_tokens"),
            cached_tokens=cached,
            reasoning_tokens=count(mapping(usage.get("completion_tokens_details")), "reasoning_tokens"),
        )
        if "cost" in usage:
            counted = _billed(counted, usage)
        told = () if request.conversation else tuple(self._told)
        answer = build_message(
            request,
            provider=who,
            model=self._model or default_model,
            spoken=self.spoken,
            calls=self._calls,
            # Gemini adds to "content_filter" what was filtered.
            reason="content_filter" if reason.startswith("content_filter") else _REASONS.get(reason, "stop"),
            usage=counted if prompt else None,
            extras=self._kept() if self._extras else None,
            wordless=any(each.keys() - {"annotations"} for each in told),
        )
        if request.top_logprobs is None and not told:
            return answer
        fields: dict[str, Any] = {name: getattr(answer, name) for name in AssistantMessage.__dataclass_fields__}
        return Scored(**fields, logprobs=cast("Json", self._logprobs or None), told=told)

    def _take(self, event: dict[str, Any], part: str) -> None:
        choice: dict[str, Any] = {}
        for each in listed(event.get("choices")):
            if each:
                choice = mapping(each)
                break
        if (not choice or "error" in event) and described_error(event) is not None:
            raise stream_failure(self._peer, event)
        if choice.get("error"):  # OpenRouter's
            raise stream_failure(self._peer, choice["error"])
        if model := event.get("model"):
            self._model = str(model)
        if usage := event.get("usage"):
            self._usage = mapping(usage)
        if not choice:
            return
        if reason := choice.get("finish_reason"):
            self._reason = str(reason)
        if scores := choice.get("logprobs"):
            for name, tokens in mapping(scores).items():
                self._logprobs.setdefault(name, []).extend(listed(tokens))
        content: object = choice.get(part)
        if not isinstance(content, str):
            delta = mapping(content)
            if not delta.keys() <= _PLAIN:
                self._take_thoughts(delta)
                self._take_calls(listed(delta.get("tool_calls")), whole=part == self._whole_part)
            content = delta.get("content") or delta.get("refusal")
        if isinstance(content, str):
            self.spoken.say(content, raw=self._raw)
        elif content:
            self._take_parts([mapping(each) for each in listed(content)])

    def _take_parts(self, parts: list[dict[str, Any]]) -> None:
        """Content in parts, as Mistral's reasoning models send it."""
        for part in parts:
            if part.get("type") == "thinking":
                thought = part.get("thinking")
                self.spoken.think(
                    thought if isinstance(thought, str) else "".join(str(mapping(each).get("text") or "") for each in listed(thought))
                )
                self._merge(THINKING_PARTS, [part])
            elif part.get("type") == "text" and isinstance(text := part.get("text"), str):
                self.spoken.say(text)

    def _take_thoughts(self, delta: dict[str, Any]) -> None:
        thoughts = [thought for name in _THOUGHTS if isinstance(thought := delta.get(name), str) and thought]
        details = listed(delta.get("reasoning_details"))
        if not thoughts:
            thoughts = ["".join(str(mapping(each).get("text") or mapping(each).get("summary") or "") for each in details)]
        if thoughts[0]:
            self.spoken.think(thoughts[0])
        if isinstance(given := delta.get(_BESIDE_CALLS), str):
            self._merge(_BESIDE_CALLS, given)
        for name in _KEPT:
            if (given := delta.get(name)) is not None:
                self._merge(name, cast("Json", given))
        if told := {name: given for name in _TOLD if (given := delta.get(name))}:
            self._told.append(told)

    def _merge(self, name: str, given: Json) -> None:
        self._extras[name] = _merged(self._extras.get(name), given)

    def _kept(self) -> dict[str, Json]:
        calls = any(call.name for call in self._calls)
        return {name: value for name, value in self._extras.items() if calls or name != _BESIDE_CALLS}

    def _take_calls(self, pieces: list[object], *, whole: bool) -> None:
        started: list[ToolCallParts] = []
        for piece in map(mapping, pieces):
            function = mapping(piece.get("function"))
            call_id, name = str(piece.get("id") or ""), str(function.get("name") or "")
            arguments: object = function.get("arguments")
            text = "" if not arguments else arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
            call = None if whole else self._continued(piece.get("index"), call_id)
            if call is None or (name and call in started) or _is_another(call, call_id, name, text):
                call = ToolCallParts(index=piece.get("index"))
                self._calls.append(call)
                if name:
                    started.append(call)
            call.id = call.id or call_id
            call.name = call.name or name
            call.arguments += [text] if text else []
            for field, value in piece.items():
                if field not in _OWN_CALL_FIELDS and value is not None:
                    call.extras[field] = _merged(call.extras.get(field), value)

    def _continued(self, index: object, call_id: str) -> ToolCallParts | None:
        """The call that a piece continues, unless it begins another: the last with its number, or its id; the last of all where it has neither."""
        if index is not None:
            return next((call for call in reversed(self._calls) if call.index == index), None)
        known = next((call for call in reversed(self._calls) if call_id and call.id == call_id), None)
        return known or (self._calls[-1] if self._calls else None)


def _billed(counted: Usage, usage: dict[str, Any]) -> Usage:
    """With what OpenRouter bills, in US dollars; where the key is the caller's own, the other provider bills besides."""
    cost: object = usage["cost"]
    upstream: object = mapping(usage.get("cost_details")).get("upstream_inference_cost") if usage.get("is_byok") is True else 0
    if not isinstance(cost, int | float) or isinstance(cost, bool) or not 0 <= cost < _MOST_DOLLARS:
        return counted
    more = upstream if isinstance(upstream, int | float) and 0 <= upstream < _MOST_DOLLARS else 0
    fields = {name: getattr(counted, name) for name in Usage.__dataclass_fields__}
    return BilledUsage(**fields, billed=round((cost + more) * NANO))


def _is_another(call: ToolCallParts, call_id: str, name: str, arguments: str) -> bool:
    """Whether a piece begins another call although it has the number of this one: some servers number all calls 0, or none, or give them no ids."""
    if call_id and call.id and call_id != call.id:
        return True
    if not name or not call.name:
        return False
    return name != call.name or (arguments.lstrip().startswith("{") and call.whole)


def _merged(known: Json, more: Json) -> Json:
    """A field that comes in pieces: texts are joined, lists by the number of their entries, objects by name."""
    if isinstance(known, str) and isinstance(more, str):
        return known + more
    if isinstance(known, dict) and isinstance(more, dict):
        return {**known, **{name: _followed(name, known.get(name), value) for name, value in more.items() if value is not None}}
    if isinstance(known, list) and isinstance(more, list):
        joined = list(known)
        for entry in more:
            last = joined[-1] if joined else None
            if isinstance(entry, dict) and isinstance(last, dict) and _goes_on(last, entry):
                joined[-1] = _merged(last, entry)
            else:
                joined.append(entry)
        return joined
    return more if known is None or more is not None else known


_RUNNING: Final = frozenset({"text", "summary", "thinking", "data", "signature"})
"""Fields whose pieces are joined; of all others the last one counts."""


def _goes_on(last: dict[str, Json], entry: dict[str, Json]) -> bool:
    """Whether an entry is more of the one before: of its kind, with its number, and not whole already."""
    same = all(last.get(name) == entry.get(name) for name in ("type", "index")) and entry.get("id") in (None, last.get("id"))
    return same and entry.get("type") != "reasoning.encrypted" and last.get("signature") is None


def _followed(name: str, known: Json, value: Json) -> Json:
    """A field of an object, and what came of it later."""
    return value if isinstance(value, str) and name not in _RUNNING else _merged(known, value)


class OpenAITextAnswer(OpenAIAnswer):
    """An answer of /completions: what follows a text, tags and all."""

    _stream_part = "text"
    _whole_part = "text"
    _raw = True

"""A provider's refusals as our errors: by status, headers and body, or by an error in a stream; with keys removed from what it said."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import orjson

from assistant.contracts.errors import (
    ContextLengthExceeded,
    NanobotError,
    ProviderFailed,
    ProviderOverloaded,
    ProviderTimeout,
    RequestRefused,
)
from assistant.contracts.records import record
from assistant.contracts.redaction import Redactor
from assistant.contracts.util import lazy_pattern
from assistant.providers.context_words import is_about_context, told_context

_NO_CREDIT = lazy_pattern(
    r"insufficient_quota|insufficient.?(?:balance|credit)|billing|exceeded your current quota|credit balance", re.IGNORECASE
)
_NOT_THE_PROMPT = lazy_pattern(
    r"(?:api|access).?(?:key|token)|unauthori[sz]ed|authenticat|permission|no such model|model.{0,60}(?:not (?:found|exist|available)|does not exist)"
    r"|invalid.?model|unknown.?model|deactivated|not (?:have|enabled) access|billing|credit",
    re.IGNORECASE,
)
"""A 400 about the key or the name of the model: no other form of the prompt helps."""
_BROKEN_ON_THE_PROMPT = lazy_pattern(
    r"tool.?call|tool_use|function.?call|arguments as JSON|jinja|chat.?template|template error|roles? must alternate|after (?:the )?optional system"
    r"|failed to (?:parse|process) (?:the )?(?:image|input|message|prompt|tool)|unsupported content|image (?:input|data)|invalid (?:message|role)"
    r"|(?:not|n't|cannot|no) (?:support|accept|take|process|handle)\w*.{0,30}(?:image|vision|picture|multi.?modal)"
    r"|(?:image|vision|picture|multi.?modal)\w*.{0,40}(?:not|n't|un) ?(?:supported|accepted|allowed|implemented)"
    r"|template: ?:|(?:this|the) template|not callable: null|assistant messages at the end",
    re.IGNORECASE,
)
"""A 500 about what was sent: llama.cpp, Ollama and vLLM fail this way on what they can't parse ("Failed to parse tool call arguments as JSON")."""
_UNSEEING = lazy_pattern(r"(?:image|vision|multimodal)", re.IGNORECASE)
"""OpenRouter's 404: "No endpoints found that support image input"."""
_MARKUP = lazy_pattern(r"</|<[!?a-z]", re.IGNORECASE)
"""A page and no message, which may hold a "<=" or a "<|"."""


@record
class Peer:
    """A provider, as error texts name it."""

    provider: str
    model: str
    origin: str
    """Scheme, host and port: "http://127.0.0.1:11434"."""
    key_source: str
    """Where its key is set: "OPENAI_API_KEY or providers.openai.apiKey"."""
    redact: Redactor


def refusal(peer: Peer, status: int, headers: Mapping[str, str], body: bytes) -> NanobotError:
    """The error for a response that is not 200."""
    said, kinds = _message(body)
    return _classified(peer, status, said, kinds, wait=retry_after(headers), body=body[:4096].decode(errors="replace"))


def stream_failure(peer: Peer, error: object) -> NanobotError:
    """The error for an error inside a stream or inside a 200: an object that holds one in any shape, or what its `error` is."""
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    said, kinds = described_error(fields) or _described(cast("object", error))
    code = re.search(r"\b(4\d\d|5\d\d)\b", kinds)
    if re.search(r"overloaded|rate_limit|too_many_requests", kinds, re.IGNORECASE):
        return _classified(peer, 529, said, kinds)
    if code is None and re.search(r"invalid_request|bad_?request|invalid_parameter", kinds, re.IGNORECASE):
        return _classified(peer, 400, said, kinds)
    if code is None or code[1] == "404":
        return _classified(peer, 500, said, kinds, midway=True)
    return _classified(peer, int(code[1]), said, kinds, midway=True)


def _classified(
    peer: Peer, status: int, said: str, kinds: str, *, wait: float | None = None, body: str = "", midway: bool = False
) -> NanobotError:
    quoted = f": {peer.redact(said)}" if said else "."
    who, everything = peer.provider, f"{kinds} {said}"
    if status in {402, 429} | ({500} if midway else set()) and _NO_CREDIT.search(everything):
        return ProviderOverloaded(f"{who} refused: the account's quota or credit is used up{quoted}", retryable=False)
    if (status in {400, 413, 422} or status >= 500) and is_about_context(everything):
        error = ContextLengthExceeded(f"The conversation is longer than {peer.model} takes{quoted}")
        error.limit, error.counted = told_context(said, body)
        return error
    if status in {429, 503, 529}:
        words = "limits the rate of requests" if status == 429 else "has no capacity now"
        return ProviderOverloaded(f"{who} {words}{quoted}", retry_after=wait)
    if status in {408, 504, 524}:
        return ProviderTimeout(f"{who} ran out of time ({status}){quoted}")
    if status >= 500 and _BROKEN_ON_THE_PROMPT.search(said):
        return RequestRefused(f"{who} failed on the request ({status}){quoted}", retryable=False)
    if status >= 500:
        failed = "failed in the middle of its answer" if midway else f"failed ({status})"
        return ProviderFailed(f"{who} {failed}{quoted}", retry_after=wait)
    if status in {401, 403}:
        words = "refused the key" if status == 401 else "does not allow this"
        return ProviderFailed(f"{who} {words}{quoted} Check {peer.key_source}.", retryable=False)
    if status == 404 and not _UNSEEING.search(said):
        return ProviderFailed(f"{who} does not know the model {peer.model!r} at {peer.origin}{quoted}", retryable=False)
    if 300 <= status < 400:
        return ProviderFailed(f"{who} answered with a redirect ({status}): check providers.{who}.apiBase.", retryable=False)
    about_prompt = status in {400, 404, 413, 415, 422} and not _NOT_THE_PROMPT.search(said)
    return (RequestRefused if about_prompt else ProviderFailed)(f"{who} refused the request ({status}){quoted}", retryable=False)


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds to wait: `retry-after-ms`, or `Retry-After` as seconds or as a date (RFC 9110, 10.2.3). None: absent or unreadable."""
    for name, unit in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
            return float(value) * unit
    try:
        due = parsedate_to_datetime(headers.get("Retry-After", ""))
    except ValueError:
        return None
    if due.tzinfo is None:
        due = due.replace(tzinfo=UTC)
    return max(0.0, (due - (now or datetime.now(UTC))).total_seconds())


def _message(body: bytes) -> tuple[str, str]:
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body[:2_000].decode("utf-8", "replace").strip()
        return ("" if _MARKUP.search(text) or "\ufffd" in text else text), ""
    if isinstance(value, list) and value:  # Gemini wraps its error in a list
        value = cast(list[object], value)[0]
    if not isinstance(value, dict):
        return (value, "") if isinstance(value, str) else ("", "")
    fields = cast(dict[str, Any], value)
    return described_error(fields) or _described(fields)


_WELL: Final = frozenset({None, False, 200, "", "0", "200", "ok", "OK", "success", "Success"})


def described_error(value: Mapping[str, Any]) -> tuple[str, str] | None:
    """(Words, kinds) of the error that an object is or holds; None: it is none. The shapes that servers use: `error` (an object, a text, or a flag),
    `object: "error"` (vLLM), `type: "error"` (Anthropic), `detail` (FastAPI), `error_code` and `text` (FastChat), `code` and `message` (DashScope),
    `base_resp` (MiniMax), `errors`, `success: false`, a `message` or `msg` alone."""
    if error := value.get("error"):
        said, kinds = _described(error)
        beside = ("", "") if said else _described({**value, "error": None})
        return said or beside[0], f"{kinds} {beside[1]}".strip()
    if "error" in (value.get("object"), value.get("type")):
        return _described(value)
    base: object = value.get("base_resp")
    if isinstance(base, dict) and _hashable(cast("dict[str, Any]", base).get("status_code")) not in _WELL:
        return _described(cast("object", base))
    if value.get("choices") or value.get("data") or isinstance(value.get("content"), list):
        return None
    for name in ("error_code", "errorCode", "errors", "detail", "errorMessage", "error_msg"):
        if _hashable(value.get(name)) not in _WELL:
            return _described(value)
    if value.get("success") is False or value.get("status") == "error":
        return _described(value)
    said = value.get("message") or value.get("msg")
    if not isinstance(said, str) or not said:
        return None
    alone = not any(name in value for name in ("choices", "usage", "model", "delta", "id"))
    return _described(value) if alone or _hashable(value.get("code")) not in _WELL else None


def _hashable(value: object) -> object:
    return repr(cast("object", value)) if isinstance(value, list | dict) else value


def _described(error: object) -> tuple[str, str]:
    """The message of an error object, and its kinds (type, code, status) joined."""
    if isinstance(error, str):
        return error, ""
    if isinstance(error, list):
        texts = [_described(each)[0] for each in cast("list[object]", error)[:5]]
        return "; ".join(filter(None, texts)), ""
    if not isinstance(error, dict):
        return "", ""
    fields = cast(dict[str, Any], error)
    names = ("type", "code", "status", "error_code", "errorCode", "status_code", "__type")
    kinds = " ".join(str(fields[name]) for name in names if isinstance(fields.get(name), str | int) and fields[name])
    said = ""
    for name in (
        "message",
        "detail",
        "error",
        "msg",
        "errorMessage",
        "error_message",
        "Message",
        "error_msg",
        "status_msg",
        "text",
        "errors",
        "reason",
    ):
        if fields.get(name):
            said, inner = _described(fields[name])
            kinds = f"{kinds} {inner}".strip()
            if said:
                break
    if said and (place := fields.get("loc") or fields.get("param")):
        said = f"{said} ({'.'.join(map(str, cast('list[object]', place))) if isinstance(place, list) else place})"
    raw: object = cast("dict[str, Any]", fields["metadata"]).get("raw") if isinstance(fields.get("metadata"), dict) else None
    return (f"{said}: {raw}" if isinstance(raw, str) and raw else said), kinds  # OpenRouter's: what the provider behind it said

"""A provider's refusals as our errors: by status, headers and body, or by an error in a stream; with keys removed from what it said."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast
from urllib.parse import quote

import orjson

from assistant.contracts.errors import (
    ContextLengthExceeded,
    NanobotError,
    ProviderFailed,
    ProviderOverloaded,
    ProviderTimeout,
    RequestRefused,
)

_CONTEXT = re.compile(
    r"context.?length.?exceeded|maximum context length|context (?:window|size|length)|exceed_context_size|prompt is too long"
    r"|input (?:length|is too long)|too many (?:input )?tokens|exceeds? the (?:model'?s )?(?:maximum|limit).{0,40}tokens|longer than the model",
    re.IGNORECASE,
)
"""OpenAI, vLLM ("maximum context length"), Anthropic ("prompt is too long"), llama.cpp ("exceed_context_size_error"), Ollama and LM Studio."""
_NO_CREDIT = re.compile(
    r"insufficient_quota|insufficient.?(?:balance|credit)|billing|exceeded your current quota|credit balance", re.IGNORECASE
)
_LOOKS_SECRET = re.compile(
    r"""
    \b(?:sk|pk|rk|gsk|xai|hf|nvapi|ghp|gho|glpat|r8|pplx|tgp)[-_][A-Za-z0-9_\-*.]{4,}   # the usual prefixes of keys, masked or not
    | \bAIza[A-Za-z0-9_\-]{10,}                                                         # Google
    | \b(?:bearer|basic)\s+[A-Za-z0-9._~+/=\-]{4,}
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-.]{8,}                                      # a JSON web token
    | (?<=://)[^/\s@:]+:[^/\s@]+(?=@)                                                   # user:password in a URL
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MARK: Final = "[redacted]"
_SHORTEST: Final = 6
"""A configured "key" shorter than this ("none", "x") is a placeholder; removing it would only garble the text."""


class Redactor:
    """Removes the given secrets, in every form in which they travel, and anything else that looks like a key."""

    __slots__ = ("_known",)

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if forms else None

    def __call__(self, text: str, *, limit: int = 300) -> str:
        """`text` on one line without secrets, at most `limit` characters. Redaction comes first, so that no cut leaves half a key."""
        if self._known is not None:
            text = self._known.sub(_MARK, text)
        text = " ".join(_LOOKS_SECRET.sub(_MARK, text).split())
        return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
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
    quoted = f": {peer.redact(said)}" if said else "."
    who = peer.provider
    if status == 429 and _NO_CREDIT.search(f"{kinds} {said}"):
        return ProviderOverloaded(f"{who} refused: the account's quota or credit is used up{quoted}", retryable=False)
    if status in {429, 503, 529}:
        words = "limits the rate of requests" if status == 429 else "has no capacity now"
        return ProviderOverloaded(f"{who} {words}{quoted}", retry_after=retry_after(headers))
    if status in {408, 504, 524}:
        return ProviderTimeout(f"{who} ran out of time ({status}){quoted}")
    if status >= 500:
        return ProviderFailed(f"{who} failed ({status}){quoted}", retry_after=retry_after(headers))
    if status in {400, 413, 422} and _CONTEXT.search(f"{kinds} {said}"):
        return ContextLengthExceeded(f"The conversation is longer than {peer.model} takes{quoted}")
    if status in {401, 403}:
        words = "refused the key" if status == 401 else "does not allow this"
        return ProviderFailed(f"{who} {words}{quoted} Check {peer.key_source}.", retryable=False)
    if status == 404:
        return ProviderFailed(f"{who} does not know the model {peer.model!r} at {peer.origin}{quoted}", retryable=False)
    if 300 <= status < 400:
        return ProviderFailed(f"{who} answered with a redirect ({status}): check providers.{who}.apiBase.", retryable=False)
    kind = RequestRefused if status in {400, 413, 422} else ProviderFailed
    return kind(f"{who} refused the request ({status}){quoted}", retryable=False)


def stream_failure(peer: Peer, error: object) -> NanobotError:
    """The error for an `error` object inside a stream or inside a 200."""
    said, kinds = _described(error)
    quoted = f": {peer.redact(said)}" if said else "."
    if _NO_CREDIT.search(f"{kinds} {said}"):
        return ProviderOverloaded(f"{peer.provider} refused: the account's quota or credit is used up{quoted}", retryable=False)
    if re.search(r"overloaded|rate_limit|\b429\b|\b503\b|\b529\b", kinds):
        return ProviderOverloaded(f"{peer.provider} has no capacity now{quoted}")
    if _CONTEXT.search(f"{kinds} {said}"):
        return ContextLengthExceeded(f"The conversation is longer than {peer.model} takes{quoted}")
    if re.search(r"invalid_request|bad_?request|\b4(?:00|22)\b", kinds, re.IGNORECASE):
        return RequestRefused(f"{peer.provider} refused the request{quoted}", retryable=False)
    return ProviderFailed(f"{peer.provider} failed in the middle of its answer{quoted}")


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
        return "", ""
    if isinstance(value, list) and value:  # Gemini wraps its error in a list
        value = cast(list[object], value)[0]
    if not isinstance(value, dict):
        return "", ""
    fields = cast(dict[str, object], value)
    return _described(fields.get("error") or fields)


def _described(error: object) -> tuple[str, str]:
    """The message of an error object, and its kinds (type, code, status) joined."""
    if isinstance(error, str):
        return error, ""
    if not isinstance(error, dict):
        return "", ""
    fields = cast(dict[str, Any], error)
    kinds = " ".join(str(fields[name]) for name in ("type", "code", "status") if fields.get(name))
    return str(fields.get("message") or fields.get("detail") or ""), kinds


def _forms(secret: str) -> Iterable[str]:
    yield secret
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    # What "invalid key: …wxyz" quotes of a key is not enough to use it, but the first half is.
    if len(secret) >= 16:
        yield secret[: len(secret) // 2]

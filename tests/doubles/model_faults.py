"""The ways in which the stand-in model's server fails, and what steers it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.doubles import model_script as script

_MODES = frozenset({"ok", "hang", "empty", "drop", "precut", "midcut", "nodone", "stream_error", "garbage_sse"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """How the server behaves; every field can be set by /ctl."""

    mode: str = "ok"
    """ok, a key of `FAULTS`, or: hang, empty, drop (close without an answer), precut (close after the head), midcut (close after two pieces),
    nodone (a stream that ends early and cleanly), stream_error, garbage_sse."""
    latency_ms: float = 0.0
    chunk_delay_ms: float = 0.0
    chunks: int = 20
    text: str = ""
    keep: int = 10
    """How many request bodies are remembered."""
    retry_after: str = ""
    """The Retry-After header of the faults that have one."""
    fail_first: int = 0
    """With a fault in `mode`: only so many requests meet it, those after them are answered. 0: all meet it."""

    def __post_init__(self) -> None:
        if self.mode not in FAULTS and self.mode not in _MODES:
            raise ValueError(f"there is no mode {self.mode!r}")

    @staticmethod
    def parse(name: str, value: str) -> str | float:
        """A value of /ctl as the field's own type."""
        default: str | float = getattr(Control(), name)
        if isinstance(default, str):
            return value
        return int(float(value)) if isinstance(default, int) else float(value)


@dataclass(slots=True)
class Stats:
    requests: int = 0
    stream: int = 0
    inflight: int = 0
    max_inflight: int = 0
    bytes_in: int = 0
    last_bytes: int = 0
    connections: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


def error_body(message: str, kind: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "code": code}}).encode()


FAULTS: dict[str, tuple[str, str, bytes]] = {
    "400": ("400 Bad Request", "application/json", error_body("bad request upstream", "invalid_request_error")),
    "context": (
        "400 Bad Request",
        "application/json",
        error_body("This model's maximum context length is 8192 tokens.", "invalid_request_error", "context_length_exceeded"),
    ),
    "401": ("401 Unauthorized", "application/json", error_body("bad key sk-SECRET123", "auth")),
    "403": ("403 Forbidden", "application/json", error_body("this key may not use that", "permission_error")),
    "404": ("404 Not Found", "application/json", error_body("The model does not exist", "invalid_request_error", "model_not_found")),
    "429": ("429 Too Many Requests", "application/json", error_body("rate limited", "rate_limit")),
    "quota": (
        "429 Too Many Requests",
        "application/json",
        error_body("You exceeded your quota", "insufficient_quota", "insufficient_quota"),
    ),
    "500": ("500 Internal Server Error", "application/json", error_body("fake upstream exploded", "server_error")),
    "503": ("503 Service Unavailable", "application/json", error_body("loading", "unavailable")),
    "529": ("529 Overloaded", "application/json", error_body("overloaded", "overloaded_error")),
    "garbage": ("200 OK", "application/json", b"<html>this is not json</html>"),
    "html": ("200 OK", "text/html; charset=utf-8", b"<html><title>Sign in</title></html>"),
    "redirect": ("302 Found", "text/plain", b""),
}


def broken(mode: str, said: Sequence[bytes]) -> bytes:
    """A stream that breaks off after `said` in the way of `mode`; the writer of "drop", "precut" and "midcut" closes the connection."""
    words = b"".join(said)
    failure = script.chunked(b'data: {"type":"error","error":{"type":"overloaded_error","message":"fake overload sk-SECRET123"}}\n\n')
    return {
        "drop": b"",
        "precut": script.SSE_HEAD,
        "midcut": script.SSE_HEAD + words,
        "nodone": script.SSE_HEAD + words + script.LAST_CHUNK,
        "stream_error": script.SSE_HEAD + words + failure + script.LAST_CHUNK,
        "garbage_sse": script.SSE_HEAD + script.chunked(b"data: {not json\n\n") + script.LAST_CHUNK,
    }[mode]

"""What FastAPI can't know of an operation, added to its description: who may ask, and which headers come with each answer."""

from typing import Any, Final

_REF: Final = "#/components/headers/"
_TEXT: Final[dict[str, Any]] = {"type": "string"}
_WHOLE: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}

_MEASURES: Final = {
    "limit": ("How many there may be in a minute.", _WHOLE),
    "remaining": ("How many are left.", _WHOLE),
    "reset": ('Until all of it is there again: "120ms", "8.64s", "1m0s".', _TEXT),
}
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "x-request-id": {"description": "The server's own name of the request, as in its log.", "required": True, "schema": _TEXT},
    "openai-processing-ms": {"description": "Milliseconds from the request to the answer's head.", "required": True, "schema": _WHOLE},
    "retry-after": {"description": "Seconds.", "schema": _WHOLE},
    "retry-after-ms": {"description": "Milliseconds.", "schema": _WHOLE},
    "www-authenticate": {"description": "How to say who asks.", "required": True, "schema": {"const": "Bearer"}},
    "x-should-retry": {"description": "The request is not to be repeated as it is.", "schema": {"const": "false"}},
    "idempotency-replayed": {"description": "This is the answer to an earlier request under the same key.", "schema": {"const": "true"}},
    **{
        f"x-ratelimit-{measure}-{of}": {"description": f"Of {of}, for those with limits. {what}", "schema": schema}
        for of in ("requests", "tokens")
        for measure, (what, schema) in _MEASURES.items()
    },
}
_ALWAYS: Final[tuple[str, ...]] = ("x-request-id", "openai-processing-ms")
_LIMITS: Final[tuple[str, ...]] = tuple([name for name in HEADERS if name.startswith("x-ratelimit-")])

SECURITY_SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of nanobot keys, or api.apiKey. `x-scope` says what it must open.",
    },
    "hook": {"type": "http", "scheme": "bearer", "description": "The hook's own bearer secret."},
    "hookSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Nanobot-Signature",
        "description": "`sha256=` and the HMAC-SHA256 in hex of `<X-Nanobot-Timestamp>.<raw body>` with the hook's secret.",
    },
}
_BY_KEY: Final[list[dict[str, list[str]]]] = [{"key": []}, {}]
BY_HOOK: Final[list[dict[str, list[str]]]] = [{"hook": []}, {"hookSignature": []}]
"""For the `openapi_extra` of a route of hooks."""


def needs_key(operation: dict[str, Any]) -> bool:
    """Whether the Door asks for a key there. A route with a secret of its own says its security itself."""
    return "401" in operation["responses"] and operation.get("security", _BY_KEY) == _BY_KEY


def describe_security(operation: dict[str, Any]) -> None:
    """Who may ask: without a key only where the configuration asks nobody for one, or where nobody is asked."""
    operation.setdefault("security", _BY_KEY if needs_key(operation) else [])


def describe_headers(method: str, operation: dict[str, Any]) -> None:
    """Which headers of ours come with each answer."""
    keyed = needs_key(operation)
    for status, answer in operation["responses"].items():
        names: list[str] = [*_ALWAYS]
        if status == "401":
            names.append("www-authenticate")
        if status in ("429", "503"):
            names += ["retry-after", "retry-after-ms"]
        if status[0] in "45":
            names.append("x-should-retry")
        if keyed and (
            status[0] == "2" or status == "429"
        ):  # they come with every answer; said everywhere, they would be half of the document
            names += _LIMITS
        if keyed and method == "post":
            names.append("idempotency-replayed")
        answer.setdefault("headers", {}).update({name: {"$ref": _REF + name} for name in names})

"""What a registered model gets as the client sent it: fields that the server has no use for, of the request, its messages and their parts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from assistant.contracts.messages import AssistantMessage, Json, Verbatim
from assistant.contracts.turns import Earlier

_NEVER: Final = frozenset({
    "model", "models", "fallbacks", "route", "messages", "prompt", "input", "stream", "stream_options", "session_id", "n",
    "api_base", "base_url", "api_key", "api_version", "custom_llm_provider", "extra_headers", "extra_query", "extra_body", "headers",
})  # fmt: skip
"""Fields that are the server's, or that could choose another model, server or key than the configuration names."""
_STEP: Final = frozenset(
    {"role", "content", "tool_calls", "tool_call_id", "function_call", "annotations", "id", "type", "function", "index"}
)
"""Fields of a message or a call that are read here, or that only answers have."""
_RETURNED: Final = frozenset({"reasoning_content", "reasoning", "reasoning_details", "extra_content"})
"""What an agent's model wants back with a step; a registered model gets all."""


def extra_fields(body: Mapping[str, Json], *, known: Collection[str]) -> dict[str, Json]:
    """The fields of a request besides the `known` ones, as they are; null ones say nothing."""
    return {name: value for name, value in body.items() if value is not None and name not in known and name not in _NEVER}


def message_extras(sent: Mapping[str, Json], *, every: bool) -> dict[str, Json]:
    """The further fields of a message or a call that the client sent; without empty ones, which answers carry and some servers refuse. `every`: not
    only what models want back."""
    return {
        name: value
        for name, value in sent.items()
        if (name not in _STEP if every else name in _RETURNED) and value not in (None, "", [], {})
    }


def thoughts_of(extras: Mapping[str, Json]) -> str:
    """The thoughts of an assistant's message, in words."""
    return next((value for name in ("reasoning_content", "reasoning") if isinstance(value := extras.get(name), str)), "")


def is_web_address(url: str) -> bool:
    return url[:8].lower().startswith(("http://", "https://"))


def web_image(url: str, detail: str | None) -> Verbatim:
    """A picture by its web address, which the model's provider fetches."""
    return Verbatim(text="", value={"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}})


def owned_by(provider: str, said: Sequence[Earlier]) -> tuple[Earlier, ...]:
    """The conversation; what the client sent beside its steps without naming a provider is this one's, which is asked to go on."""
    return tuple([_owned(each, provider) if isinstance(each, AssistantMessage) else each for each in said])


def _owned(step: AssistantMessage, provider: str) -> AssistantMessage:
    if step.provider or not (step.extras or any(call.extras for call in step.tool_calls)):
        return step
    return replace(step, provider=provider)

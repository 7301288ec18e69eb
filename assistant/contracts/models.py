"""The port to a model: one request, one answer, its words passed on as they come."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from assistant.contracts.messages import AssistantMessage, Images, Json, Message

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the answer is drawn. None: left to the provider. Ranges are OpenAI's (checked at the API's door)."""

    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: ReasoningEffort | None = None
    response_format: Mapping[str, Json] | None = None
    """OpenAI's object: {"type": "text" | "json_object"} or {"type": "json_schema", "json_schema": {…}}."""

    def over(self, defaults: "Sampling") -> "Sampling":
        """This, with what it leaves open taken from `defaults`."""
        given = {name: value for name in self.__slots__ if (value := getattr(self, name)) not in (None, ())}
        return replace(defaults, **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model is told of it; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is known of a model."""

    id: str
    """Its name, as shown by /v1/models and sent to the provider: "gpt-5-mini", "offline"."""
    provider: str
    """The provider's name in the configuration: "openai", "anthropic", "ollama", "offline"."""
    context_tokens: int
    """Prompt and answer together."""
    vision: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One call. `instructions` come first, the part that stays byte-identical from turn to turn before the part that does not."""

    instructions: tuple[str, ...]
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    may_call: bool = True
    """False: the model must answer in words now. The tools stay listed: the transcript may hold calls of them, and the prefix stays the same."""
    sampling: Sampling = field(default_factory=Sampling)
    images: Images = field(default_factory=dict[str, bytes])
    """The bytes of every Image part in `messages`; one that is not here was removed since: the model is told so."""
    stream: bool = False
    """Whether somebody reads the words as they come; if not, a provider may ask for the answer in one piece."""


class ModelProvider(Protocol):
    """A model within reach.

    Promises: `complete` returns the whole answer, having passed each piece of its text to `emit` in order (all of it in one piece, or not at all,
    where `request.stream` is false). `usage` is that of this call. An empty answer (no text, no tool calls, finish_reason "stop") is a failure.
    Tool call ids are unique within the answer; a provider that gives none gets one made. Cancelling the call closes the connection.
    Raises: ProviderFailed, ProviderOverloaded (429, 503, 529; with `retry_after` where the provider says), ProviderTimeout,
    ContextLengthExceeded. No error text holds a key: what a provider says is passed through a redactor first.
    """

    @property
    def info(self) -> ModelInfo: ...

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage: ...

    async def probe(self) -> None:
        """Ask the provider something that costs nothing (its list of models). Returns when it answered and took the key; raises ProviderFailed."""
        ...

    async def close(self) -> None:
        """Close connections. Safe to call twice."""
        ...

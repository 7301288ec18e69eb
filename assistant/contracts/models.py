"""The port to a model: one request, one answer, its words passed on as they come."""

from collections.abc import Callable, Mapping, Sequence
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
    strict: bool | None = None
    """Whether the arguments must follow the schema exactly; None: left to the provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTool:
    """The one tool that the model must call."""

    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool


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
    logprobs: bool = False
    """Whether it can say how likely its tokens were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(AssistantMessage):
    """An answer with the likelihoods that were asked for."""

    logprobs: Json = None
    """OpenAI's object for a choice, as the provider gave it: {"content": [{"token", "logprob", "bytes", "top_logprobs"}, …]}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One call. `instructions` come first, the part that stays byte-identical from turn to turn before the part that does not."""

    instructions: tuple[str, ...]
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    may_call: bool = True
    """False: the model must answer in words now. The tools stay listed: the transcript may hold calls of them, and the prefix stays the same."""
    tool_choice: ToolChoice | None = None
    """Whether and which tool is called, where `may_call`. None: as the model likes."""
    parallel_calls: bool | None = None
    """Whether several tools may be called at once. None: as the model likes."""
    top_logprobs: int | None = None
    """How many likely alternatives to tell for each token (0: the likelihoods of the answer's own tokens alone). None: no likelihoods.
    Only where `ModelInfo.logprobs`; the answer is `Scored` then."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Vectors, in the order of the texts that were given."""

    vectors: tuple[Sequence[float], ...]
    prompt_tokens: int
    model: str
    """The model that made them, as its provider calls it."""


class EmbeddingProvider(Protocol):
    """A model that makes vectors of texts.

    `embed` gives one vector for each text, in order, however many there are (it asks its provider in batches). `dimensions`: how long they are
    to be; None: as the model has them. Raises InvalidRequest (a length that the model has not, an empty text), and what ModelProvider raises.
    """

    @property
    def info(self) -> ModelInfo: ...

    async def embed(self, texts: Sequence[str], dimensions: int | None) -> Embeddings: ...

    async def close(self) -> None:
        """Close connections. Safe to call twice."""
        ...


ModelType = Literal["chat", "completion", "embedding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in US dollars a million tokens."""

    prompt: float
    completion: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A model that clients may name, as listed."""

    id: str
    type: ModelType
    provider: str
    """Who serves it; "local" for a file."""
    context_tokens: int | None = None
    dimensions: int | None = None
    vision: bool | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModel:
    """A model that can be asked."""

    listed: ListedModel
    writes: ModelProvider | None = None
    """What answers: of the type "chat", and of the type "completion", which goes on with the text of the only user message."""
    embeds: EmbeddingProvider | None = None
    """What makes vectors: of the type "embedding"."""
    sampling: Sampling = field(default_factory=Sampling)
    """How answers are drawn where a request leaves it open."""


class ModelRegistry(Protocol):
    """The models that clients may name besides the agents."""

    async def list(self) -> Sequence[ListedModel]:
        """Those of the configuration, then those that providers list (as of some minutes ago; a provider that fails is left out)."""
        ...

    async def open(self, model_id: str) -> OpenedModel:
        """Raises ModelNotFound, or ProviderFailed where it is known and can't be had, with the reason."""
        ...

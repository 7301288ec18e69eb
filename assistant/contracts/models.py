"""The ports to models: one request, one answer, streamed where the caller reads along; and embeddings."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field, replace
from operator import attrgetter
from typing import Literal, Protocol

from assistant.contracts.causes import Payer
from assistant.contracts.messages import AssistantMessage, Images, Json, Message
from assistant.contracts.records import record

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@record
class Sampling:
    """Sampling parameters. None: left to the provider. Ranges are OpenAI's; the API checks them."""

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
        """The same with its open fields taken from `defaults`."""
        values = _VALUES(self)
        if values == _OPEN:
            return defaults
        given = {name: value for name, value in zip(Sampling.__dataclass_fields__, values, strict=True) if value not in (None, ())}
        return replace(defaults, **given)


_VALUES = attrgetter(*Sampling.__dataclass_fields__)
_OPEN = _VALUES(Sampling())


@record
class ToolSpec:
    """A tool as described to the model; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, Json]
    strict: bool | None = None
    """Whether the arguments must follow the schema exactly; None: left to the provider."""


@record
class NamedTool:
    """The one tool that the model must call."""

    name: str


LeftOut = Literal["pictures", "extras", "foreign calls", "calls"]
"""What a prompt is sent without once its provider refused it: the pictures; what the provider wanted back; the calls of tools that other providers'
models made, or all calls, which become words."""
ToolChoice = Literal["auto", "none", "required"] | NamedTool


@record
class ModelInfo:
    """The facts about a model."""

    id: str
    """Its name, as shown by /v1/models and sent to the provider: "gpt-5-mini", "offline"."""
    provider: str
    """Its name in the configuration: "openai", "anthropic", "ollama", "offline"."""
    context_tokens: int
    """Prompt and answer together."""
    vision: bool = True
    logprobs: bool = False
    learned_context: int | None = None
    """The context as a refusal of its provider told it, at most `context_tokens`; None: none told it."""


@record
class Scored(AssistantMessage):
    """An answer with what goes to the client alone: the requested log probabilities, and what its provider told besides words."""

    logprobs: Json = None
    """OpenAI's object for a choice, as the provider gave it: {"content": [{"token", "logprob", "bytes", "top_logprobs"}, …]}."""
    told: tuple[Mapping[str, Json], ...] = ()
    """Further fields of the message, by the wire's names: `annotations`, `audio` …; of a stream piece by piece, as they came."""


@record
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
    """How many alternatives to return for each token, with log probabilities (0: those of the answer's own tokens alone). None: none.
    Only where `ModelInfo.logprobs`; the answer is then a `Scored`."""
    sampling: Sampling = field(default_factory=Sampling)
    images: Images = field(default_factory=dict[str, bytes])
    """The bytes of the Image parts in `messages`; one that is missing was removed since, and the model reads that."""
    stream: bool = False
    """Whether the text is read as it comes; if not, a provider may request the answer in one piece."""
    extra_fields: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Fields of a client's request that go to a registered model unchanged, by the wire's names. Where the fields above set one as well, they win."""

    conversation: str = ""
    """Whose prompt it is: one that is refused is sent again in another form, which is remembered under this name. Empty: a client's own request,
    which is sent as it is, once."""
    payer: Payer | None = None
    """To whom the call is charged. None: to the person who runs the server."""
    without: frozenset[LeftOut] = frozenset()
    """What this form of the prompt leaves out."""
    compact: Callable[[int], Awaitable[tuple[Message, ...]]] | None = None
    """Sums up the older part of the conversation: the messages in at most so many estimated tokens, where that can be done. Asked once, when the
    model's context turns out too small."""


class EmitText(Protocol):
    """Takes each piece of an answer as it comes: of what is said, or of the thoughts before it."""

    def __call__(self, text: str, /, *, reasoning: bool = False) -> None: ...


class ModelProvider(Protocol):
    """A reachable model.

    Promises: `complete` returns the whole answer, having passed each piece of its text to `emit` in order (all of it in one piece, or not at all,
    where `request.stream` is false), and each piece of its thoughts with `reasoning`. `usage` is that of this call. An empty answer (no text, no
    tool calls, no sound or picture for a client, finish_reason "stop") is a failure.
    Tool call ids are unique within the answer; missing ones are made. Cancelling the call closes the connection.
    Raises: ProviderFailed, ProviderOverloaded (429, 503, 529; with `retry_after` where the provider says), ProviderTimeout,
    ContextLengthExceeded. No error text holds a key: a provider's words are redacted first.
    """

    @property
    def info(self) -> ModelInfo: ...

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage: ...

    async def probe(self) -> None:
        """Make a request that costs nothing (the list of models). Returns once the provider accepted the key; raises ProviderFailed."""
        ...

    async def close(self) -> None:
        """Close connections. Safe to call twice."""
        ...


@record
class Embeddings:
    """Vectors, in the order of the texts."""

    vectors: tuple[Sequence[float], ...]
    prompt_tokens: int
    model: str
    """The model that made them, by its provider's name for it."""


TokenizedText = tuple[int, ...]
"""A text as the model's own tokens."""
EmbeddingInput = str | TokenizedText


class EmbeddingProvider(Protocol):
    """A model that makes vectors of texts.

    `embed` returns one vector for each input, in order, in as many batches as it takes. `dimensions`: their length; None: the model's default.
    `extra_fields`, `payer`: as in ModelRequest.
    Raises InvalidRequest (a length that the model does not support, an empty text, tokens where it takes none), and what ModelProvider raises.
    """

    @property
    def info(self) -> ModelInfo: ...

    async def embed(
        self,
        inputs: Sequence[EmbeddingInput],
        dimensions: int | None,
        extra_fields: Mapping[str, Json] | None = None,
        payer: Payer | None = None,
    ) -> Embeddings: ...

    async def close(self) -> None: ...


ModelType = Literal["chat", "completion", "embedding"]


@record
class Price:
    """The price of a model, in US dollars a million tokens."""

    prompt: float
    completion: float = 0.0


@record
class ListedModel:
    """A model that clients may name, as listed."""

    id: str
    type: ModelType
    provider: str
    """The provider that serves it; "local" for a file."""
    context_tokens: int | None = None
    dimensions: int | None = None
    vision: bool | None = None
    price: Price | None = None


@record
class OpenedModel:
    """A model that is ready for requests."""

    listed: ListedModel
    writes: ModelProvider | None = None
    """For the type "chat", and the type "completion", which continues the text of the only user message."""
    completes: bool = False
    """Whether `writes` is its provider's own completions, which take tokens and further fields."""
    embeds: EmbeddingProvider | None = None
    sampling: Sampling = field(default_factory=Sampling)
    """Defaults for requests that leave sampling open."""

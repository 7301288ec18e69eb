"""Configuration of providers (the `providers` section, with nanobot's own keys and names) and of models that clients may name (`models`,
Server Node's `[api.models.<id>]` included)."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, SecretStr, field_validator, model_validator

from assistant.contracts.util import Settings
from assistant.providers.presets import PRESETS, UNSUPPORTED, provider_name

_AGENTS: Final = re.compile(r"(?:agent|nanobot|moltbot|openclaw)[:/]|(?:moltbot|openclaw)$", re.IGNORECASE)
_WITH_PATH: Final = frozenset({"threads", "gpu_layers", "queue", "idle_seconds"})


def _blank_is_unset(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


def _null_is_empty(value: object) -> object:
    return {} if value is None else value


class ProviderSettings(Settings):
    """How a provider is reached. Known providers need no settings but a key."""

    api_key: SecretStr | None = None
    """None: taken from the provider's environment variable."""
    api_base: str | None = None
    """The URL before "/chat/completions" (OpenAI's wire) or "/v1/messages" (Anthropic's). None: OPENAI_BASE_URL or ANTHROPIC_BASE_URL for these
    two, else the provider's own."""
    api_type: Literal["auto", "chat_completions", "responses"] = "auto"
    """nanobot's key. Calls are chat completions, whatever it says: the responses API is not spoken here."""
    extra_headers: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Headers sent along with every call."""
    extra_body: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Fields laid over the request's body."""
    extra_query: dict[str, str] = Field(default_factory=dict[str, str])
    """Parameters added to every URL."""
    proxy: str | None = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. None: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY of the environment;
    never for loopback."""
    connect_timeout: float = Field(default=10.0, gt=0)
    """Seconds to wait for a connection."""
    idle_timeout: float = Field(default=120.0, gt=0)
    """Seconds without a byte from the provider before the call fails."""
    context_tokens: int | None = Field(default=None, ge=1024)
    """The model's context, prompt and answer together; None: the preset for the model."""
    vision: bool | None = None
    """Whether the model takes images; None: the preset for the model."""
    list: bool = False
    """Whether clients may name its models, as `<name>/<model>`, and /v1/models lists them."""

    _stripped = field_validator("api_key", "api_base", "proxy", mode="before")(_blank_is_unset)
    _filled = field_validator("extra_headers", "extra_body", "extra_query", mode="before")(_null_is_empty)

    @field_validator("api_base")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value


def _snake_names(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {provider_name(str(name)): settings for name, settings in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _known_or_addressed(value: Mapping[str, ProviderSettings]) -> Mapping[str, ProviderSettings]:
    for name, settings in value.items():
        if name not in PRESETS and name not in UNSUPPORTED and not settings.api_base and settings != ProviderSettings():
            near = get_close_matches(name, PRESETS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{name!r} is not a known provider and has no apiBase.{hint}")
    return value


ProvidersSettings = Annotated[Mapping[str, ProviderSettings], BeforeValidator(_snake_names), AfterValidator(_known_or_addressed)]
"""By name, in any case (`lmStudio`, `lm_studio`). Any other name is an OpenAI-compatible endpoint and needs `apiBase`."""


class PriceSettings(Settings):
    """What a model costs, in US dollars a million tokens: shown by GET /v1/models/{id}, and what its calls are charged at."""

    prompt: float = Field(default=0, ge=0)
    """For what is sent."""
    completion: float = Field(default=0, ge=0)
    """For what is answered."""


class RegisteredModel(Settings):
    """A model with its own id. It answers without the assistant's tools and sessions."""

    type: Literal["chat", "completion", "embedding"] = "chat"
    """`"chat"` (also continues texts, at /v1/completions), `"completion"` or `"embedding"`."""
    provider: str = "auto"
    """As in `agents.defaults`: who serves it."""
    model: str | None = None
    """The model, as its provider calls it. null: the id."""
    path: str | None = None
    """In place of a provider: a GGUF file on this machine, or a folder with one in it; relative to the configuration's folder. It needs the extra
    `local`."""
    context_length: int | None = Field(default=None, ge=1)
    """Prompt and answer together, in tokens. null: the preset for the model; for a file, what it says, at most 8,192 (`"embedding"`: 2,048)."""
    default_temperature: float | None = Field(default=None, ge=0, le=2)
    """Where a request names none. null: the provider's default."""
    dimensions: int | None = Field(default=None, ge=1, le=65_536)
    """Of an embedding model: the default length of its vectors. null: unknown."""
    vision: bool | None = None
    """Whether it takes images. null: the preset for the model."""
    price: PriceSettings | None = None
    """What it costs: of agents that use this provider and model, too. null: as the provider tells, or as the shipped list of prices says."""
    threads: int | None = Field(default=None, ge=1, le=1_024)
    """With `path`: of the processor, while it computes. null: one for two processors."""
    gpu_layers: int = Field(default=0, ge=-1, le=10_000)
    """With `path`: layers that a graphics card computes, where llama-cpp-python was built for one. -1: all."""
    queue: int = Field(default=16, ge=0, le=10_000)
    """With `path`: requests that may wait while it answers one. Others get 503."""
    idle_seconds: float = Field(default=600, gt=0, le=31_536_000)
    """With `path`: without a request, until its process ends and its memory is free. The next request loads it again."""

    _stripped = field_validator("model", "path", mode="before")(_blank_is_unset)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.path and (self.model or self.provider != "auto"):
            raise ValueError("has a path and a provider or model; keep the one that is meant")
        if self.path and self.vision:
            raise ValueError("has a path and vision: a file takes no images")
        if not self.path and (given := sorted(_WITH_PATH & self.model_fields_set)):
            raise ValueError(f"has {given[0]}, which only a model with a path has")
        if self.dimensions and self.type != "embedding":
            raise ValueError('has dimensions, which only a model of type "embedding" has')
        return self


def _model_id(name: str) -> str:
    if not 1 <= len(name) <= 256 or not name.isprintable() or name != name.strip():
        raise ValueError("a model's id is 1 to 256 printable characters")
    if _AGENTS.match(name):
        raise ValueError(f"\"{name}\" can't be a model's id: it names an agent")
    return name


ModelsSettings = dict[Annotated[str, AfterValidator(_model_id)], RegisteredModel]
"""By the id that clients send as `model`."""

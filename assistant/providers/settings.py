"""What the configuration says of a provider: the `providers` section, with nanobot's own keys and names."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, SecretStr, field_validator

from assistant.contracts.settings import Settings
from assistant.providers.presets import PRESETS, UNSUPPORTED, provider_name


class ProviderSettings(Settings):
    """How one provider is reached. Everything has a default where the provider is known by name."""

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
    """An http:// proxy. None: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment; never for loopback."""
    connect_timeout: float = Field(default=10.0, gt=0)
    """Seconds until the connection stands."""
    idle_timeout: float = Field(default=120.0, gt=0)
    """Seconds without a byte from the provider before the call is given up."""
    context_tokens: int | None = Field(default=None, ge=1024)
    """The model's context, prompt and answer together; None: what is known of the model."""
    vision: bool | None = None
    """Whether the model takes images; None: what is known of the model."""
    list: bool = False
    """Whether its models may be named by clients, as `<name>/<model>`, and are listed by /v1/models."""

    @field_validator("api_key", "api_base", "proxy", mode="before")
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        return (value.strip() or None) if isinstance(value, str) else value

    @field_validator("extra_headers", "extra_body", "extra_query", mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return {} if value is None else value

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
        if name in PRESETS or name in UNSUPPORTED or settings.api_base:
            continue
        near = get_close_matches(name, PRESETS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name!r} is not a known provider and has no apiBase.{hint}")
    return value


ProvidersSettings = Annotated[Mapping[str, ProviderSettings], BeforeValidator(_snake_names), AfterValidator(_known_or_addressed)]
"""By name, in any case (`lmStudio`, `lm_studio`). A name that is not known is an OpenAI-compatible endpoint of one's own and needs `apiBase`."""

"""A model with everything that it takes to reach it: what a choice resolves to, and what a wire is opened with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from assistant.contracts.models import ModelInfo
from assistant.providers.failures import Peer
from assistant.providers.presets import KnownModel, Preset, known_model, preset_of
from assistant.providers.redact import Redactor
from assistant.providers.settings import ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where requests go, and with what."""

    base: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    proxy: str | None
    connect_timeout: float
    """Seconds."""
    idle_timeout: float
    """Seconds without a byte."""


class Target:
    """A model at a provider. Everything here is fixed when it is made."""

    def __init__(self, *, provider: str, model: str, settings: ProviderSettings, key: str = "") -> None:
        """`key`: already resolved; empty where none is needed."""
        preset = preset_of(provider)
        known = known_model(model)
        self._settings = settings
        self.key = key
        self.base = (settings.api_base or preset.base_url).rstrip("/")
        self.wire: Literal["openai", "anthropic"] = preset.wire
        self.max_tokens_field = preset.max_tokens_field
        self.samples = known is None or known.samples
        self.max_output = (known or KnownModel(prefix="", context_tokens=0)).max_output
        self.takes_effort = known is not None and known.effort
        self.extra_body: Mapping[str, Any] = settings.extra_body
        self.info = ModelInfo(
            id=model,
            provider=provider,
            context_tokens=settings.context_tokens or _context(preset, known),
            vision=settings.vision if settings.vision is not None else (known.vision if known else preset.vision),
            logprobs=preset.wire == "openai" and (known is None or known.samples),
        )
        secrets = [key, *(header.get_secret_value() for header in settings.extra_headers.values())]
        self.peer = Peer(
            provider=provider,
            model=model,
            origin="/".join(self.base.split("/")[:3]),
            key_source=f"{preset.key_variable} or providers.{provider}.apiKey" if preset.key_variable else f"providers.{provider}.apiKey",
            redact=Redactor(secrets),
        )

    def endpoint(self, headers: Mapping[str, str], *, base: str | None = None) -> Endpoint:
        """The endpoint with a wire's own headers, the configured ones over them."""
        settings = self._settings
        extra = {name: header.get_secret_value() for name, header in settings.extra_headers.items()}
        return Endpoint(
            base=self.base if base is None else base,
            headers={**headers, **extra},
            query=settings.extra_query,
            proxy=settings.proxy,
            connect_timeout=settings.connect_timeout,
            idle_timeout=settings.idle_timeout,
        )


def _context(preset: Preset, known: KnownModel | None) -> int:
    if known is None:
        return preset.context_tokens
    # A local server rarely runs a model at the whole length that it was trained for.
    return min(known.context_tokens, preset.context_tokens) if preset.port else known.context_tokens

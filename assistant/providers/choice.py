"""Which model answers, and why: the configuration, else the first key in the environment, else a server on this machine, else `offline`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from pydantic import SecretStr

from assistant.contracts.records import record
from assistant.providers.listing import LOCAL_SERVERS, find_local, list_local_models
from assistant.providers.presets import PRESETS, UNSUPPORTED, Preset, preset_of, provider_name
from assistant.providers.settings import ProviderSettings

OFFLINE: Final = "offline"
_CONFIGURED: Final = "chosen by the configuration"
_NOTHING: Final = "no provider is configured, no key is in the environment, and no model server answers on this machine"
_CONFIGURED_LOCAL_PATIENCE: Final = 2.0
_UNCONFIGURED: Final = ProviderSettings()
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
"""Characters that no header can carry."""


class NoSuchProvider(ValueError):
    """The configuration names a provider or model that is unavailable; the text says which, and what to set."""


@record
class ChosenModel:
    """A provider and one of its models. `str()` of it is the line for the start of the server; it holds no key."""

    provider: str
    model: str
    """As it is sent to the provider."""
    reason: str
    remedy: str = ""
    """Where the requested model is unavailable and `offline` takes its place: the command or setting that fixes it."""
    settings: ProviderSettings = field(default=_UNCONFIGURED, repr=False)
    key: SecretStr = field(default=SecretStr(""), repr=False)

    def with_settings(self, settings: Mapping[str, object]) -> "ChosenModel":
        """A copy with some settings (by the names of ProviderSettings' fields) in place of the provider's own."""
        return replace(self, settings=self.settings.model_copy(update=settings)) if settings else self

    def __str__(self) -> str:
        return f"{self.provider}, {self.model} ({self.reason})" if self.provider != OFFLINE else f"offline ({self.reason})"


@record
class ModelCatalog:
    """The providers that the configuration, the environment and the presets make available."""

    providers: Mapping[str, ProviderSettings]
    environment: Mapping[str, str]

    def settings(self, name: str) -> ProviderSettings:
        """The configured ones; an open base is filled from the variable that the provider's own client reads."""
        configured = self.providers.get(name, _UNCONFIGURED)
        base = self.environment.get(preset_of(name).base_variable, "").strip()
        return configured.model_copy(update={"api_base": base}) if base and not configured.api_base else configured

    def key(self, name: str) -> str:
        """Empty where there is none."""
        configured = self.settings(name).api_key
        if configured is not None:
            return configured.get_secret_value()
        variable = preset_of(name).key_variable
        return self.environment.get(variable, "").strip() if variable else ""

    def is_configured(self, name: str) -> bool:
        """Whether the configuration is enough to call it: a key, or the base of a server that may need none."""
        settings, preset = self.providers.get(name, _UNCONFIGURED), preset_of(name)
        has_base = bool(preset.base_url or settings.api_base)
        return settings != _UNCONFIGURED and has_base and bool(self.key(name) or settings.api_base or preset.port)

    def is_reachable(self, name: str) -> bool:
        """Whether it is configured, or its key is in the environment and nothing else is needed."""
        return self.is_configured(name) or bool(preset_of(name).base_url and self.key(name))

    def names(self) -> list[str]:
        """All known or configured providers, the preferred first."""
        return [*PRESETS, *(name for name in self.providers if name not in PRESETS)]

    def checked(self, provider: str) -> str:
        """The provider's name as it is spelled here. Raises NoSuchProvider."""
        name = provider_name(provider)
        if name in PRESETS or self.settings(name).api_base:
            return name
        words = "is not supported here" if name in UNSUPPORTED else "is not a known provider"
        raise NoSuchProvider(f"{name!r} {words}. If it speaks OpenAI's API, set providers.{name}.apiBase.")

    def reach(self, name: str, reason: str) -> ChosenModel:
        """The provider with its settings and key, without a model. Raises NoSuchProvider."""
        settings = self.settings(name)
        base = settings.api_base or preset_of(name).base_url
        if not base:
            raise NoSuchProvider(f"providers.{name} needs apiBase.")
        if not base.startswith(("http://", "https://")):  # the configuration's was checked when it was loaded
            raise NoSuchProvider(f"{preset_of(name).base_variable} must begin with http:// or https://.")
        key = self.key(name)
        if _CONTROL.search(key):
            source = f"providers.{name}.apiKey" if settings.api_key is not None else preset_of(name).key_variable
            raise NoSuchProvider(f"{source} holds a line break or another control character: it is not a key.")
        return ChosenModel(provider=name, model="", reason=reason, settings=settings, key=SecretStr(key))

    def decide(self, model: str, provider: str) -> tuple[str | None, str]:
        """The provider's name and the reason. None: only a server on this machine can decide it."""
        if OFFLINE in {provider, model}:
            return OFFLINE, _CONFIGURED
        if provider != "auto":
            return self.checked(provider), _CONFIGURED
        named = self._named_by(model)
        if named and (self.is_reachable(named) or preset_of(named).port):
            return named, f"the model's name begins with {named}"
        for name in self.names() if model else ():
            if self.is_reachable(name) and _is_kin(preset_of(name), model):
                return name, f"it serves {model}"
        owner = self._owner(model)
        for name in sorted(self.names(), key=lambda name: not preset_of(name).gateway):
            preset = preset_of(name)
            serves_others = preset.gateway or preset.port or self.settings(name).api_base
            if self.is_configured(name) and (owner is None or serves_others):
                return name, f"providers.{name} is configured"
        for name, preset in PRESETS.items():
            if self.is_reachable(name) and (preset.gateway if owner else model or preset.default_model):
                return name, f"{preset.key_variable} is set"
        if owner is None:
            return None, f"no provider that serves {model} is configured" if model else _NOTHING
        return None, f"the model {model} needs {preset_of(owner).key_variable or f'providers.{owner}'}, which is not set"

    def remedy(self, model: str) -> str:
        """What makes a requested model reachable; empty where none was requested."""
        owner = self._owner(model) if model else None
        if owner and (variable := preset_of(owner).key_variable):
            return f"export {variable}=<your key>"
        return "correct agents.defaults.model, or say where it is served: providers.<name>.apiBase" if model else ""

    def _owner(self, model: str) -> str | None:
        """The provider that a model is known to belong to."""
        of_its_kind = (preset.name for preset in PRESETS.values() if not preset.port and _is_kin(preset, model))
        return self._named_by(model) or next(of_its_kind, None)

    def _named_by(self, model: str) -> str | None:
        """The provider in a "provider/model"."""
        prefix, slash, _ = model.partition("/")
        name = provider_name(prefix)
        return name if slash and name in self.names() else None


async def choose(
    *,
    model: str | None = None,
    provider: str = "auto",
    providers: Mapping[str, ProviderSettings] | None = None,
    environment: Mapping[str, str],
    local: Sequence[Preset] = LOCAL_SERVERS,
) -> ChosenModel:
    """The model for `agents.defaults.model` and `agents.defaults.provider` (nanobot's keys, "auto" as there).

    The network is not used, except for the usual ports of loopback, for 0.15 s at most, and only where neither configuration nor environment
    decide. Raises NoSuchProvider.
    """
    catalog = ModelCatalog(providers=providers or {}, environment=environment)
    model = (model or "").strip()
    name, reason = catalog.decide(model, provider)
    if name is None:
        for server, models in await find_local(local):
            if model in {"", *models}:
                settings = ProviderSettings(api_base=server.base_url)
                reason = f"it answers at {server.base_url}"
                return ChosenModel(provider=server.name, model=model or models[0], reason=reason, settings=settings)
    if name is None or name == OFFLINE:
        return ChosenModel(provider=OFFLINE, model=OFFLINE, reason=reason, remedy=catalog.remedy(model) if name is None else "")
    reached = catalog.reach(name, reason)
    prefix, slash, rest = model.partition("/")  # a gateway's "anthropic/claude…" keeps its prefix
    chosen = (rest if slash and provider_name(prefix) == name else model) or preset_of(name).default_model
    if not chosen:
        base = reached.settings.api_base or preset_of(name).base_url
        chosen = next(iter(await list_local_models(base, patience=_CONFIGURED_LOCAL_PATIENCE)), "")
        if not chosen:
            raise NoSuchProvider(f"{name} was chosen ({reason}), but which of its models? Set agents.defaults.model.")
    return replace(reached, model=chosen)


def reach(provider: str, *, providers: Mapping[str, ProviderSettings], environment: Mapping[str, str]) -> ChosenModel:
    """A provider by its name, without a model. Uses no network. Raises NoSuchProvider."""
    catalog = ModelCatalog(providers=providers, environment=environment)
    return catalog.reach(catalog.checked(provider), _CONFIGURED)


def _is_kin(preset: Preset, model: str) -> bool:
    return any(word in model.lower() for word in preset.keywords.split())

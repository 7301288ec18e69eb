"""Which model answers, and why: the configuration, else the first key in the environment, else a server on this machine, else nobody."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import SecretStr

from assistant.providers.local import LOCAL_SERVERS, find_local, list_models
from assistant.providers.presets import PRESETS, UNSUPPORTED, Preset, preset_of, provider_name
from assistant.providers.settings import ProviderSettings

OFFLINE = "offline"
_NOTHING = "no provider is configured, no key is in the environment, and no model server answers on this machine"
_CONFIGURED_LOCAL_PATIENCE = 2.0
_UNCONFIGURED = ProviderSettings()
_CONTROL = re.compile("[\x00-\x1f\x7f]")
"""What no header can carry."""


class NoSuchProvider(ValueError):
    """The configuration names a provider or a model that can't be had; the text says which and what to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A provider and one of its models. `str()` of it is the line for the start of the server; it holds no key."""

    provider: str
    model: str
    """As it is sent to the provider."""
    reason: str
    remedy: str = ""
    """Where a model was asked for that can't be had, so that nobody answers in its place: the line that mends it."""
    settings: ProviderSettings = field(default=_UNCONFIGURED, repr=False)
    key: SecretStr = field(default=SecretStr(""), repr=False)

    def having(self, settings: Mapping[str, object]) -> "Choice":
        """This, with some of its settings (by the names of ProviderSettings' fields) in place of the provider's own."""
        return replace(self, settings=self.settings.model_copy(update=settings)) if settings else self

    def __str__(self) -> str:
        return f"{self.provider}, {self.model} ({self.reason})" if self.provider != OFFLINE else f"offline ({self.reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the decision is made from."""

    providers: Mapping[str, ProviderSettings]
    environment: Mapping[str, str]

    def settings(self, name: str) -> ProviderSettings:
        """What is configured; where that leaves the base open, with the one that the provider's own client would take from the environment."""
        configured = self.providers.get(name, _UNCONFIGURED)
        base = self.environment.get(preset_of(name).base_variable, "").strip()
        return configured.model_copy(update={"api_base": base}) if base and not configured.api_base else configured

    def key(self, name: str) -> str:
        configured = self.settings(name).api_key
        if configured is not None:
            return configured.get_secret_value()
        variable = preset_of(name).key_variable
        return self.environment.get(variable, "").strip() if variable else ""

    def source(self, name: str) -> str:
        """Where its key was found, in words."""
        return f"providers.{name}.apiKey" if self.settings(name).api_key is not None else preset_of(name).key_variable

    def is_configured(self, name: str) -> bool:
        """Whether the configuration says enough of it to call it: a key, or the base of a server that may need none."""
        settings, preset = self.providers.get(name, _UNCONFIGURED), preset_of(name)
        return (
            settings != _UNCONFIGURED
            and bool(self.key(name) or settings.api_base or preset.port)
            and bool(preset.base_url or settings.api_base)
        )

    def is_reachable(self, name: str) -> bool:
        """Whether it is configured, or its key is in the environment and nothing else is needed."""
        return self.is_configured(name) or bool(preset_of(name).base_url and self.key(name))

    def serves_others(self, name: str) -> bool:
        """Whether it may serve a model that is known as another provider's: a gateway, a local server, an endpoint of one's own."""
        preset = preset_of(name)
        return bool(preset.gateway or preset.port or self.settings(name).api_base)

    def names(self) -> list[str]:
        """All that are known or configured, the preferred first."""
        return [*PRESETS, *(name for name in self.providers if name not in PRESETS)]


async def choose(
    *,
    model: str | None = None,
    provider: str = "auto",
    providers: Mapping[str, ProviderSettings] | None = None,
    environment: Mapping[str, str],
    local: Sequence[Preset] = LOCAL_SERVERS,
) -> Choice:
    """The choice for `agents.defaults.model` and `agents.defaults.provider` (nanobot's keys, "auto" as there).

    Asks nothing of the network but the usual ports of loopback, for 0.15 s at most, and only where neither configuration nor environment
    decide. Raises NoSuchProvider.
    """
    known = Known(providers=providers or {}, environment=environment)
    model = (model or "").strip()
    name, reason = decide(known, model, provider)
    if name is None:
        return await _choose_local(model, Choice(provider=OFFLINE, model=OFFLINE, reason=reason, remedy=_remedy(known, model)), local)
    if name == OFFLINE:
        return Choice(provider=OFFLINE, model=OFFLINE, reason=reason)
    reached = _reached(known, name, reason)
    settings = reached.settings
    base = settings.api_base or preset_of(name).base_url
    chosen = _own_name(name, model) or preset_of(name).default_model
    if not chosen:
        chosen = next(iter(await list_models(base, patience=_CONFIGURED_LOCAL_PATIENCE)), "")
        if not chosen:
            raise NoSuchProvider(f"{name} was chosen ({reason}), but which of its models? Set agents.defaults.model.")
    return replace(reached, model=chosen)


def reach(provider: str, *, providers: Mapping[str, ProviderSettings], environment: Mapping[str, str]) -> Choice:
    """A provider by its name, without one of its models. Asks nothing of the network. Raises NoSuchProvider."""
    known = Known(providers=providers, environment=environment)
    return _reached(known, _checked(known, provider_name(provider)), "the configuration says so")


def _reached(known: Known, name: str, reason: str) -> Choice:
    settings = known.settings(name)
    base = settings.api_base or preset_of(name).base_url
    if not base:
        raise NoSuchProvider(f"providers.{name} needs apiBase.")
    if not base.startswith(("http://", "https://")):  # the configuration's was checked when it was loaded
        raise NoSuchProvider(f"{preset_of(name).base_variable} must begin with http:// or https://.")
    key = known.key(name)
    if _CONTROL.search(key):
        raise NoSuchProvider(f"{known.source(name)} holds a line break or another control character: it is not a key.")
    return Choice(provider=name, model="", reason=reason, settings=settings, key=SecretStr(key))


def decide(known: Known, model: str, provider: str) -> tuple[str | None, str]:
    """The provider's name and the reason. None: nothing decides it but what answers on this machine."""
    if OFFLINE in {provider, model}:
        return OFFLINE, "the configuration says so"
    if provider != "auto":
        return _checked(known, provider_name(provider)), "the configuration says so"
    named = _named_by(known, model)
    if named and (known.is_reachable(named) or preset_of(named).port):
        return named, f"the model's name begins with {named}"
    for name in known.names() if model else ():
        if known.is_reachable(name) and _is_kin(preset_of(name), model):
            return name, f"it serves {model}"
    owner = _owner(known, model)
    for name in _gateways_first(known):
        if known.is_configured(name) and (owner is None or known.serves_others(name)):
            return name, f"providers.{name} is configured"
    for name, preset in PRESETS.items():
        if known.is_reachable(name) and (preset.gateway if owner else model or preset.default_model):
            return name, f"{preset.key_variable} is set"
    if owner is None:
        return None, f"no provider that serves {model} is configured" if model else _NOTHING
    return None, f"the model {model} needs {preset_of(owner).key_variable or f'providers.{owner}'}, which is not set"


def _owner(known: Known, model: str) -> str | None:
    """The provider that a model is known as belonging to."""
    return _named_by(known, model) or next((preset.name for preset in PRESETS.values() if not preset.port and _is_kin(preset, model)), None)


def _remedy(known: Known, model: str) -> str:
    """What makes a model that was asked for reachable; empty where none was."""
    owner = _owner(known, model) if model else None
    if owner and (variable := preset_of(owner).key_variable):
        return f"export {variable}=<your key>"
    return "correct agents.defaults.model, or say where it is served: providers.<name>.apiBase" if model else ""


def _is_kin(preset: Preset, model: str) -> bool:
    return any(word in model.lower() for word in preset.keywords)


def _named_by(known: Known, model: str) -> str | None:
    """The provider that a "provider/model" names."""
    prefix, slash, _ = model.partition("/")
    name = provider_name(prefix)
    return name if slash and name in known.names() else None


def _own_name(name: str, model: str) -> str:
    """The model without its provider's own prefix: a gateway's "anthropic/claude…" keeps its own."""
    prefix, slash, rest = model.partition("/")
    return rest if slash and provider_name(prefix) == name else model


def _gateways_first(known: Known) -> Iterator[str]:
    names = known.names()
    yield from (name for name in names if preset_of(name).gateway)
    yield from (name for name in names if not preset_of(name).gateway)


def _checked(known: Known, name: str) -> str:
    if name in PRESETS or known.settings(name).api_base:
        return name
    words = "is not supported here" if name in UNSUPPORTED else "is not a known provider"
    raise NoSuchProvider(f"{name!r} {words}. If it speaks OpenAI's API, set providers.{name}.apiBase.")


async def _choose_local(model: str, nobody: Choice, local: Sequence[Preset]) -> Choice:
    for server in await find_local(local):
        if model in {"", *server.models}:
            settings = ProviderSettings(api_base=server.base)
            return Choice(provider=server.name, model=model or server.models[0], reason=f"it answers at {server.base}", settings=settings)
    return nobody

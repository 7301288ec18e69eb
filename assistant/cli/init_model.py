"""The step of `nanobot init` that chooses the model: a provider with a key, a server on this machine, or none."""

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

import typer

from assistant.app.opening import PATIENCE
from assistant.cli.shared import harmless
from assistant.config import Loaded
from assistant.config.changes import ConfigChanges, previewed
from assistant.contracts.errors import NanobotError
from assistant.contracts.util import replace_surrogates
from assistant.providers.choice import OFFLINE, ChosenModel, NoSuchProvider, choose, reach
from assistant.providers.listing import LOCAL_SERVERS, find_local
from assistant.providers.presets import PRESETS, preset_of, provider_name
from assistant.providers.registry import list_models

Ask = Callable[[str, bool], str]
"""(the question, whether what is typed is hidden) → what was typed; empty: nothing."""
_DEFAULTS: Final = ("agents", "defaults")
_NOT_A_WORD: Final = re.compile(r"[^A-Z0-9]+")
_SHOWN: Final = 8


class NotChosen(Exception):
    """The answer names no model that can be used; `str(error)` says why, and what to give instead."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A line of the list that is chosen from."""

    provider: str
    models: tuple[str, ...]
    """Of a server on this machine: those it has."""
    about: str


def offers() -> list[Offer]:
    """What can be chosen by its number: servers that answer on this machine, then the providers with a model of their own."""
    found = [Offer(server.name, models, f"on this machine: {_named(models)}") for server, models in asyncio.run(find_local(LOCAL_SERVERS))]
    hosted = [Offer(each.name, (), each.default_model) for each in PRESETS.values() if each.default_model and each.key_variable]
    return [*found, *hosted]


def further_providers() -> list[str]:
    """Those that are chosen by their names."""
    return [each.name for each in PRESETS.values() if not each.default_model and not each.port and each.key_variable and each.base_url]


def model_changes(answer: str, offered: Sequence[Offer], loaded: Loaded, ask: Ask, *, key: str | None, check: bool) -> ConfigChanges:
    """What an answer writes: a number of `offered`, a provider, `provider/model`, `offline`, or the URL of a server that speaks OpenAI's API.

    `ask`: for what else is needed; it is not called for a `key` that is given. `check`: ask the provider for its models. Raises NotChosen.
    """
    answer = replace_surrogates(answer.strip())
    if answer.lower() in (OFFLINE, "none"):
        return _chosen(loaded, OFFLINE, "auto")
    changes = ConfigChanges()
    name, model, models = _read(answer, offered, changes)
    preset = preset_of(name)
    if not preset.base_url and ("providers", name, "apiBase") not in changes.values and not _has_base(loaded, name):
        base = ask(f"{name}: the URL before /chat/completions", False)
        if not base.startswith(("http://", "https://")):
            raise NotChosen(f"{name} needs the URL of its API, which begins with https://")
        changes.values["providers", name, "apiBase"] = base
    if not models:
        _take_key(name, loaded, changes, ask, key)
        models = tuple(asyncio.run(_listed(name, loaded, changes))) if check else ()
    changes.add(_chosen(loaded, f"{name}/{_one_of(name, model, models, ask)}", "auto"))
    return changes


def in_effect(loaded: Loaded) -> ChosenModel:
    """What answers under a configuration. Raises NotChosen."""
    agent = loaded.config.agent
    try:
        return asyncio.run(choose(model=agent.model, provider=agent.provider, providers=loaded.config.providers, environment=os.environ))
    except NoSuchProvider as error:
        raise NotChosen(str(error)) from None


def _read(answer: str, offered: Sequence[Offer], changes: ConfigChanges) -> tuple[str, str, tuple[str, ...]]:
    """(provider, model or empty, the models that a server on this machine has)"""
    if answer.isdecimal() and len(answer) < 7 and 1 <= int(answer) <= len(offered):
        chosen = offered[int(answer) - 1]
        return chosen.provider, "", chosen.models
    if answer.startswith(("http://", "https://")):
        name = "custom" if urlsplit(answer).hostname else ""
        if not name:
            raise NotChosen("that URL names no host")
        changes.values["providers", name, "apiBase"] = answer
        return name, "", ()
    written, _, model = answer.partition("/")
    name = written.lower() if written.lower() in PRESETS else provider_name(written)
    if name not in PRESETS:
        raise NotChosen(f"{harmless(written)!r} is no provider: give a number or a name of the list, a URL, or offline")
    local = next((each.models for each in offered if each.provider == name), ())
    if preset_of(name).port and not local:
        raise NotChosen(f"{name} does not answer at {preset_of(name).base_url}: start it, and choose again")
    return name, model, local


def _take_key(name: str, loaded: Loaded, changes: ConfigChanges, ask: Ask, key: str | None) -> None:
    """Ask for the key, unless there is one."""
    variable = preset_of(name).key_variable or f"{_NOT_A_WORD.sub('_', name.upper())}_API_KEY"
    if os.environ.get(variable):
        typer.echo(f"The key is taken from {variable}.")
        if not preset_of(name).key_variable:
            changes.values["providers", name, "apiKey"] = f"${{{variable}}}"
        return
    configured = loaded.config.providers.get(name)
    had = configured is not None and configured.api_key is not None
    if key is None:
        key = ask(f"The key of {name} (hidden; paste it{', or Enter to keep the one there is' if had else ''})", True)
    if key:
        if not key.isprintable() or " " in key:
            raise NotChosen("a key is one word without spaces")
        changes.keep(("providers", name, "apiKey"), variable, key)
    elif not had and preset_of(name).key_variable:
        raise NotChosen(f"{name} needs a key: {variable} in the environment, or --key")


async def _listed(name: str, loaded: Loaded, changes: ConfigChanges) -> Sequence[str]:
    """The models that the provider lists, which shows that it takes the key. Raises NotChosen with its reason."""
    preview = previewed(changes, loaded, os.environ)
    try:
        choice = reach(name, providers=preview.config.providers, environment=os.environ)
        async with asyncio.timeout(PATIENCE):
            return await list_models(replace(choice, model=preset_of(name).default_model))
    except NoSuchProvider as error:
        raise NotChosen(str(error)) from None
    except NanobotError as error:
        raise NotChosen(error.message) from None
    except TimeoutError:
        raise NotChosen(f"{name} did not answer within {PATIENCE:g} s") from None


def _one_of(name: str, wanted: str, models: Sequence[str], ask: Ask) -> str:
    """The model: the one that is wanted, else the usual one where the provider has it, else the only one; else it is asked for."""
    usual = preset_of(name).default_model
    if wanted or (usual and (not models or usual in models)):
        return wanted or usual
    if len(models) == 1:
        return models[0]
    model = ask(
        f"Which of its models?{f' It has {_named(models)}.' if models else ''} (Enter: {models[0]})" if models else "Which model?", False
    )
    if not model and not models:
        raise NotChosen(f"{name} needs the name of a model: {name}/NAME")
    return model or models[0]


def _chosen(loaded: Loaded, model: str, provider: str) -> ConfigChanges:
    """The default agent's model; what would win over it is taken back."""
    agent = loaded.config.agents.defaults
    changes = ConfigChanges({(*_DEFAULTS, "model"): model})
    if agent.provider != provider:
        changes.values[*_DEFAULTS, "provider"] = provider
    if agent.model_preset:
        changes.values[*_DEFAULTS, "modelPreset"] = None
    return changes


def _has_base(loaded: Loaded, name: str) -> bool:
    settings = loaded.config.providers.get(name)
    return settings is not None and settings.api_base is not None


def _named(models: Sequence[str]) -> str:
    more = f" and {len(models) - _SHOWN} more" if len(models) > _SHOWN else ""
    return harmless(", ".join(models[:_SHOWN])) + more

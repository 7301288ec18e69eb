"""Opens the models: one for each agent, and the registry of those that requests can name."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

from assistant.config import Config, ConfigError, Loaded
from assistant.config.agents import AgentSettings
from assistant.config.errors import ConfigProblem
from assistant.contracts.errors import ProviderFailed
from assistant.contracts.ledger import Metering
from assistant.contracts.models import ModelInfo, ModelProvider
from assistant.contracts.records import record
from assistant.contracts.turns import MAIN
from assistant.providers.chain import ReplaceableModel
from assistant.providers.choice import OFFLINE, ChosenModel, NoSuchProvider, choose, reach
from assistant.providers.listing import ListedModels, ListModels
from assistant.providers.registry import ModelRegistry, list_models, open_provider


@record
class OpenModel:
    choice: ChosenModel
    provider: ReplaceableModel


class AgentModels(Mapping[str, ModelInfo]):
    """The facts about each agent's model, as they are now."""

    def __init__(self, models: Mapping[str, OpenModel]) -> None:
        self._models = models

    def __getitem__(self, name: str) -> ModelInfo:
        return self._models[name].provider.info

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)


async def open_models(config: Config, meter: Metering) -> dict[str, OpenModel]:
    """The model of each agent, the default agent's first; an agent that chooses no model shares it. Raises ConfigError."""
    return {
        name: OpenModel(choice=each.choice, provider=ReplaceableModel(each.provider)) for name, each in (await _open(config, meter)).items()
    }


async def replace_models(models: dict[str, OpenModel], config: Config, meter: Metering) -> None:
    """Put the models of another configuration, with the same agents, in the place of these. Raises ConfigError, and nothing is replaced."""
    for name, new in (await _open(config, meter)).items():
        models[name].provider.replace(new.provider)
        models[name] = OpenModel(choice=new.choice, provider=models[name].provider)


@record
class _Opened:
    choice: ChosenModel
    provider: ModelProvider


async def _open(config: Config, meter: Metering) -> Mapping[str, _Opened]:
    models = {MAIN: await _open_model(config, config.agent, meter)}
    for name, settings in config.named_agents.items():
        own = config.agents.named[name]
        alone = own.chooses_model or own.fallback_models is not None
        models[name] = await _open_model(config, settings, meter) if alone else models[MAIN]
    return models


async def _open_model(config: Config, agent: AgentSettings, meter: Metering) -> _Opened:
    try:
        choices = [await _choose(config, agent.model, agent.provider)]
        choices += [await _choose(config, fallback.model, fallback.provider) for fallback in config.fallbacks(agent)]
    except NoSuchProvider as error:
        raise ConfigError(ConfigProblem(path=(), text=str(error))) from error
    first, *others = choices
    fallbacks = [choice for choice in others if choice.provider != OFFLINE]
    if first.remedy and fallbacks:  # the requested model is unavailable: the first fallback replaces it
        reason = first.reason
        first, *fallbacks = fallbacks
        first = replace(first, reason=f"{first.reason}; {reason}")
    return _Opened(choice=first, provider=open_provider(first, fallbacks=fallbacks, meter=meter))


async def _choose(config: Config, model: str | None, provider: str) -> ChosenModel:
    return await choose(model=model, provider=provider, providers=config.providers, environment=os.environ)


def open_registry(loaded: Loaded, default: ChosenModel, meter: Metering) -> ModelRegistry:
    """`default`: the default agent's model. Raises ConfigError where a model names an unknown provider."""
    config = loaded.config
    for name, model in config.models.items():
        if model.provider not in ("auto", OFFLINE):
            try:
                reach(model.provider, providers=config.providers, environment=os.environ)
            except NoSuchProvider as error:
                raise ConfigError(ConfigProblem(path=("models", name, "provider"), text=str(error))) from error

    async def choose_model(model: str, provider: str) -> ChosenModel:
        try:
            return await _choose(config, model, provider)
        except NoSuchProvider as error:
            raise ProviderFailed(str(error), retryable=False) from error

    lists = ListedModels({name: _list_models(config, name) for name, settings in config.providers.items() if settings.list})
    offline = default.provider == OFFLINE
    return ModelRegistry(config.models, lists, choose_model, offline=offline, default=default, folder=loaded.folder, meter=meter)


def _list_models(config: Config, provider: str) -> ListModels:
    async def read() -> list[str]:
        try:
            reached = reach(provider, providers=config.providers, environment=os.environ)
        except NoSuchProvider as error:
            raise ProviderFailed(str(error), retryable=False) from error
        return list(await list_models(reached))

    return read

"""The models that clients may name besides the agents."""

import os

from assistant.config import Config, ConfigError, Loaded
from assistant.config.errors import ConfigProblem
from assistant.contracts.errors import ProviderFailed
from assistant.providers.choice import OFFLINE, ChosenModel, NoSuchProvider, choose, reach
from assistant.providers.listing import ListedModels, ListModels
from assistant.providers.registry import Registry, list_models


def open_registry(loaded: Loaded, default: ChosenModel) -> Registry:
    """`default`: the default agent's model. Raises ConfigError where a model names an unknown provider."""
    config = loaded.config
    for name, model in config.models.items():
        if model.provider not in ("auto", OFFLINE):
            try:
                reach(model.provider, providers=config.providers, environment=os.environ)
            except NoSuchProvider as error:
                raise ConfigError(ConfigProblem(path=("models", name, "provider"), text=str(error), origin="")) from error

    async def choose_model(model: str, provider: str) -> ChosenModel:
        try:
            return await choose(model=model, provider=provider, providers=config.providers, environment=os.environ)
        except NoSuchProvider as error:
            raise ProviderFailed(str(error), retryable=False) from error

    lists = ListedModels({name: _list_models(config, name) for name, settings in config.providers.items() if settings.list})
    return Registry(config.models, lists, choose_model, offline=default.provider == OFFLINE, folder=loaded.folder)


def _list_models(config: Config, provider: str) -> ListModels:
    async def ask() -> list[str]:
        try:
            reached = reach(provider, providers=config.providers, environment=os.environ)
        except NoSuchProvider as error:
            raise ProviderFailed(str(error), retryable=False) from error
        return list(await list_models(reached))

    return ask

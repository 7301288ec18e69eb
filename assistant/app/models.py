"""The models that clients may name besides the agents."""

import os

from assistant.config import Config, ConfigError, Loaded
from assistant.config.errors import ConfigProblem
from assistant.contracts.errors import ProviderFailed
from assistant.providers.build import list_models
from assistant.providers.choice import OFFLINE, Choice, NoSuchProvider, choose, reach
from assistant.providers.listing import Ask, ListedModels
from assistant.providers.registry import Registry


def open_registry(loaded: Loaded, default: Choice) -> Registry:
    """`default`: what answers as the default agent. Raises ConfigError where a model names a provider that is not there."""
    config = loaded.config
    for name, model in config.models.items():
        if model.provider not in ("auto", OFFLINE):
            try:
                reach(model.provider, providers=config.providers, environment=os.environ)
            except NoSuchProvider as error:
                raise ConfigError(ConfigProblem(path=("models", name, "provider"), text=str(error), origin="")) from error

    async def choose_model(model: str, provider: str) -> Choice:
        try:
            return await choose(model=model, provider=provider, providers=config.providers, environment=os.environ)
        except NoSuchProvider as error:
            raise ProviderFailed(str(error), retryable=False) from error

    listing = [name for name, settings in config.providers.items() if settings.list]
    lists = ListedModels({name: _asking(config, name) for name in listing})
    return Registry(config.models, lists, choose_model, offline=default.provider == OFFLINE, folder=loaded.folder)


def _asking(config: Config, provider: str) -> Ask:
    async def ask() -> list[str]:
        try:
            reached = reach(provider, providers=config.providers, environment=os.environ)
        except NoSuchProvider as error:
            raise ProviderFailed(str(error), retryable=False) from error
        return list(await list_models(reached))

    return ask

"""From a choice to a provider: the wire's module is imported here, when it is used, because it brings its HTTP client along."""

from collections.abc import Sequence
from importlib import import_module

from assistant.contracts.models import ModelProvider
from assistant.providers.choice import OFFLINE, Choice
from assistant.providers.fallback import FallbackProvider
from assistant.providers.retry import RetryingProvider


def open_provider(choice: Choice, *, fallbacks: Sequence[Choice] = ()) -> ModelProvider:
    """The provider for a choice, with repeats around it; with `fallbacks`, each of them too, asked in order when the one before fails.

    Nothing is connected before the first call. Call it off the start's critical path if the start is timed: the first wire costs 0.3 s.
    """
    opened = [_open(each) for each in (choice, *fallbacks)]
    return opened[0] if len(opened) == 1 else FallbackProvider(opened)


def _open(choice: Choice) -> ModelProvider:
    if choice.provider == OFFLINE:
        return import_module("assistant.providers.offline").open_provider()
    target = import_module("assistant.providers.target").Target(
        provider=choice.provider, model=choice.model, settings=choice.settings, key=choice.key.get_secret_value()
    )
    return RetryingProvider(import_module(f"assistant.providers.{target.wire}").open_provider(target))

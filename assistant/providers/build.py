"""From a choice to a provider. Wires are imported when they are used: each brings its HTTP client along."""

import asyncio
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.models import EmbeddingProvider, ModelProvider
from assistant.providers.choice import OFFLINE, Choice
from assistant.providers.deferred import DeferredEmbeddings, DeferredProvider
from assistant.providers.fallback import FallbackProvider
from assistant.providers.offline import OfflineProvider
from assistant.providers.retry import RetryingEmbeddings, RetryingProvider
from assistant.providers.target import Target


def open_provider(choice: Choice, *, fallbacks: Sequence[Choice] = ()) -> ModelProvider:
    """The provider for a choice, with repeats around it; with `fallbacks`, each of them too, asked in order when the one before fails.

    Nothing is imported or connected before the first call.
    """
    opened = [_open(each) for each in (choice, *fallbacks)]
    return opened[0] if len(opened) == 1 else FallbackProvider(opened)


def open_texts(choice: Choice) -> ModelProvider:
    """What goes on with a text: by the provider's own completions where its wire has them, else by its chat."""
    if choice.provider == OFFLINE or _target(choice).wire != "openai":
        return _open(choice)
    target = _target(choice)
    return RetryingProvider(DeferredProvider(target.info, partial(_open_module, "openai_texts", target)))


def open_embeddings(choice: Choice) -> EmbeddingProvider:
    """What makes vectors. Raises ProviderFailed where the provider's wire has none."""
    target = _target(choice)
    if target.wire != "openai":
        raise ProviderFailed(f"{choice.provider} has no embeddings.", retryable=False)
    return RetryingEmbeddings(DeferredEmbeddings(target.info, partial(_open_module, "openai_embeddings", target)))


async def list_models(choice: Choice) -> Sequence[str]:
    """The ids that a provider lists. Raises what a ModelProvider raises."""
    target = _target(choice)
    wire = await asyncio.to_thread(_open_module, "model_list", target)
    return await wire.ids()


def _open_module(name: str, target: Target) -> Any:
    return import_module(f"assistant.providers.{name}").open_provider(target)


def preload(choice: Choice) -> None:
    """Import what the choice's first call will need. Blocks for 0.1 to 0.3 s: for a thread, when the server is up."""
    if choice.provider != OFFLINE:
        import_module(_module(_target(choice)))


def _open(choice: Choice) -> ModelProvider:
    if choice.provider == OFFLINE:
        return OfflineProvider(choice.reason if choice.remedy else "")
    target = _target(choice)
    return RetryingProvider(DeferredProvider(target.info, partial(_open_wire, target)))


def _open_wire(target: Target) -> ModelProvider:
    return import_module(_module(target)).open_provider(target)


def _module(target: Target) -> str:
    return f"assistant.providers.{target.wire}"


def _target(choice: Choice) -> Target:
    return Target(provider=choice.provider, model=choice.model, settings=choice.settings, key=choice.key.get_secret_value())

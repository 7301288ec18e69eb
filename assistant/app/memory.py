"""Builds memory: what turns and tools use, and what learns from sessions that fall idle."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from assistant.app.models import OpenModel
from assistant.config import Loaded
from assistant.contracts.errors import ProviderFailed
from assistant.contracts.models import EmbeddingProvider, ModelProvider
from assistant.contracts.people import PeopleDirectory
from assistant.contracts.records import record
from assistant.contracts.turns import MAIN
from assistant.memory.command import MemoryCommand
from assistant.memory.learning import Learning
from assistant.memory.search import StoredSearch
from assistant.memory.service import MemoryService
from assistant.memory.settings import MemorySettings
from assistant.memory.vectors import Vectors
from assistant.providers.choice import OFFLINE
from assistant.providers.registry import ModelRegistry
from assistant.store.store import Store


@record
class OpenMemory:
    service: MemoryService
    search: StoredSearch
    learning: Learning
    command: MemoryCommand


def build_memory(
    loaded: Loaded, models: Mapping[str, OpenModel], registry: ModelRegistry, store: Store, people: PeopleDirectory, opened: AsyncExitStack
) -> OpenMemory:
    """`people`: who is a person. `opened`: ends what runs in the background."""
    settings = loaded.config.memory
    learns = settings.learn == "auto" or (settings.learn is None and models[MAIN].choice.provider != OFFLINE)

    async def learner() -> ModelProvider:
        if settings.model is None:
            return models[MAIN].provider
        writes = (await registry.open(settings.model)).writes
        if writes is None:
            raise ProviderFailed(f"memory.model is {settings.model}, which does not write text.")
        return writes

    learning = Learning(store.learned, learner, people, enabled=learns, idle=settings.idle)
    search = StoredSearch(store.database, store.history, people, _vectors(settings, registry, store, opened))
    service = MemoryService(store, search, idle=learning.touch)
    opened.push_async_callback(service.close)
    opened.push_async_callback(learning.close)
    return OpenMemory(service=service, search=search, learning=learning, command=MemoryCommand(store, service, learns=learns))


def _vectors(settings: MemorySettings, registry: ModelRegistry, store: Store, opened: AsyncExitStack) -> Vectors | None:
    """Where `memory.embeddings` names a model. `opened`: ends what makes vectors in the background."""
    model = settings.embeddings
    if model is None:
        return None

    async def embedder() -> EmbeddingProvider:
        embeds = (await registry.open(model)).embeds
        if embeds is None:
            raise ProviderFailed(f"memory.embeddings is {model}, which makes no vectors.", retryable=False)
        return embeds

    vectors = Vectors(store.database, model, embedder)
    store.history.indexed = vectors.wake
    opened.push_async_callback(vectors.close)
    return vectors

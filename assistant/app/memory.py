"""Builds memory: what turns and tools use, and what learns from sessions that fall idle."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from assistant.app.models import OpenModel
from assistant.config import Loaded
from assistant.contracts.errors import ProviderFailed
from assistant.contracts.models import ModelProvider
from assistant.contracts.people import PeopleDirectory
from assistant.contracts.turns import MAIN
from assistant.memory.command import MemoryCommand
from assistant.memory.learning import Learning
from assistant.memory.search import StoredSearch
from assistant.memory.service import MemoryService
from assistant.providers.choice import OFFLINE
from assistant.providers.registry import ModelRegistry
from assistant.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMemory:
    service: MemoryService
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
    service = MemoryService(store, StoredSearch(store.database, store.history), idle=learning.touch)
    opened.push_async_callback(service.close)
    opened.push_async_callback(learning.close)
    return OpenMemory(service=service, learning=learning, command=MemoryCommand(store, service, learns=learns))

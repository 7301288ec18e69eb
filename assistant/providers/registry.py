"""The models that clients may name: those of the configuration, the stand-ins where nothing else is there, and what providers list."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.models import ListedModel, OpenedModel, Price, Sampling
from assistant.providers.build import open_embeddings, open_provider, open_texts
from assistant.providers.choice import OFFLINE, Choice
from assistant.providers.gguf.file import GgufHeader, header_at
from assistant.providers.gguf.provider import open_gguf
from assistant.providers.listing import Found, ListedModels
from assistant.providers.offline import OfflineProvider
from assistant.providers.offline_embedding import DIMENSIONS, OfflineEmbeddings
from assistant.providers.registered import RegisteredModel

Choose = Callable[[str, str], Awaitable[Choice]]
"""(model, provider) → the choice. Raises NoSuchProvider."""
_MOST_UNSURE: Final = 64
"""Models that are opened, and stay so, because a client says that there is such a one."""
_STAND_INS: Final = {
    "offline-completion": ListedModel(id="offline-completion", type="completion", provider=OFFLINE),
    "offline-embedding": ListedModel(id="offline-embedding", type="embedding", provider=OFFLINE, dimensions=DIMENSIONS[-1]),
}


class Registry:
    """Implements ModelRegistry. A model is opened when it is first asked, and stays open; what that costs is paid by those who use it."""

    def __init__(
        self, models: Mapping[str, RegisteredModel], lists: ListedModels, choose: Choose, *, offline: bool, folder: Path | None = None
    ) -> None:
        """`offline`: whether nobody but the offline stand-in answers as the default agent: then there are stand-ins here, too. `folder`: what
        relative paths of files start at; None: the current one."""
        self._models = models
        self._folder = folder or Path.cwd()
        self._lists = lists
        self._choose = choose
        self._stand_ins = {name: listed for name, listed in _STAND_INS.items() if offline and name not in models}
        self._headers: dict[str, GgufHeader] = {}
        self._opened: dict[str, OpenedModel] = {}
        self._unsure = 0
        self._opening = asyncio.Lock()

    async def list(self) -> Sequence[ListedModel]:
        own = [await self._own(name, settings) for name, settings in self._models.items()]
        return [*own, *self._stand_ins.values(), *await self._lists.all()]

    async def open(self, model_id: str) -> OpenedModel:
        return self._opened.get(model_id) or await self._open(model_id)

    async def close(self) -> None:
        """Close what was opened. Safe to call twice."""
        for opened in self._opened.values():
            for provider in (opened.writes, opened.embeds):
                if provider is not None:
                    await provider.close()

    async def _own(self, name: str, settings: RegisteredModel) -> ListedModel:
        """A configured model as listed; of a file, with what it says of itself, once it could be read."""
        known = _listed(name, settings)
        if not settings.path or (known.context_tokens and (known.dimensions or settings.type != "embedding")):
            return known
        if name not in self._headers:
            header = await asyncio.to_thread(header_at, settings.path, self._folder)
            if header is None:
                return known
            self._headers[name] = header
        header, embeds = self._headers[name], settings.type == "embedding"
        context, length = header.context(embedding=embeds), header.embedding_length if embeds else None
        return replace(known, context_tokens=known.context_tokens or context, dimensions=known.dimensions or length)

    async def _open(self, model_id: str) -> OpenedModel:
        # A provider's list may take its time: only those wait for it who name such a model.
        found = None if model_id in self._models or model_id in self._stand_ins else await self._lists.find(model_id)
        async with self._opening:
            if model_id in self._opened:
                return self._opened[model_id]
            if found is not None:
                opened = await self._found(found)
            elif model_id in self._models:
                opened = await self._configured(model_id, self._models[model_id])
            else:
                opened = _stand_in(self._stand_ins[model_id])
            self._opened[model_id] = opened
            return opened

    async def _found(self, found: Found) -> OpenedModel:
        if not found.sure:
            if self._unsure >= _MOST_UNSURE:
                raise ProviderFailed(f"{found.provider} does not list its models now, so whether it has this one can't be known.")
            self._unsure += 1
        return OpenedModel(listed=found.listed, writes=open_provider(await self._choose(found.model, found.provider)))

    async def _configured(self, model_id: str, settings: RegisteredModel) -> OpenedModel:
        if settings.path:
            sampling = Sampling(temperature=settings.default_temperature)
            writes, embeds = open_gguf(model_id, settings, self._folder)
            return OpenedModel(listed=await self._own(model_id, settings), writes=writes, embeds=embeds, sampling=sampling)
        choice = await self._choose(settings.model or model_id, settings.provider)
        if choice.provider == OFFLINE and choice.remedy:
            raise ProviderFailed(f"The model '{model_id}' can't be had: {choice.reason}.", retryable=False)
        known = {"context_tokens": settings.context_length, "vision": settings.vision}
        over = {name: value for name, value in known.items() if value is not None}
        listed, sampling = _listed(model_id, settings), Sampling(temperature=settings.default_temperature)
        if settings.type == "embedding":
            embeds = OfflineEmbeddings(settings.dimensions) if choice.provider == OFFLINE else open_embeddings(choice.having(over))
            return OpenedModel(listed=listed, embeds=embeds)
        opened = open_texts(choice.having(over)) if settings.type == "completion" else open_provider(choice.having(over))
        return OpenedModel(listed=listed, writes=opened, sampling=sampling)


def _stand_in(listed: ListedModel) -> OpenedModel:
    if listed.type == "embedding":
        return OpenedModel(listed=listed, embeds=OfflineEmbeddings())
    return OpenedModel(listed=listed, writes=OfflineProvider())


def _listed(model_id: str, settings: RegisteredModel) -> ListedModel:
    price = settings.price
    return ListedModel(
        id=model_id,
        type=settings.type,
        provider="local" if settings.path else settings.provider if settings.provider != "auto" else "nanobot",
        context_tokens=settings.context_length,
        dimensions=settings.dimensions,
        vision=False if settings.path else settings.vision,
        price=None if price is None else Price(prompt=price.prompt, completion=price.completion),
    )

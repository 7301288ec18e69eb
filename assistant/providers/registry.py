"""The models that clients may name (configured ones, stand-ins where there are none, and those that providers list), and how any is opened."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.ledger import Metering, Unmetered
from assistant.contracts.models import EmbeddingProvider, ListedModel, ModelProvider, OpenedModel, Price, Sampling
from assistant.providers import http
from assistant.providers.anthropic import AnthropicProvider
from assistant.providers.chain import ModelChain
from assistant.providers.choice import OFFLINE, ChosenModel
from assistant.providers.http import ProviderEndpoint
from assistant.providers.listing import FoundModel, ListedModels
from assistant.providers.messages import listed, mapping
from assistant.providers.offline import DIMENSIONS, OfflineEmbeddings, OfflineProvider
from assistant.providers.openai import OpenAICompletions, OpenAIEmbeddings, OpenAIProvider
from assistant.providers.presets import preset_of
from assistant.providers.settings import RegisteredModel

if TYPE_CHECKING:
    from assistant.providers.gguf.file import GgufHeader

Choose = Callable[[str, str], Awaitable[ChosenModel]]
"""(model, provider) → the choice. Raises ProviderFailed."""
_UNMETERED: Final = Unmetered()
_MOST_MODELS: Final = 2_000
_MOST_UNSURE: Final = 64
"""Models that are opened, and stay open, on a client's word that they exist."""
_STAND_INS: Final = {
    "offline-completion": ListedModel(id="offline-completion", type="completion", provider=OFFLINE),
    "offline-embedding": ListedModel(id="offline-embedding", type="embedding", provider=OFFLINE, dimensions=DIMENSIONS[-1]),
}


def open_provider(
    choice: ChosenModel, *, fallbacks: Sequence[ChosenModel] = (), meter: Metering = _UNMETERED, price: Price | None = None
) -> ModelProvider:
    """The model, with retries; `fallbacks` are tried in order when those before fail. Nothing is connected before the first call.

    `meter`: stands in front of each of them, so that each try is a call of its own. `price`: the configured one of `choice`."""
    if choice.provider == OFFLINE:
        return meter.model(OfflineProvider(choice.reason if choice.remedy else ""), price)
    wires = [AnthropicProvider(each) if each.wire == "anthropic" else OpenAIProvider(each) for each in map(_endpoint, (choice, *fallbacks))]
    return ModelChain([meter.model(wire, None if place else price) for place, wire in enumerate(wires)])


def open_completions(choice: ChosenModel, *, meter: Metering = _UNMETERED, price: Price | None = None) -> ModelProvider:
    """What continues a text: the provider's own completions where its wire has them, else its chat."""
    if is_openai(choice):
        return ModelChain([meter.model(OpenAICompletions(_endpoint(choice)), price)])
    return open_provider(choice, meter=meter, price=price)


def is_openai(choice: ChosenModel) -> bool:
    """Whether the provider speaks OpenAI's wire."""
    return choice.provider != OFFLINE and preset_of(choice.provider).wire == "openai"


def open_embeddings(choice: ChosenModel) -> EmbeddingProvider:
    """What makes vectors. Raises ProviderFailed where the provider's wire has none."""
    endpoint = _endpoint(choice)
    if endpoint.wire != "openai":
        raise ProviderFailed(f"{choice.provider} has no embeddings.", retryable=False)
    return OpenAIEmbeddings(endpoint)


async def list_models(choice: ChosenModel) -> Sequence[str]:
    """The ids that a provider lists, the first 2,000 of them. Raises what ModelProvider raises."""
    endpoint = _endpoint(choice)
    client = http.HttpClient(endpoint)
    try:
        answer = await client.get(endpoint.models_path)
    finally:
        await client.close()
    ids = [mapping(model).get("id") for model in listed(answer.get("data"))[:_MOST_MODELS]]
    return [model for model in ids if isinstance(model, str) and 0 < len(model) <= 200 and model.isprintable()]


def preload(choice: ChosenModel) -> None:
    """Import what the first call will need. Blocks for 0.1 to 0.3 s: for a thread, once the server is up."""
    if choice.provider != OFFLINE:
        http.preload()


def _endpoint(choice: ChosenModel) -> ProviderEndpoint:
    return ProviderEndpoint(provider=choice.provider, model=choice.model, settings=choice.settings, key=choice.key.get_secret_value())


class ModelRegistry:
    """The models that clients may name besides the agents."""

    def __init__(
        self,
        models: Mapping[str, RegisteredModel],
        lists: ListedModels,
        choose: Choose,
        *,
        offline: bool,
        default: ChosenModel | None = None,
        folder: Path | None = None,
        meter: Metering = _UNMETERED,
    ) -> None:
        """`offline`: whether the default agent has no model; then there are stand-ins here, too. `default`: that agent's model, which is named
        `<provider>/<model>` unless a configured one is. `folder`: what relative paths of files start at; None: the current one."""
        self._models = models
        named = {} if offline or default is None else {f"{default.provider}/{default.model}": default}
        self._default = {name: choice for name, choice in named.items() if name not in models}
        self._folder = folder or Path.cwd()
        self._lists = lists
        self._choose = choose
        self._meter = meter
        self._stand_ins = {name: listed for name, listed in _STAND_INS.items() if offline and name not in models}
        self._headers: dict[str, GgufHeader] = {}
        self._opened: dict[str, OpenedModel] = {}
        self._replaced: list[OpenedModel] = []
        self._unsure = 0
        self._opening = asyncio.Lock()

    async def list(self) -> Sequence[ListedModel]:
        """The default agent's model, the configured ones, then those that providers list (as of some minutes ago; a provider that fails is left
        out)."""
        own = [await self._own(name, settings) for name, settings in self._models.items()]
        return [*map(_as_itself, self._default.values()), *own, *self._stand_ins.values(), *await self._lists.all()]

    async def open(self, model_id: str) -> OpenedModel:
        """Raises ModelNotFound, or ProviderFailed with the reason why a known model is unavailable."""
        return self._opened.get(model_id) or await self._open(model_id)

    def take_over(self, new: "ModelRegistry") -> None:
        """Be as `new`, of which nothing was opened yet. Calls that run end with the models that they began with."""
        self._replaced += self._opened.values()
        self._models, self._lists, self._choose, self._default = new._models, new._lists, new._choose, new._default
        self._stand_ins, self._headers, self._opened, self._unsure = new._stand_ins, {}, {}, 0

    async def close(self) -> None:
        """Close all opened models. Safe to call twice."""
        for opened in (*self._opened.values(), *self._replaced):
            for provider in (opened.writes, opened.embeds):
                if provider is not None:
                    await provider.close()

    async def _own(self, name: str, settings: RegisteredModel) -> ListedModel:
        """A configured model as listed; a file with the facts of its header, once it could be read."""
        known = _as_listed(name, settings)
        if not settings.path or (known.context_tokens and (known.dimensions or settings.type != "embedding")):
            return known
        if name not in self._headers:
            from assistant.providers.gguf.file import header_at  # noqa: PLC0415 - only where a model is a file

            header = await asyncio.to_thread(header_at, settings.path, self._folder)
            if header is None:
                return known
            self._headers[name] = header
        header, embeds = self._headers[name], settings.type == "embedding"
        context, length = header.context(embedding=embeds), header.embedding_length if embeds else None
        return replace(known, context_tokens=known.context_tokens or context, dimensions=known.dimensions or length)

    async def _open(self, model_id: str) -> OpenedModel:
        # A provider's list may take its time: only requests for such a model wait for it.
        own = model_id in self._default or model_id in self._models or model_id in self._stand_ins
        found = None if own else await self._lists.find(model_id)
        async with self._opening:
            if model_id in self._opened:
                return self._opened[model_id]
            if found is not None:
                opened = await self._open_found(found)
            elif choice := self._default.get(model_id):
                opened = OpenedModel(listed=_as_itself(choice), writes=open_provider(choice, meter=self._meter))
            elif model_id in self._models:
                opened = await self._open_configured(model_id, self._models[model_id])
            else:
                listed = self._stand_ins[model_id]
                embeds = listed.type == "embedding"
                opened = OpenedModel(
                    listed=listed,
                    writes=None if embeds else self._meter.model(OfflineProvider()),
                    embeds=self._meter.embeddings(OfflineEmbeddings()) if embeds else None,
                )
            self._opened[model_id] = opened
            return opened

    async def _open_found(self, found: FoundModel) -> OpenedModel:
        if not found.sure:
            if self._unsure >= _MOST_UNSURE:
                raise ProviderFailed(f"{found.provider} does not list its models now, so whether it has this one is unknown.")
            self._unsure += 1
        return OpenedModel(listed=found.listed, writes=open_provider(await self._choose(found.model, found.provider), meter=self._meter))

    async def _open_configured(self, model_id: str, settings: RegisteredModel) -> OpenedModel:
        sampling, price = Sampling(temperature=settings.default_temperature), _price(settings)
        if settings.path:
            from assistant.providers.gguf.provider import open_gguf  # noqa: PLC0415 - only where a model is a file

            writes, embeds = open_gguf(model_id, settings, self._folder)
            writes, embeds = writes and self._meter.model(writes, price), embeds and self._meter.embeddings(embeds, price)
            return OpenedModel(listed=await self._own(model_id, settings), writes=writes, embeds=embeds, sampling=sampling)
        choice = await self._choose(settings.model or model_id, settings.provider)
        if choice.provider == OFFLINE and choice.remedy:
            raise ProviderFailed(f"The model '{model_id}' is unavailable: {choice.reason}.", retryable=False)
        own = {"context_tokens": settings.context_length, "vision": settings.vision}
        choice = choice.with_settings({name: value for name, value in own.items() if value is not None})
        listed = _as_listed(model_id, settings)
        if settings.type == "embedding":
            embeds = OfflineEmbeddings(settings.dimensions) if choice.provider == OFFLINE else open_embeddings(choice)
            return OpenedModel(listed=listed, embeds=self._meter.embeddings(embeds, price))
        open_model = open_completions if settings.type == "completion" else open_provider
        writes = open_model(choice, meter=self._meter, price=price)
        completes = settings.type == "completion" and is_openai(choice)
        return OpenedModel(listed=listed, writes=writes, completes=completes, sampling=sampling)


def _as_itself(choice: ChosenModel) -> ListedModel:
    """The default agent's model, without the agent."""
    return ListedModel(id=f"{choice.provider}/{choice.model}", type="chat", provider=choice.provider)


def _as_listed(model_id: str, settings: RegisteredModel) -> ListedModel:
    return ListedModel(
        id=model_id,
        type=settings.type,
        provider="local" if settings.path else settings.provider if settings.provider != "auto" else "nanobot",
        context_tokens=settings.context_length,
        dimensions=settings.dimensions,
        vision=False if settings.path else settings.vision,
        price=_price(settings),
    )


def _price(settings: RegisteredModel) -> Price | None:
    return None if settings.price is None else Price(prompt=settings.price.prompt, completion=settings.price.completion)

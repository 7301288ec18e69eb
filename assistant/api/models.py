"""GET /v1/models and /v1/models/{id}: what `model` may be."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fastapi import Request

from assistant.api.answers import ModelAnswer, ModelDetail, ModelList, PriceAnswer
from assistant.api.chat.route import name_of_workflow, names_of_agent
from assistant.api.middleware.request import principal
from assistant.contracts.errors import ModelNotFound
from assistant.contracts.models import ListedModel, ModelInfo
from assistant.contracts.turns import MAIN
from assistant.providers.registry import ModelRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpoints:
    """The default agent under its model's name, then every agent under its own, the workflows that are offered, and the models that can be asked
    themselves."""

    agents: Mapping[str, ModelInfo]
    """By id, MAIN first: the model of each."""
    registry: ModelRegistry
    workflows: Collection[str] = ()
    chat_only: bool = False
    """Whether models for anything else are left out: where they could not be asked."""
    since: int = field(default_factory=lambda: int(time.time()))

    async def index(self, request: Request) -> ModelList:
        """Those that this key may use; the first of an id is the one that answers."""
        listed = [ModelAnswer(id=one.id, object="model", created=one.created, owned_by=one.owned_by) for one in await self._all(request)]
        return ModelList(object="list", data=list({one.id: one for one in reversed(listed)}.values())[::-1])

    async def show(self, request: Request, model_id: str) -> ModelDetail:
        """With what is known of it."""
        found = next((one for one in await self._all(request) if one.id == model_id), None)
        if found is None:
            raise ModelNotFound(param="model")
        return found

    async def _all(self, request: Request) -> list[ModelDetail]:
        who = principal(request.scope)
        may_use = who.may_use
        default = self.agents[MAIN]
        agents = [self._agent(default.id, default.provider, default)] if any(map(may_use, names_of_agent(MAIN, default.id))) else []
        for agent, model in self.agents.items():
            if any(map(may_use, names_of_agent(agent, default.id))):
                agents.append(self._agent(f"agent:{agent}", "nanobot", model))
        if who.may("workflows"):
            agents += [self._workflow(name) for name in map(name_of_workflow, self.workflows) if may_use(name)]
        return [
            *agents,
            *(self._model(listed) for listed in await self.registry.list() if may_use(listed.id) and self._can_be_asked(listed)),
        ]

    def _agent(self, name: str, owner: str, model: ModelInfo) -> ModelDetail:
        return ModelDetail(
            id=name,
            object="model",
            created=self.since,
            owned_by=owner,
            type="agent",
            context_length=model.context_tokens,
            dimensions=None,
            vision=model.vision,
            price=None,
        )

    def _can_be_asked(self, listed: ListedModel) -> bool:
        return listed.type == "chat" or not self.chat_only

    def _workflow(self, name: str) -> ModelDetail:
        return ModelDetail(
            id=name,
            object="model",
            created=self.since,
            owned_by="nanobot",
            type="workflow",
            context_length=None,
            dimensions=None,
            vision=None,
            price=None,
        )

    def _model(self, listed: ListedModel) -> ModelDetail:
        price = listed.price
        return ModelDetail(
            id=listed.id,
            object="model",
            created=self.since,
            owned_by=listed.provider,
            type=listed.type,
            context_length=listed.context_tokens,
            dimensions=listed.dimensions,
            vision=listed.vision,
            price=None if price is None else PriceAnswer(prompt=price.prompt, completion=price.completion),
        )

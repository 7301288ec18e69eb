"""GET /v1/models and /v1/models/{id}: what `model` may be."""

import time
from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Literal

from fastapi import Request

from assistant.api.answers import Answer
from assistant.api.chat.route import AgentCatalog, RoutingHints, ToAgent, name_of_workflow, names_of_agent, route
from assistant.api.middleware.request import principal
from assistant.api.openapi import endpoint, errors
from assistant.contracts.errors import ModelNotFound
from assistant.contracts.models import ListedModel, ModelInfo
from assistant.contracts.records import record
from assistant.contracts.turns import MAIN
from assistant.providers.registry import ModelRegistry


class ModelAnswer(Answer):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class PriceAnswer(Answer):
    """US dollars a million tokens."""

    prompt: float
    completion: float


class ModelDetail(ModelAnswer):
    """A model with what is known of it; null: not known."""

    type: Literal["agent", "workflow", "chat", "completion", "embedding"]
    context_length: int | None = None
    dimensions: int | None = None
    vision: bool | None = None
    price: PriceAnswer | None = None


class ModelList(Answer):
    object: Literal["list"] = "list"
    data: list[ModelAnswer]


@record
class ModelEndpoints:
    """The default agent by its model's name, each agent by its own, the workflows, and the registered models."""

    agents: Mapping[str, ModelInfo]
    """The model of each agent, by the agent's id, MAIN first."""
    registry: ModelRegistry
    workflows: Collection[str] = ()
    chat_only: bool = False
    """Whether only chat models are listed: where no endpoint takes the others."""
    since: int = field(default_factory=lambda: int(time.time()))

    @endpoint("GET", "/v1/models", "List models", scope="models", responses=errors(401))
    async def index(self, request: Request) -> ModelList:
        """Those that this key may use; the first of an id is the one that answers."""
        first: dict[str, ModelAnswer] = {}
        for one in await self._all(request):
            first.setdefault(one.id, ModelAnswer(id=one.id, created=one.created, owned_by=one.owned_by))
        return ModelList(data=list(first.values()))

    @endpoint("GET", "/v1/models/{model_id:path}", "Show a model", scope="models", responses=errors(401, 404))
    async def show(self, request: Request, model_id: str) -> ModelDetail:
        """With what is known of it, by each name that a request may ask it by."""
        chosen = route(RoutingHints(model=model_id), AgentCatalog(model=self.agents[MAIN].id, agents=self.agents))
        listed = f"agent:{chosen.agent}" if isinstance(chosen, ToAgent) and model_id != self.agents[MAIN].id else model_id
        found = next((one for one in await self._all(request) if one.id == listed), None)
        if found is None:
            raise ModelNotFound(param="model")
        return found

    async def _all(self, request: Request) -> list[ModelDetail]:
        who = principal(request.scope)
        default = self.agents[MAIN]
        usable = [agent for agent in self.agents if any(map(who.may_use, names_of_agent(agent, default.id)))]
        workflows = [name for name in map(name_of_workflow, self.workflows) if who.may("workflows") and who.may_use(name)]
        models = [model for model in await self.registry.list() if who.may_use(model.id) and (model.type == "chat" or not self.chat_only)]
        return [
            *[self._agent(default.id, default.provider, default) for agent in usable if agent == MAIN],
            *[self._agent(f"agent:{agent}", "nanobot", self.agents[agent]) for agent in usable],
            *[ModelDetail(id=name, created=self.since, owned_by="nanobot", type="workflow") for name in workflows],
            *[self._model(model) for model in models],
        ]

    def _agent(self, name: str, owner: str, model: ModelInfo) -> ModelDetail:
        return ModelDetail(
            id=name, created=self.since, owned_by=owner, type="agent", context_length=model.context_tokens, vision=model.vision
        )

    def _model(self, model: ListedModel) -> ModelDetail:
        return ModelDetail(
            id=model.id,
            created=self.since,
            owned_by=model.provider,
            type=model.type,
            context_length=model.context_tokens,
            dimensions=model.dimensions,
            vision=model.vision,
            price=None if model.price is None else PriceAnswer.model_validate(model.price),
        )

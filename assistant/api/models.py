"""GET /v1/models and /v1/models/{id}: what `model` may be."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import Request

from assistant.api.middleware.scope import principal
from assistant.api.wire_answers import ModelAnswer, ModelList
from assistant.contracts.errors import ModelNotFound
from assistant.contracts.models import ModelInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The default agent under its model's name, then every agent under its own."""

    model: ModelInfo
    agents: Sequence[str]
    since: int = field(default_factory=lambda: int(time.time()))

    async def index(self, request: Request) -> ModelList:
        """Those that this key may use."""
        who = principal(request.scope)
        return ModelList(object="list", data=[answer for answer in self._all() if who.may_use(answer.id)])

    async def show(self, request: Request, model_id: str) -> ModelAnswer:
        found = next((answer for answer in self._all() if answer.id == model_id), None)
        if found is None or not principal(request.scope).may_use(model_id):
            raise ModelNotFound(param="model")
        return found

    def _all(self) -> list[ModelAnswer]:
        default = ModelAnswer(id=self.model.id, object="model", created=self.since, owned_by=self.model.provider)
        agents = [ModelAnswer(id=f"agent:{agent}", object="model", created=self.since, owned_by="nanobot") for agent in self.agents]
        return [default, *agents]

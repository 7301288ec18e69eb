"""GET /v1/models and /v1/models/{id}: what `model` may be."""

import time
from dataclasses import dataclass, field

from fastapi import Request

from assistant.api.middleware.scope import principal
from assistant.api.wire_answers import ModelAnswer, ModelList
from assistant.contracts.errors import ModelNotFound
from assistant.contracts.models import ModelInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The default agent, under its model's name."""

    model: ModelInfo
    since: int = field(default_factory=lambda: int(time.time()))

    async def index(self, request: Request) -> ModelList:
        """Those that this key may use."""
        may_use = principal(request.scope).may_use(self.model.id)
        return ModelList(object="list", data=[self._default()] if may_use else [])

    async def show(self, request: Request, model_id: str) -> ModelAnswer:
        if model_id != self.model.id or not principal(request.scope).may_use(model_id):
            raise ModelNotFound(param="model")
        return self._default()

    def _default(self) -> ModelAnswer:
        return ModelAnswer(id=self.model.id, object="model", created=self.since, owned_by=self.model.provider)

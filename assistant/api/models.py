"""GET /v1/models and /v1/models/{id}: what `model` may be."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from assistant.api.wire_answers import ModelAnswer, ModelList
from assistant.contracts.errors import ModelNotFound
from assistant.contracts.models import ModelInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The default agent under its model's name, then every agent under its own."""

    model: ModelInfo
    agents: Sequence[str]
    since: int = field(default_factory=lambda: int(time.time()))

    async def index(self) -> ModelList:
        return ModelList(object="list", data=self._all())

    async def show(self, model_id: str) -> ModelAnswer:
        found = next((answer for answer in self._all() if answer.id == model_id), None)
        if found is None:
            raise ModelNotFound(param="model")
        return found

    def _all(self) -> list[ModelAnswer]:
        default = ModelAnswer(id=self.model.id, object="model", created=self.since, owned_by=self.model.provider)
        agents = [ModelAnswer(id=f"agent:{agent}", object="model", created=self.since, owned_by="nanobot") for agent in self.agents]
        return [default, *agents]

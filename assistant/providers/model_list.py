"""What a provider lists: GET <api_base>/models, on either wire."""

from collections.abc import Sequence
from typing import Final

from assistant.providers.pieces import listed, mapping
from assistant.providers.target import Target
from assistant.providers.upstream import Upstream

_MOST: Final = 2_000


class ModelList:
    """A provider's own list."""

    def __init__(self, target: Target) -> None:
        anthropic = target.wire == "anthropic"
        headers = {"anthropic-version": "2023-06-01", "x-api-key": target.key} if anthropic else {"Authorization": f"Bearer {target.key}"}
        base = target.base.removesuffix("/v1") if anthropic else None
        self._path = "/v1/models" if anthropic else "/models"
        self._upstream = Upstream(target.endpoint(headers if target.key else {}, base=base), target.peer)

    async def ids(self) -> Sequence[str]:
        """The ids, the first 2,000 of them. Asked once: the connection is closed."""
        try:
            answer = await self._upstream.get(self._path)
        finally:
            await self._upstream.close()
        ids = [mapping(model).get("id") for model in listed(answer.get("data"))[:_MOST]]
        return [model for model in ids if isinstance(model, str) and 0 < len(model) <= 200 and model.isprintable()]


def open_provider(target: Target) -> ModelList:
    """The list of a target's provider."""
    return ModelList(target)

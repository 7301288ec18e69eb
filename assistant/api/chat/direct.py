"""A request to a registered model, as it is asked."""

from assistant.api.chat.input import ChatInput
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.ids import new_id
from assistant.contracts.models import ModelProvider, ModelRegistry, OpenedModel
from assistant.turns.direct import DirectRequest

_ELSEWHERE = {"completion": "/v1/completions", "embedding": "/v1/embeddings"}


async def direct_request(asked: ChatInput, model_id: str, registry: ModelRegistry) -> DirectRequest:
    """Raises ModelNotFound, ProviderFailed (it can't be had), InvalidRequest (it is not for chat, or has no likelihoods)."""
    opened = await registry.open(model_id)
    model, wishes = _writer(opened), asked.wishes
    if wishes.top_logprobs is not None and not model.info.logprobs:
        raise InvalidRequest(f"'logprobs' are not to be had of the model '{model_id[:100]}'.", param="logprobs")
    return DirectRequest(
        id=new_id("turn"),
        model=model,
        conversations=(asked.said,) * wishes.n,
        instructions=asked.instructions,
        tools=wishes.tools,
        tool_choice=wishes.tool_choice,
        parallel_calls=wishes.parallel_calls,
        top_logprobs=wishes.top_logprobs,
        sampling=asked.sampling.over(opened.sampling),
        stream=asked.stream,
    )


def _writer(opened: OpenedModel) -> ModelProvider:
    kind = opened.listed.type
    if opened.writes is None or kind != "chat":
        where = _ELSEWHERE.get(kind, "/v1/models")
        raise InvalidRequest(f"This model is of the type '{kind}': ask it at {where}.", param="model")
    return opened.writes

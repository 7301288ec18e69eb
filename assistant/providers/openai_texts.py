"""OpenAI's older wire for models that go on with a text: POST <api_base>/completions."""

from collections.abc import Callable
from typing import Any

import orjson

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import ModelInfo, ModelRequest
from assistant.providers.failures import stream_failure
from assistant.providers.openai import sampling_fields
from assistant.providers.openai_answer import OpenAIAnswer
from assistant.providers.pieces import listed, mapping, unheard
from assistant.providers.rendering import part_text
from assistant.providers.target import Target
from assistant.providers.upstream import Upstream


class OpenAITexts:
    """A model that goes on with the text of the user's messages. Instructions and tools are not for it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._upstream = Upstream(target.endpoint({"Authorization": f"Bearer {target.key}"} if target.key else {}), target.peer)

    @property
    def info(self) -> ModelInfo:
        return self._target.info

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
        answer = OpenAIAnswer(self._target.peer.provider)
        speak = emit if request.stream else unheard
        async with self._upstream.request("POST", "/completions", self._body(request)) as response:
            if response.content_type == "text/event-stream":
                async for batch in self._upstream.events(response):
                    for event in batch:
                        self._take(event, answer, speak)
            else:
                self._take(await self._upstream.json(response), answer, speak)
                answer.done = True
        return answer.message(request, default_model=self.info.id)

    async def probe(self) -> None:
        await self._upstream.get("/models")

    async def close(self) -> None:
        await self._upstream.close()

    def _take(self, event: dict[str, Any] | None, answer: OpenAIAnswer, emit: Callable[[str], None]) -> None:
        if event is None:
            answer.done = True
            return
        if event.get("error"):
            raise stream_failure(self._target.peer, event["error"])
        if not isinstance(event.get("choices"), list):
            who = self._target.peer.provider
            raise ProviderFailed(f"{who} answered with JSON that is not a completion. Check providers.{who}.apiBase.")
        choices = [mapping(choice) for choice in listed(event["choices"])]
        in_chat = [{"delta": {"content": choice.get("text")}, "finish_reason": choice.get("finish_reason")} for choice in choices]
        if words := answer.take({**event, "choices": in_chat}, "delta"):
            emit(words)

    def _body(self, request: ModelRequest) -> bytes:
        prompt = "".join(
            part_text(part) for message in request.messages if message.role == "user" for part in message.parts if part.kind != "image"
        )
        fields = sampling_fields(self._target, request.sampling)
        limit = fields.pop(self._target.max_tokens_field, None)
        body: dict[str, Any] = {"model": self.info.id, "prompt": prompt, **fields}
        body |= {} if limit is None else {"max_tokens": limit}
        if request.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return orjson.dumps({**body, **self._target.extra_body})


def open_provider(target: Target) -> OpenAITexts:
    """The provider for a target of this wire."""
    return OpenAITexts(target)

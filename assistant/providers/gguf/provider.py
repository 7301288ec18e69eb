"""The model and embedding ports for GGUF files."""

import asyncio
import os
from array import array
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

from assistant.contracts.causes import Payer
from assistant.contracts.errors import InvalidRequest, ProviderFailed, UnsupportedContent
from assistant.contracts.messages import AssistantMessage, Json, Message, Part, Usage
from assistant.contracts.models import EmbeddingInput, EmbeddingProvider, Embeddings, EmitText, ModelInfo, ModelProvider, ModelRequest
from assistant.providers.gguf.file import NOT_INSTALLED, NoModelFile, find_gguf, is_installed
from assistant.providers.gguf.request_queue import GgufLimits, GgufQueue, WorkerStart, worker_command
from assistant.providers.messages import build_message, count, image_text, only_texts, part_text, tool_text
from assistant.providers.settings import RegisteredModel
from assistant.providers.thoughts import SpokenAnswer
from assistant.providers.transcript_rules import assistant_text

_LOCAL: Final = "local"
_CONTEXT: Final = 8_192
"""Tokens assumed where the configuration gives no `contextLength`."""


class GgufProvider:
    """Implements ModelProvider. Refuses callable tools and images."""

    def __init__(self, info: ModelInfo, queue: GgufQueue, prepare: Callable[[], WorkerStart], *, raw: bool) -> None:
        """`raw`: complete the text of the user's messages; otherwise apply the chat template."""
        self.info = info
        self._queue = queue
        self._prepare = prepare
        self._raw = raw

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        parts = [part for message in request.messages if message.role == "user" for part in message.parts]
        self._check(request, parts)
        texts = (part_text(part) for part in parts if part.kind != "image")
        prompt: dict[str, object] = {"prompt": "".join(texts)} if self._raw else {"messages": _conversation(request)}
        spoken = SpokenAnswer()

        def pass_on() -> None:
            for text, thought in spoken.fresh():
                if request.stream:
                    emit(text, reasoning=thought)

        def collect(piece: str) -> None:
            spoken.say(piece, raw=self._raw)
            pass_on()

        ended = await self._queue.ask({**prompt, "sampling": asdict(request.sampling)}, collect)
        spoken.end()
        pass_on()
        usage = {name: count(ended, name) for name in ("prompt_tokens", "completion_tokens", "cached_tokens")}
        return build_message(
            request,
            provider=_LOCAL,
            model=self.info.id,
            spoken=spoken,
            calls=(),
            reason="length" if ended["end"] == "length" else "stop",
            usage=Usage(**usage),
        )

    async def probe(self) -> None:
        """Checks that the file exists and llama.cpp is installed. Loads nothing."""
        await asyncio.to_thread(self._prepare)

    async def close(self) -> None:
        await self._queue.close()

    def _check(self, request: ModelRequest, parts: Sequence[Part]) -> None:
        name = self.info.id
        if request.tools and request.may_call and request.tool_choice != "none":
            words = f"The model '{name}' is a local file, and can't call tools. Leave 'tools' out, or serve the file with an engine that has them."
            raise InvalidRequest(words, param="tools")
        if any(part.kind == "image" and part.attachment_id in request.images for part in parts):
            raise UnsupportedContent(f"The model '{name}' does not take images.", param="messages")


class GgufEmbeddings:
    """Implements EmbeddingProvider. Vectors have length 1 and the file's own number of dimensions."""

    def __init__(self, info: ModelInfo, queue: GgufQueue) -> None:
        self.info = info
        self._queue = queue

    async def embed(
        self,
        inputs: Sequence[EmbeddingInput],
        dimensions: int | None,
        extra_fields: Mapping[str, Json] | None = None,
        payer: Payer | None = None,
    ) -> Embeddings:
        texts = only_texts(inputs)
        vectors: list[tuple[float, ...]] = []
        fields = {"texts": texts, "dimensions": dimensions}
        ended = await self._queue.ask(fields, lambda piece: vectors.append(_vector(piece)))
        if len(vectors) != len(texts) or not all(vectors):
            raise ProviderFailed(f"The model '{self.info.id}' returned an unreadable vector.", retryable=False)
        return Embeddings(vectors=tuple(vectors), prompt_tokens=count(ended, "prompt_tokens"), model=self.info.id)

    async def close(self) -> None:
        await self._queue.close()


def open_gguf(
    model_id: str, settings: RegisteredModel, folder: Path, *, limits: GgufLimits | None = None, command: Sequence[str] = ()
) -> tuple[ModelProvider | None, EmbeddingProvider | None]:
    """The provider of a model with a `path`: of chats and completions, or of embeddings. Reads no file and starts no process yet.

    `folder`: base of a relative path. `limits`: replaces those of the settings. `command`: replaces the worker's command.
    """
    prepare = partial(_start, model_id, settings, folder, tuple(command))
    queue = GgufQueue(model_id, prepare, limits or GgufLimits(queue=settings.queue, idle=settings.idle_seconds))
    info = ModelInfo(id=model_id, provider=_LOCAL, context_tokens=settings.context_length or _CONTEXT, vision=False)
    if settings.type == "embedding":
        return None, GgufEmbeddings(info, queue)
    return GgufProvider(info, queue, prepare, raw=settings.type == "completion"), None


def _start(model_id: str, settings: RegisteredModel, folder: Path, command: Sequence[str]) -> WorkerStart:
    """Blocks. Raises ProviderFailed if there is no file or no llama.cpp."""
    if not command and not is_installed():
        raise ProviderFailed(f"The model '{model_id}' {NOT_INSTALLED}.", retryable=False)
    try:
        file = find_gguf(settings.path or "", folder)
    except NoModelFile as error:
        raise ProviderFailed(f"The model '{model_id}' {error}.", retryable=False) from None
    load = {
        "path": str(file),
        "type": settings.type,
        "context": settings.context_length,
        "threads": settings.threads or max(1, (os.cpu_count() or 1) // 2),
        "gpu_layers": settings.gpu_layers,
        "dimensions": settings.dimensions,
    }
    return command or worker_command(file), load


def _conversation(request: ModelRequest) -> list[dict[str, str]]:
    """Messages with a role and a text, which every chat template takes. Tool calls and results in the history become text."""
    said = [("assistant" if message.role == "assistant" else "user", _content(message)) for message in request.messages]
    system = [("system", "\n\n".join(request.instructions))] if request.instructions else []
    return [{"role": role, "content": content} for role, content in [*system, *said]]


def _content(message: Message) -> str:
    if message.role == "user":
        shown = [image_text(part, shown=False, vision=False) if part.kind == "image" else part_text(part) for part in message.parts]
        return "\n\n".join(shown)
    if message.role == "tool":
        return f"[Result of {message.name}]\n{tool_text(message)}"
    calls = [f"[Called {call.name} with {call.arguments}]" for call in message.tool_calls]
    return "\n\n".join([*([assistant_text(message)] if assistant_text(message) else []), *calls])


def _vector(piece: str) -> tuple[float, ...]:
    """Decodes base64 of 32-bit floats; empty if that fails."""
    values = array("f")
    try:
        values.frombytes(b64decode(piece))
    except ValueError:
        return ()
    return tuple(values)

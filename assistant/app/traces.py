"""Traces by OpenTelemetry, where `traces.endpoint` is set: a span for each turn, model call and tool call. They hold names and numbers, no words.

The names are those of the GenAI conventions (semantic-conventions-genai 0.1.0), which are still in development: they are in this file alone.
"""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from pydantic import SecretStr

from assistant import __version__
from assistant.agent.toolbox import Toolbox
from assistant.contracts.causes import Payer
from assistant.contracts.errors import NanobotError
from assistant.contracts.ledger import Metering
from assistant.contracts.messages import AssistantMessage, Json, ToolCall, ToolMessage, Usage
from assistant.contracts.models import (
    EmbeddingInput,
    EmbeddingProvider,
    Embeddings,
    EmitText,
    ModelInfo,
    ModelProvider,
    ModelRequest,
    Price,
)
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import Emit, TurnFinished, TurnRequest
from assistant.turns.handle import LaneTicket, RunningTurn
from assistant.turns.service import Turns

OPERATION: Final = "gen_ai.operation.name"
AGENT: Final = "gen_ai.agent.name"
PROVIDER: Final = "gen_ai.provider.name"
ASKED_MODEL: Final = "gen_ai.request.model"
MODEL: Final = "gen_ai.response.model"
MAX_TOKENS: Final = "gen_ai.request.max_tokens"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOOL: Final = "gen_ai.tool.name"
TOOL_CALL: Final = "gen_ai.tool.call.id"
ERROR: Final = "error.type"
TURN: Final = "nanobot.turn.id"
CAUSE: Final = "nanobot.cause"
_SECONDS: Final = 2.0
"""That the collector may take for a batch: a stop waits for it, too."""


class Traces:
    """Makes the traced ones of what is built."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("nanobot", __version__)

    def metering(self, meter: Metering) -> Metering:
        return TracedMetering(meter, self._tracer)

    def toolbox(self, *args: Any, **kwargs: Any) -> Toolbox:
        box = TracedToolbox(*args, **kwargs)
        box.tracer = self._tracer
        return box

    def turns(self, **kwargs: Any) -> Turns:
        turns = TracedTurns(**kwargs)
        turns.tracer = self._tracer
        return turns

    async def close(self) -> None:
        """Send what is left, once."""
        await asyncio.to_thread(self._provider.shutdown)


def open_traces(endpoint: str, headers: Mapping[str, SecretStr]) -> Traces:
    """Nothing is connected before the first span ends. What the collector does not take is dropped, in a thread of its own."""
    provider = TracerProvider(resource=Resource({"service.name": "nanobot", "service.version": __version__}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(
        endpoint=endpoint, headers={name: value.get_secret_value() for name, value in headers.items()}, timeout=_SECONDS
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider)


@contextmanager
def _span(tracer: Tracer, operation: str, name: str, kind: SpanKind = SpanKind.INTERNAL) -> Generator[Span]:
    """A span that is the parent of those within. An error is told by its code: its text may hold words."""
    with tracer.start_as_current_span(
        f"{operation} {name}", kind=kind, attributes={OPERATION: operation}, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            _failed(span, error.code if isinstance(error, NanobotError) else type(error).__qualname__)
            raise


def _failed(span: Span, why: str) -> None:
    span.set_attribute(ERROR, why)
    span.set_status(StatusCode.ERROR)


def _used(span: Span, usage: Usage) -> None:
    named = (INPUT_TOKENS, usage.prompt_tokens), (OUTPUT_TOKENS, usage.completion_tokens), (CACHED_TOKENS, usage.cached_tokens)
    for name, tokens in (*named, (REASONING_TOKENS, usage.reasoning_tokens)):
        if tokens:
            span.set_attribute(name, tokens)


class TracedTurns(Turns):
    tracer: Tracer

    async def _answer(self, request: TurnRequest, turn: RunningTurn, place: LaneTicket, *, meters: bool) -> TurnFinished:
        with _span(self.tracer, "invoke_agent", request.agent) as span:
            span.set_attributes({AGENT: request.agent, TURN: request.id, CAUSE: request.cause.kind})
            end = await super()._answer(request, turn, place, meters=meters)
            span.set_attributes({MODEL: end.model, FINISH_REASONS: [end.finish_reason]})
            _used(span, end.usage)
            return end


class TracedToolbox(Toolbox):
    tracer: Tracer

    async def _run_one(self, call: ToolCall, ctx: ToolContext, emit: Emit) -> ToolMessage:
        with _span(self.tracer, "execute_tool", call.name) as span:
            span.set_attributes({TOOL: call.name, TOOL_CALL: call.id})
            message = await super()._run_one(call, ctx, emit)
            if not message.ok:
                _failed(span, "tool_failed")
            return message


class TracedMetering:
    """Implements Metering: puts a span around the meter, so that a call that a budget refuses shows, too."""

    def __init__(self, meter: Metering, tracer: Tracer) -> None:
        self._meter = meter
        self._tracer = tracer

    def model(self, provider: ModelProvider, price: Price | None = None) -> ModelProvider:
        return TracedModel(self._meter.model(provider, price), self._tracer)

    def embeddings(self, provider: EmbeddingProvider, price: Price | None = None) -> EmbeddingProvider:
        return TracedEmbeddings(self._meter.embeddings(provider, price), self._tracer)


class TracedModel:
    """Implements ModelProvider."""

    def __init__(self, model: ModelProvider, tracer: Tracer) -> None:
        self.info: ModelInfo = model.info
        self._model = model
        self._tracer = tracer

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        with _span(self._tracer, "chat", self.info.id, SpanKind.CLIENT) as span:
            span.set_attributes({PROVIDER: self.info.provider, ASKED_MODEL: self.info.id})
            if request.sampling.max_tokens is not None:
                span.set_attribute(MAX_TOKENS, request.sampling.max_tokens)
            answer = await self._model.complete(request, emit)
            span.set_attributes({MODEL: answer.model, FINISH_REASONS: [answer.finish_reason]})
            _used(span, answer.usage)
            return answer

    async def probe(self) -> None:
        await self._model.probe()

    async def close(self) -> None:
        await self._model.close()


class TracedEmbeddings:
    """Implements EmbeddingProvider."""

    def __init__(self, model: EmbeddingProvider, tracer: Tracer) -> None:
        self.info: ModelInfo = model.info
        self._model = model
        self._tracer = tracer

    async def embed(
        self,
        inputs: Sequence[EmbeddingInput],
        dimensions: int | None,
        extra_fields: Mapping[str, Json] | None = None,
        payer: Payer | None = None,
    ) -> Embeddings:
        with _span(self._tracer, "embeddings", self.info.id, SpanKind.CLIENT) as span:
            span.set_attributes({PROVIDER: self.info.provider, ASKED_MODEL: self.info.id})
            made = await self._model.embed(inputs, dimensions, extra_fields, payer)
            _used(span, Usage(prompt_tokens=made.prompt_tokens))
            return made

    async def close(self) -> None:
        await self._model.close()

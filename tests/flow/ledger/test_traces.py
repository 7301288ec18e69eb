"""Spans reach the configured collector, with names and numbers and no words."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.doubles.model_server import ModelServer

from .house import ledger_house

SECRET_WORDS = "kingfisher"


class Collector:
    """Takes traces by OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.keys: set[str | None] = set()

    async def take(self, request: web.Request) -> web.Response:
        assert request.path == "/v1/traces"
        self.keys.add(request.headers.get("x-key"))
        self.bodies.append(await request.read())
        return web.Response()

    @property
    def spans(self) -> list[Any]:
        sent = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [span for each in sent for resource in each.resource_spans for scope in resource.scope_spans for span in scope.spans]


@asynccontextmanager
async def collecting() -> AsyncGenerator[tuple[Collector, str]]:
    collector, app = Collector(), web.Application()
    app.router.add_post("/{path:.*}", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield collector, f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    finally:
        await runner.cleanup()


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


async def test_a_turn_its_calls_and_its_tools_are_spans_of_one_trace(tmp_path: Path, upstream: ModelServer) -> None:
    url = f"sqlite:///{tmp_path / 'nanobot.db'}"
    async with collecting() as (collector, endpoint):
        traces = {"endpoint": endpoint, "headers": {"x-key": "k"}}
        async with ledger_house(tmp_path, upstream, url, traces=traces, budgets=[{"of": "cause:job", "tokens": 1}]) as house:
            answers = await asyncio.gather(
                house.chat(f"CALLTOOL list_attachments {{}} {SECRET_WORDS}", session_id=SECRET_WORDS),
                house.client.post("/v1/embeddings", json={"model": "vectors", "input": SECRET_WORDS}),
            )
            assert [answer.status_code for answer in answers] == [200, 200]
            upstream.configure(mode="401")
            assert (await house.chat(SECRET_WORDS, model="plain")).status_code == 502
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"invoke_agent main", "chat fake-model", "execute_tool list_attachments", "embeddings vectors"}
    turn = spans["invoke_agent main"]
    calls = [span for span in collector.spans if span.name == "chat fake-model" and span.parent_span_id]
    assert len(calls) == 2
    assert {span.parent_span_id for span in [*calls, spans["execute_tool list_attachments"]]} == {turn.span_id}
    told = attributes(calls[0])
    assert (told["gen_ai.operation.name"], told["gen_ai.provider.name"], told["gen_ai.usage.input_tokens"]) == ("chat", "custom", 100)
    assert attributes(turn)["gen_ai.agent.name"] == "main"
    (failed,) = [span for span in collector.spans if span.name == "chat fake-model" and not span.parent_span_id]
    assert attributes(failed)["error.type"] == "provider_error"
    assert collector.keys == {"k"}
    assert SECRET_WORDS.encode() not in b"".join(collector.bodies)


async def test_a_collector_that_is_gone_costs_no_answer(tmp_path: Path, upstream: ModelServer) -> None:
    traces = {"endpoint": "http://127.0.0.1:9/v1/traces"}
    async with ledger_house(tmp_path, upstream, f"sqlite:///{tmp_path / 'nanobot.db'}", traces=traces) as house:
        assert (await house.chat()).status_code == 200


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    code = "import assistant.app.runtime, sys; print(*[name for name in sys.modules if name.startswith(('opentelemetry', 'genai_prices'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {name for name in done.stdout.split() if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "genai_prices"))}

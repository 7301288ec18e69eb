"""What every ModelProvider promises, over every implementation of the port; the models are a stand-in on loopback."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import EmitText, ModelProvider, ModelRequest
from assistant.providers.chain import ModelChain
from assistant.providers.gguf.provider import open_gguf
from assistant.providers.offline import OfflineProvider
from assistant.providers.settings import RegisteredModel
from tests.doubles.model_server import ModelServer

from .gguf_models import WORKER
from .samples import PICTURE, REPORT, ROUND, into, request, unheard, user, wire_provider

REMOTE = ["openai", "anthropic", "retry", "fallback"]
ALL = [*REMOTE, "offline", "file"]


def file_provider(folder: Path) -> ModelProvider:
    (folder / "tiny.gguf").write_bytes(b"GGUF")
    made, _ = open_gguf("tiny", RegisteredModel(path="tiny.gguf"), folder, command=WORKER)
    assert made is not None
    return made


class WithoutTools:
    """A provider that takes none, asked as the others are."""

    def __init__(self, inner: ModelProvider) -> None:
        self._inner = inner
        self.info, self.probe, self.close = inner.info, inner.probe, inner.close

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        return await self._inner.complete(replace(request, tools=()), emit)


@pytest.fixture
async def provider(server: ModelServer, kind: str, tmp_path: Path) -> AsyncIterator[ModelProvider]:
    made: ModelProvider
    match kind:
        case "file":
            made = WithoutTools(file_provider(tmp_path))
        case "retry":
            made = ModelChain([wire_provider(server)])
        case "fallback":
            made = ModelChain([wire_provider(server), OfflineProvider()])
        case "offline":
            made = OfflineProvider()
        case _:
            made = wire_provider(server, kind)
    yield made
    await made.close()


@pytest.mark.parametrize("kind", ALL)
async def test_the_pieces_of_a_stream_joined_are_the_answer(provider: ModelProvider) -> None:
    pieces: list[str] = []
    message = await provider.complete(request(stream=True), into(pieces))
    assert message.text
    assert "".join(pieces) == message.text
    assert len(pieces) > 1
    assert all(pieces)


@pytest.mark.parametrize("kind", ALL)
async def test_an_answer_that_nobody_streams_is_whole_and_counted(provider: ModelProvider) -> None:
    pieces: list[str] = []
    message = await provider.complete(request(), into(pieces))
    assert message.text
    assert "".join(pieces) in {"", message.text}
    assert message.finish_reason == "stop"
    assert message.usage.prompt_tokens > 0
    assert message.usage.completion_tokens > 0
    assert message.model
    assert message.cut_off is None


@pytest.mark.parametrize("kind", ALL)
async def test_two_answers_have_different_ids(provider: ModelProvider) -> None:
    first, second = [await provider.complete(request(), unheard) for _ in range(2)]
    assert first.id != second.id
    assert first.id.startswith("msg_")


@pytest.mark.parametrize("kind", REMOTE)
@pytest.mark.parametrize("stream", [False, True])
async def test_tool_calls_come_back_with_name_arguments_and_id(provider: ModelProvider, stream: bool) -> None:
    message = await provider.complete(request('CALLTOOL read_file {"path": "ä.txt"}', stream=stream), unheard)
    assert message.finish_reason == "tool_calls"
    [call] = message.tool_calls
    assert call.name == "read_file"
    assert "ä.txt" in call.arguments
    assert call.id


@pytest.mark.parametrize("kind", ALL[:-1])
async def test_a_history_with_tools_files_and_pictures_is_taken(provider: ModelProvider) -> None:
    asked = request(messages=(*ROUND, user("and this?", id="msg_5")))
    asked = type(asked)(
        instructions=asked.instructions,
        messages=(*asked.messages, type(user(""))(id="msg_6", parts=(REPORT, PICTURE))),
        images={"att_1": b"\x89PNG"},
    )
    assert (await provider.complete(asked, unheard)).text


@pytest.mark.parametrize("kind", REMOTE)
async def test_what_is_said_is_any_unicode(provider: ModelProvider) -> None:
    pieces: list[str] = []
    message = await provider.complete(request("ECHO 𝔘nicode \\u0000 😀 \u2028 end", stream=True), into(pieces))
    assert message.text == "𝔘nicode \\u0000 😀 \u2028 end"
    assert "".join(pieces) == message.text


@pytest.mark.parametrize("kind", REMOTE)
async def test_a_cancelled_call_closes_its_connection(provider: ModelProvider, server: ModelServer) -> None:
    server.configure(mode="hang")
    call = asyncio.create_task(provider.complete(request(stream=True), unheard))
    async with asyncio.timeout(30):
        await server.until(lambda stats: stats.inflight == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.until(lambda stats: not stats.inflight and not stats.connections)


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_a_call_cancelled_in_the_middle_of_the_answer_closes_its_connection(provider: ModelProvider, server: ModelServer) -> None:
    server.configure(chunk_delay_ms=20, chunks=500)
    heard = asyncio.Event()
    call = asyncio.create_task(provider.complete(request(stream=True), lambda _, /, *, reasoning=False: heard.set()))
    async with asyncio.timeout(30):
        await heard.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.until(lambda stats: not stats.connections)


@pytest.mark.parametrize("kind", ["openai", "anthropic", "retry", "offline", "file"])
async def test_a_probe_returns_when_all_is_well(provider: ModelProvider) -> None:
    await provider.probe()


@pytest.mark.parametrize("kind", ["openai", "anthropic", "retry"])
async def test_a_probe_with_a_refused_key_fails(provider: ModelProvider, server: ModelServer) -> None:
    server.configure(mode="401")
    with pytest.raises(ProviderFailed):
        await provider.probe()


@pytest.mark.parametrize("kind", ALL)
async def test_closing_twice_is_safe(provider: ModelProvider) -> None:
    await provider.complete(request(), unheard)
    await provider.close()
    await provider.close()


@pytest.mark.parametrize("kind", REMOTE)
async def test_many_calls_at_once_share_one_provider(provider: ModelProvider) -> None:
    answers = await asyncio.gather(*[provider.complete(request(f"ECHO {n}", stream=bool(n % 2)), unheard) for n in range(60)])
    assert [answer.text for answer in answers] == [str(n) for n in range(60)]

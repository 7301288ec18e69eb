"""Every way in which a provider fails is an error of its own kind, before any word and after; none of them quotes a key."""

import asyncio
import logging

import pytest

from assistant.contracts.errors import (
    ContextLengthExceeded,
    NanobotError,
    ProviderFailed,
    ProviderOverloaded,
    ProviderTimeout,
    RequestRefused,
)
from assistant.contracts.models import ModelProvider
from tests.doubles.model_server import ModelServer

from .samples import KEY, into, request, unheard, wire_provider

WIRES = ["openai", "anthropic"]
BOTH = pytest.mark.parametrize("wire", WIRES)
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


async def failure(provider: ModelProvider, *, stream: bool = False, heard: list[str] | None = None) -> NanobotError:
    try:
        async with asyncio.timeout(30):
            with pytest.raises(NanobotError) as caught:
                await provider.complete(request(stream=stream), into(heard) if heard is not None else unheard)
    finally:
        await provider.close()
    assert KEY not in caught.value.message
    assert "SECRET" not in caught.value.message
    return caught.value


@BOTH
async def test_the_log_says_with_which_status_a_provider_refused(server: ModelServer, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server.configure(mode="401")
    await failure(wire_provider(server, wire))
    assert "status=401" in caplog.text
    assert KEY not in caplog.text


@BOTH
@STREAM
@pytest.mark.parametrize(
    ("mode", "kind", "retryable"),
    [
        ("400", RequestRefused, False),
        ("401", ProviderFailed, False),
        ("403", ProviderFailed, False),
        ("404", ProviderFailed, False),
        ("429", ProviderOverloaded, True),
        ("quota", ProviderOverloaded, False),
        ("500", ProviderFailed, True),
        ("503", ProviderOverloaded, True),
        ("529", ProviderOverloaded, True),
        ("redirect", ProviderFailed, False),
        ("garbage", ProviderFailed, True),
        ("html", ProviderFailed, True),
        ("empty", ProviderFailed, True),
        ("drop", ProviderFailed, True),
        ("precut", ProviderFailed, True),
        ("midcut", ProviderFailed, True),
        ("nodone", ProviderFailed, True),
        ("garbage_sse", ProviderFailed, True),
        ("stream_error", ProviderOverloaded, True),
    ],
)
async def test_each_fault_is_an_error_of_its_kind(
    server: ModelServer, wire: str, stream: bool, mode: str, kind: type[ProviderFailed], retryable: bool
) -> None:
    server.configure(mode=mode)
    error = await failure(wire_provider(server, wire), stream=stream)
    assert type(error) is kind
    assert isinstance(error, ProviderFailed)
    assert error.retryable is retryable
    assert wire in error.message


@BOTH
async def test_a_conversation_too_long_is_not_the_providers_failure(server: ModelServer, wire: str) -> None:
    server.configure(mode="context")
    error = await failure(wire_provider(server, wire))
    assert type(error) is ContextLengthExceeded
    assert "some-model" in error.message


@BOTH
async def test_a_refused_key_names_what_to_check_and_never_the_key(server: ModelServer, wire: str) -> None:
    server.configure(mode="401")
    error = await failure(wire_provider(server, wire))
    assert f"{wire.upper()}_API_KEY or providers.{wire}.apiKey" in error.message
    assert "bad key [redacted]" in error.message


@BOTH
async def test_a_key_that_the_provider_quotes_is_redacted_in_every_form(server: ModelServer, wire: str) -> None:
    body = f'{{"error": {{"message": "key {KEY} and Bearer {KEY} and {KEY[:14]}..."}}}}'.encode()
    server.replies.append(b"HTTP/1.1 418 Teapot\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    error = await failure(wire_provider(server, wire))
    assert KEY[:14] not in error.message


@BOTH
@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("", None)])
async def test_retry_after_is_passed_on(server: ModelServer, wire: str, header: str, seconds: float | None) -> None:
    server.configure(mode="429", retry_after=header)
    assert (await failure(wire_provider(server, wire))).retry_after == seconds


@BOTH
@STREAM
async def test_silence_ends_in_a_timeout(server: ModelServer, wire: str, stream: bool) -> None:
    server.configure(mode="hang")
    error = await failure(wire_provider(server, wire, idle_timeout=0.05), stream=stream)
    assert type(error) is ProviderTimeout
    assert "0.05 seconds" in error.message


@BOTH
async def test_a_stream_that_falls_silent_ends_in_a_timeout_after_its_words(server: ModelServer, wire: str) -> None:
    server.configure(chunk_delay_ms=60_000)
    error = await failure(wire_provider(server, wire, idle_timeout=0.05), stream=True)
    assert type(error) is ProviderTimeout


@BOTH
async def test_a_cut_after_the_first_words_is_a_failure_though_words_were_heard(server: ModelServer, wire: str) -> None:
    server.configure(mode="midcut")
    heard: list[str] = []
    await failure(wire_provider(server, wire), stream=True, heard=heard)
    assert heard


@BOTH
async def test_an_error_inside_the_stream_quotes_the_provider_without_its_secrets(server: ModelServer, wire: str) -> None:
    server.configure(mode="stream_error")
    heard: list[str] = []
    error = await failure(wire_provider(server, wire), stream=True, heard=heard)
    assert heard
    assert "fake overload [redacted]" in error.message


@BOTH
async def test_a_sign_in_page_is_named_by_its_content_type_not_quoted(server: ModelServer, wire: str) -> None:
    server.configure(mode="html")
    error = await failure(wire_provider(server, wire))
    assert "text/html" in error.message
    assert "apiBase" in error.message
    assert "Sign in" not in error.message


@BOTH
async def test_a_redirect_is_not_followed_with_the_key(server: ModelServer, wire: str) -> None:
    server.configure(mode="redirect")
    assert "redirect (302)" in (await failure(wire_provider(server, wire))).message


@BOTH
async def test_a_server_that_is_not_running_is_said_to_be_out_of_reach(wire: str) -> None:
    async with ModelServer() as gone:
        provider = wire_provider(gone, wire)
    error = await failure(provider)
    assert f"http://127.0.0.1:{gone.port}" in error.message
    assert "Is it running?" in error.message


@BOTH
async def test_one_refused_key_does_not_spoil_the_next_request(server: ModelServer, wire: str) -> None:
    server.configure(mode="401", fail_first=1)
    provider = wire_provider(server, wire)
    with pytest.raises(ProviderFailed):
        await provider.complete(request(), unheard)
    assert (await provider.complete(request("ECHO fine"), unheard)).text == "fine"
    await provider.close()


@BOTH
async def test_an_idle_connection_that_the_server_closed_is_not_an_error(server: ModelServer, wire: str) -> None:
    """The server's end and our request cross: the reset comes when the request is under way."""
    provider = wire_provider(server, wire)
    await provider.complete(request(), unheard)
    server.configure(mode="drop", fail_first=1)
    assert (await provider.complete(request("ECHO again"), unheard)).text == "again"
    assert server.stats.requests == 3
    await provider.close()


@BOTH
async def test_idle_connections_that_the_server_closed_together_are_no_error_for_requests_side_by_side(
    server: ModelServer, wire: str
) -> None:
    provider = wire_provider(server, wire)
    await asyncio.gather(*(provider.complete(request(), unheard) for _ in range(3)))
    server.configure(mode="drop", fail_first=3)
    answers = await asyncio.gather(*(provider.complete(request("ECHO again"), unheard) for _ in range(3)))
    assert [answer.text for answer in answers] == ["again"] * 3
    assert server.stats.requests == 9
    await provider.close()


@BOTH
async def test_a_new_connection_that_drops_is_not_asked_again(server: ModelServer, wire: str) -> None:
    server.configure(mode="drop")
    await failure(wire_provider(server, wire))
    assert server.stats.requests == 1


@BOTH
async def test_an_answer_larger_than_the_limit_is_refused(server: ModelServer, wire: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    server.replies.append(head + b" " * (33 * 1024 * 1024))
    assert "32 MiB" in (await failure(wire_provider(server, wire))).message


@BOTH
async def test_an_event_larger_than_the_limit_is_refused(server: ModelServer, wire: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    server.replies.append(head + b"data: " + b"x" * (5 * 1024 * 1024))
    assert "larger than the limit" in (await failure(wire_provider(server, wire), stream=True)).message


@BOTH
@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'{"choices": []}', b'{"choices": [7]}', b'{"choices": [{"message": 7}]}', b'{"content": [7]}', b'"x"', b"null",
     b'{"choices": [{"message": {"tool_calls": [7], "content": {"a": 1}}}], "usage": 7}'],
)  # fmt: skip
async def test_json_of_another_shape_is_a_failure_not_a_crash(server: ModelServer, wire: str, body: bytes) -> None:
    server.replies.append(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    assert isinstance(await failure(wire_provider(server, wire)), ProviderFailed)

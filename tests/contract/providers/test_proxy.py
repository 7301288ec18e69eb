"""Which way a request takes: through the proxy that is configured or in the environment, and never through one on this machine."""

import pytest

from assistant.contracts.errors import ProviderFailed
from tests.doubles.model_server import ModelServer

from .samples import request, unheard, wire_provider

ELSEWHERE = "http://model.invalid/v1"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_configured_proxy_is_asked_for_what_is_elsewhere(server: ModelServer) -> None:
    provider = wire_provider(server, apiBase=ELSEWHERE, proxy=f"http://127.0.0.1:{server.port}")
    assert (await provider.complete(request("ECHO there"), unheard)).text == "there"
    assert server.heads[-1].startswith(f"POST {ELSEWHERE}/chat/completions ")
    await provider.close()


async def test_the_environments_proxy_is_asked_for_what_is_elsewhere(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
    provider = wire_provider(server, apiBase=ELSEWHERE)
    assert (await provider.complete(request("ECHO there"), unheard)).text == "there"
    await provider.close()


async def test_no_proxy_is_asked_for_what_is_here(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    provider = wire_provider(server, proxy="http://proxy.invalid:3128")
    assert (await provider.complete(request("ECHO here"), unheard)).text == "here"
    await provider.close()


async def test_a_proxy_of_another_kind_is_refused_in_words(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    provider = wire_provider(server, apiBase=ELSEWHERE)
    with pytest.raises(ProviderFailed, match="Only http:// proxies"):
        await provider.complete(request(), unheard)
    await provider.close()

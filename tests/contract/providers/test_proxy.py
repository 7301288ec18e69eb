"""Which way a request takes: through the proxy that is configured or in the environment, and never through one on this machine."""

import pytest

from assistant.contracts.errors import ProviderFailed
from tests.doubles.model_server import ModelServer
from tests.doubles.proxy import ProxyServer

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


@pytest.mark.parametrize("login", [None, ("me", "secret")])
@pytest.mark.parametrize("kind", ["http", "socks"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy", None])
async def test_every_kind_of_proxy_is_gone_through(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, kind: str, variable: str | None, login: tuple[str, str] | None
) -> None:
    async with ProxyServer(to=server.port, login=login) as proxy:
        url = proxy.http if kind == "http" else proxy.socks
        if variable is not None:
            monkeypatch.setenv(variable, url)
        provider = wire_provider(server, apiBase=ELSEWHERE, **({} if variable else {"proxy": url}))
        assert (await provider.complete(request("ECHO there"), unheard)).text == "there"
        await provider.close()
    assert proxy.asked == ["SOCKS model.invalid:80" if kind == "socks" else f"POST {ELSEWHERE}/chat/completions"]


@pytest.mark.parametrize(("kind", "words"), [("http", "the proxy answered with 503"), ("socks", "by the SOCKS proxy")])
async def test_a_proxy_that_refuses_is_told(server: ModelServer, kind: str, words: str) -> None:
    async with ProxyServer(to=server.port, refuses=True) as proxy:
        base = "https://model.invalid/v1" if kind == "http" else ELSEWHERE
        provider = wire_provider(server, apiBase=base, proxy=getattr(proxy, kind))
        with pytest.raises(ProviderFailed, match=words):
            await provider.complete(request(), unheard)
        await provider.close()


async def test_a_proxy_of_another_kind_is_refused_in_words(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "ftp://me:secret@127.0.0.1:1")
    provider = wire_provider(server, apiBase=ELSEWHERE)
    with pytest.raises(ProviderFailed, match=r"The proxy of ALL_PROXY can't be used.*providers\.\w+\.proxy") as failed:
        await provider.complete(request(), unheard)
    assert "secret" not in str(failed.value)
    await provider.close()

"""Which proxy: the setting, the environment, the exceptions."""

import pytest

from assistant.contracts.proxies import UnusableProxy, route_to

P = "http://proxy:3128"
S = "socks5://proxy:1080"


@pytest.mark.parametrize(
    ("url", "env", "expected"),
    [
        ("https://a.example", {"HTTPS_PROXY": P}, P),
        ("https://a.example", {"https_proxy": P, "HTTPS_PROXY": "http://other:1"}, P),
        ("https://a.example", {"HTTP_PROXY": P}, None),
        ("http://a.example", {"HTTP_PROXY": P}, P),
        ("wss://a.example", {"HTTPS_PROXY": P}, P),
        ("ws://a.example", {"HTTP_PROXY": P}, P),
        ("https://a.example", {"ALL_PROXY": S}, S),
        ("https://a.example", {"all_proxy": S, "HTTPS_PROXY": P}, P),
        ("https://a.example", {"HTTPS_PROXY": "proxy:3128"}, P),
        ("https://a.example", {"HTTPS_PROXY": "  "}, None),
        ("http://a.example", {"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None),
        ("https://a.example", {"ALL_PROXY": "socks5h://proxy"}, "socks5h://proxy:1080"),
        ("https://a.example", {"ALL_PROXY": "socks://me:pw@proxy"}, "socks://me:pw@proxy:1080"),
        ("https://localhost", {"HTTPS_PROXY": P}, None),
        ("https://api.localhost", {"HTTPS_PROXY": P}, None),
        ("https://127.0.0.9:99", {"HTTPS_PROXY": P}, None),
        ("http://[::1]:99", {"HTTP_PROXY": P}, None),
        ("https://a.example", {"HTTPS_PROXY": P, "NO_PROXY": "*"}, None),
        ("https://a.example", {"HTTPS_PROXY": P, "NO_PROXY": "b.example, a.example"}, None),
        ("https://x.a.example", {"HTTPS_PROXY": P, "NO_PROXY": ".a.example"}, None),
        ("https://a.example", {"HTTPS_PROXY": P, "NO_PROXY": ".a.example"}, None),
        ("https://xa.example", {"HTTPS_PROXY": P, "NO_PROXY": "a.example"}, P),
        ("https://x.a.example", {"HTTPS_PROXY": P, "NO_PROXY": "*.A.Example"}, None),
        ("https://a.example", {"HTTPS_PROXY": P, "NO_PROXY": "a.example:443"}, None),
        ("https://a.example:8443", {"HTTPS_PROXY": P, "NO_PROXY": "a.example:443"}, P),
        ("https://10.1.2.3", {"HTTPS_PROXY": P, "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://11.1.2.3", {"HTTPS_PROXY": P, "NO_PROXY": "10.0.0.0/8"}, P),
        ("https://10.1.2.3:8443", {"HTTPS_PROXY": P, "NO_PROXY": "10.1.2.3:8443"}, None),
        ("http://[fd00::5]", {"HTTP_PROXY": P, "NO_PROXY": "[fd00::5]"}, None),
        ("https://a.example", {"HTTPS_PROXY": P, "no_proxy": "b.example", "NO_PROXY": "a.example"}, P),
    ],
)
def test_the_environment_says_which(url: str, env: dict[str, str], expected: str | None) -> None:
    assert route_to(url, None, env).url == expected


def test_the_setting_is_before_the_environment_and_its_exceptions() -> None:
    assert route_to("https://a.example", S, {"HTTPS_PROXY": P, "NO_PROXY": "*"}).url == S
    assert route_to("http://127.0.0.1", S, {}).url is None
    assert (route_to("https://a.example", S, {}).http, route_to("https://a.example", P, {}).http) == (None, P)


@pytest.mark.parametrize(
    "proxy", ["ftp://proxy:1", "socks6://proxy", "http://", "http://[::1", "http://proxy:port", "socks5://:1080", "no"]
)
def test_one_that_cannot_be_used_is_refused_without_its_password(proxy: str) -> None:
    for given in (proxy, proxy.replace("://", "://me:secret@")):
        with pytest.raises(UnusableProxy) as refused:
            route_to("https://a.example", given, {})
        assert "secret" not in str(refused.value)

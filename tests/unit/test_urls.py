"""The parser of addresses of the web, and which network addresses are public."""

import pytest

from assistant.contracts.errors import ToolFailed
from assistant.contracts.tools import ToolContext
from assistant.contracts.urls import PageRefused, is_public, normal_authority, parse_url
from assistant.contracts.web import NoPages, NoWebSearch
from assistant.fetching.secrets import ConfiguredSecrets
from assistant.fetching.settings import SecretSettings, WebSettings
from tools.web import FetchPage, FetchParams, SearchParams, SearchWeb

CONTEXT = ToolContext(owner="anna", session="s", turn_id="turn_1", call_id="call_1")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("https://Example.ORG", "https://example.org/"),
        (" http://example.org:80/a?b#c ", "http://example.org/a?b"),
        ("https://example.org:8443/", "https://example.org:8443/"),
        ("https://example.org?q=1", "https://example.org/?q=1"),
        ("https://example.org./ä/%2F?ö=ü", "https://example.org/%C3%A4/%2F?%C3%B6=%C3%BC"),
        ("https://Bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://例え.jp/", "https://xn--r8jz45g.jp/"),
        ("http://[2606:4700:0:0::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("http://1.1.1.1./", "http://1.1.1.1/"),
        ("https://a_b.example.org/x;y=(1)*'!", "https://a_b.example.org/x;y=(1)*'!"),
        ("https://example.org/a%zz", "https://example.org/a%zz"),
        ("https://example.org/@user", "https://example.org/@user"),
    ],
)
def test_an_address_is_read_into_one_form(text: str, read: str) -> None:
    assert str(parse_url(text)) == read
    assert str(parse_url(read)) == read


@pytest.mark.parametrize(
    ("base", "location", "goal"),
    [
        ("https://a.example/x/y?z", "w", "https://a.example/x/w"),
        ("https://a.example/x/y", "//b.example", "https://b.example/"),
        ("https://a.example/x/y", "?q", "https://a.example/x/y?q"),
        ("https://a.example/x/y", "../../../z", "https://a.example/z"),
        ("http://a.example/", "https:///b.example/", None),
        ("http://a.example/", "//b@c.example/", None),
        ("http://a.example/", "/\\b.example/", None),
        ("http://a.example/", "ftp://b.example/", None),
        ("http://a.example/", "http://[b", None),
    ],
)
def test_links_are_joined_and_read_by_the_same_rules(base: str, location: str, goal: str | None) -> None:
    if goal:
        assert str(parse_url(base).join(location)) == goal
    else:
        with pytest.raises(PageRefused):
            parse_url(base).join(location)


@pytest.mark.parametrize(("address", "public"), [
    ("8.8.8.8", True), ("1.1.1.1", True), ("2606:4700::1111", True), ("64:ff9b::808:808", True), ("2002:808:808::1", True),
    ("::ffff:8.8.8.8", True), ("127.0.0.1", False), ("10.1.2.3", False), ("100.64.0.1", False), ("169.254.169.254", False),
    ("192.0.0.8", False), ("192.88.99.1", False), ("198.18.0.1", False), ("203.0.113.1", False), ("224.0.0.251", False), ("240.0.0.1", False),
    ("0.0.0.0", False), ("255.255.255.255", False), ("168.63.129.16", False), ("::", False), ("::1", False), ("::7f00:1", False),
    ("::ffff:127.0.0.1", False), ("::ffff:0:7f00:1", False), ("64:ff9b::7f00:1", False), ("64:ff9b:1::808:808", False),
    ("2002:7f00:1::1", False), ("2001:0:808:808:8000:63bf:80ff:fffe", False), ("2001:db8::1", False), ("fc00::1", False), ("fe80::1", False),
    ("fe80::1%lo", False), ("2606:4700::1%lo", False), ("fec0::1", False), ("ff02::1", False), ("4000::1", False), ("100::1", False),
    ("localhost", False), ("", False),
])  # fmt: skip
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("NAS.local.", ("nas.local", None)),
        ("192.168.1.10:8080", ("192.168.1.10", 8080)),
        ("[::1]:80", ("::1", 80)),
        ("0:0::1", ("::1", None)),
    ],
)
def test_a_host_of_the_configuration_is_read_likewise(text: str, read: tuple[str, int | None]) -> None:
    assert normal_authority(text) == read


@pytest.mark.parametrize(
    ("key", "value"),
    [("allow", ["http://a"]), ("allow", ["a/b"]), ("proxy", "ftp://a"), ("search", {"searxng": "nas"}), ("search", {"x": 1})],
)
def test_wrong_settings_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        WebSettings.model_validate({key: value})


@pytest.mark.parametrize(
    ("hosts", "host", "gets"),
    [
        (["api.example.org"], "api.example.org", True),
        (["api.example.org"], "API.example.org.", True),
        (["api.example.org"], "api.example.org:8443", True),
        (["api.example.org:8443"], "api.example.org", False),
        (["api.example.org:8443"], "api.example.org:8443", True),
        (["*.example.org"], "api.example.org", True),
        (["*.example.org"], "example.org", False),
        (["*.example.org"], "notexample.org", False),
        (["api.example.org"], "api.example.org.evil.test", False),
        (["api.example.org"], "api.example.org@evil.test", False),
    ],
)
def test_a_secret_is_for_its_own_hosts(hosts: list[str], host: str, gets: bool) -> None:
    secrets = ConfiguredSecrets({"key": SecretSettings.model_validate({"value": "s3cret of ours", "hosts": hosts})})
    if gets:
        assert secrets.fill("Bearer {{secret:key}}!", host) == "Bearer s3cret of ours!"
    else:
        with pytest.raises(ToolFailed, match="is not for"):
            secrets.fill("Bearer {{secret:key}}!", host)


def test_a_secret_is_hidden_in_its_usual_forms() -> None:
    secrets = ConfiguredSecrets({"key": SecretSettings.model_validate({"value": "s3cret of ours", "hosts": ["a.test"]})})
    assert secrets.hide("s3cret of ours, S3CRET%20of%20ours, czNjcmV0IG9mIG91cnM=") == "{{secret:key}}, {{secret:key}}, {{secret:key}}="
    assert ConfiguredSecrets({}).hide("nothing") == "nothing"


async def test_rules_see_the_host_and_the_query_in_one_form() -> None:
    fetch, search = FetchPage(NoPages(), None), SearchWeb(NoWebSearch())  # pyright: ignore[reportArgumentType] - no picture comes
    page, query = FetchParams.model_validate({"url": "HTTPS://Example.org.:443/x"}), SearchParams.model_validate({"query": " a\n b "})
    assert (fetch.subject(page, CONTEXT), search.subject(query, CONTEXT)) == ("example.org", "a b")
    assert fetch.subject(FetchParams.model_validate({"url": "http://example.org:8080"}), CONTEXT) == "example.org:8080"
    with pytest.raises(ToolFailed, match="can't be fetched: "):
        fetch.subject(FetchParams.model_validate({"url": "http://0x7f.1/"}), CONTEXT)
    with pytest.raises(ToolFailed, match="can't be fetched here"):
        await fetch.run(page, CONTEXT)
    with pytest.raises(ToolFailed, match="can't be searched here"):
        await search.run(query, CONTEXT)

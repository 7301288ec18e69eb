"""Addresses in messages lead to the platform's own hosts, or nowhere."""

import pytest

from channels.kit.hosts import is_at

HOSTS = ("files.example.org", ".cdn.example.org", "http://127.0.0.1:8065/api/v4")


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example.org/a?b=%2F",
        "https://FILES.example.org:443/a",
        "https://a.b.cdn.example.org/",
        "http://127.0.0.1:8065/file/1",
    ],
)
def test_at_the_platform(url: str) -> None:
    assert is_at(url, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.org/",
        "https://files.example.org:8443/",
        "https://files.example.org./",
        "https://x.files.example.org/",
        "https://cdn.example.org/",
        "https://evilcdn.example.org/",
        "https://evil.example/?.cdn.example.org",
        "https://evil.example\\.cdn.example.org/",
        "https://evil.example#.cdn.example.org",
        "https://files.example.org@evil.example/",
        "https://files.example.org%2eevil.example/",
        "https://127.0.0.1/",
        "http://127.0.0.1:8066/file/1",
        "https://127.0.0.1:8065/file/1",
        "http://127.0.0.1:8065.evil.example/",
        "http://127.0.0.1.evil.example:8065/",
        "http://[::ffff:127.0.0.1]:8065/",
        "http://[::1",
        "http://localhost:8065/",
        "file:///etc/passwd",
        "/file/1",
        "//files.example.org/",
        "files.example.org",
        "",
        "https://",
        "https://files.example.org:99999/",
    ],
)
def test_elsewhere(url: str) -> None:
    assert not is_at(url, HOSTS)


@pytest.mark.parametrize("url", ["https://example.org/", "", "/x"])
def test_without_hosts_there_is_nowhere(url: str) -> None:
    assert not is_at(url, ("",))

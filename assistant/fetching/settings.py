"""The `web` and `secrets` sections."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from assistant.contracts.proxies import UnusableProxy, route_to
from assistant.contracts.urls import PageRefused, normal_authority, parse_url
from assistant.contracts.util import Settings

ENVIRONMENT: Final = "environment"


def _authority(text: str) -> str:
    try:
        host, port = normal_authority(text)
    except PageRefused as error:
        raise ValueError(f"must be a host, or a host and a port: {error}") from None
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _secret_host(text: str) -> str:
    return f"*.{_authority(text[2:])}" if text.startswith("*.") else _authority(text)


def _address(text: str) -> str:
    try:
        return str(parse_url(text)).rstrip("/")
    except PageRefused as error:
        raise ValueError(str(error)) from None


def _proxy(text: str) -> str:
    try:
        if text != ENVIRONMENT:
            route_to("http://example.org", text)
    except UnusableProxy as error:
        raise ValueError(str(error)) from None
    return text


WebAddress = Annotated[str, AfterValidator(_address)]


class SearchSettings(Settings):
    """What `search_web` asks: those that are configured, in this order, until one answers."""

    brave_key: SecretStr | None = None
    """A key of the Brave Search API. null: it is not asked."""
    brave_url: WebAddress = "https://api.search.brave.com/res/v1/web/search"
    """Where that API is."""
    tavily_key: SecretStr | None = None
    """A key of Tavily. null: it is not asked."""
    tavily_url: WebAddress = "https://api.tavily.com/search"
    """Where that API is."""
    searxng: WebAddress | None = None
    """The address of a SearXNG, whose settings allow `format=json`: `"http://nas.local:8080"`. null: there is none."""
    ddgs: Annotated[str, Field(pattern=r"^[a-z]+(,[a-z]+)*$")] | None = "auto"
    """Search engines that are asked as a browser asks them, without a key, through the library ddgs: `"auto"`, or `"duckduckgo,brave"`. They refuse
    servers now and then. null: none."""


class WebSettings(Settings):
    allow: tuple[Annotated[str, AfterValidator(_authority)], ...] = ()
    """Hosts that pages may be fetched from although they are on a private network, by their names: `["nas.local", "192.168.1.10:3000"]`. Without a
    port, the ports 80, 443, 8080 and 8443 are meant; with one, that port. A public host on an unusual port is named here, too."""
    proxy: Annotated[str, AfterValidator(_proxy)] | None = None
    """The proxy that pages are fetched through, and searches: `"http://127.0.0.1:3128"`, or `"environment"`: that of HTTPS_PROXY and the like. It
    looks names up itself: let it refuse private addresses. null: none, whatever the environment names."""
    search: SearchSettings = SearchSettings()


class SecretSettings(Settings):
    value: SecretStr = Field(min_length=1)
    """The secret itself, or a variable of the environment that holds it: `"${GITHUB_TOKEN}"`."""
    hosts: tuple[Annotated[str, AfterValidator(_secret_host)], ...] = Field(min_length=1)
    """The hosts that may get it: `["api.github.com"]`; `"*.example.org"` means the hosts below it, `"nas.local:8080"` that port alone."""


def _secret_name(name: str) -> str:
    if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) <= 64):
        raise ValueError("a secret's name is 1 to 64 letters, digits, - and _")
    return name


SecretsSettings = dict[Annotated[str, AfterValidator(_secret_name)], SecretSettings]

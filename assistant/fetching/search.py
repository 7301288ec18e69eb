"""Searches of the web: Brave, Tavily, SearXNG, and engines that are asked without a key. Each gets ten seconds."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, Protocol, cast

import orjson

from assistant.contracts.errors import ToolFailed
from assistant.contracts.proxies import ProxyRoute, UnusableProxy, route_to
from assistant.contracts.records import record
from assistant.contracts.urls import PageRefused, parse_url
from assistant.contracts.web import FoundPage, WebAnswer
from assistant.fetching.settings import ENVIRONMENT, WebSettings

log = logging.getLogger(__name__)

SECONDS: Final = 10
_MOST_BYTES: Final = 2_000_000
_MOST_TEXT: Final = 500
_TAG: Final = re.compile(r"<[^<>]{0,100}>")
_CONFIGURE: Final = "Configure web.search: braveKey, tavilyKey, or searxng (the address of one of your own)."


class SearchUnavailable(Exception):
    """A search did not answer; why, in words."""


class SearchBackend(Protocol):
    @property
    def name(self) -> str: ...

    async def find(self, query: str, count: int) -> Sequence[FoundPage]:
        """Raises SearchUnavailable."""
        ...


class ConfiguredSearch:
    """The `WebSearch` of the section `web.search`."""

    def __init__(self, backends: Sequence[SearchBackend], *, seconds: float = SECONDS) -> None:
        """`seconds`: that each of them gets."""
        self._backends = backends
        self._seconds = seconds

    async def search(self, query: str, count: int) -> WebAnswer:
        failed: list[str] = []
        for backend in self._backends:
            try:
                async with asyncio.timeout(self._seconds):
                    pages = await backend.find(query, count)
            except TimeoutError:
                failed.append(f"{backend.name} did not answer within {self._seconds:g} seconds")
            except SearchUnavailable as error:
                failed.append(f"{backend.name}: {error}")
            else:
                log.info("web.searched by=%s found=%d", backend.name, len(pages))
                return WebAnswer(by=backend.name, pages=tuple(pages[:count]), failed=tuple(failed))
        why = "; ".join(failed) or "none is configured"
        log.warning("web.not_searched asked=%d", len(failed))
        raise ToolFailed(f"No web search answered ({why}). {_CONFIGURE}")


def configured_search(settings: WebSettings, user_agent: str) -> ConfiguredSearch:
    asked, route = settings.search, _routes(settings.proxy)
    backends: list[SearchBackend] = []
    if asked.brave_key is not None:
        key = asked.brave_key.get_secret_value()
        headers = {"X-Subscription-Token": key, "User-Agent": user_agent}
        backends.append(
            JsonSearch(
                name="Brave", url=asked.brave_url, route=route, headers=headers, lists=("web", "results"), text="description",
                most="count", refused="the key is refused (web.search.braveKey)",
            )
        )  # fmt: skip
    if asked.tavily_key is not None:
        key = asked.tavily_key.get_secret_value()
        headers = {"Authorization": f"Bearer {key}", "User-Agent": user_agent}
        backends.append(
            JsonSearch(
                name="Tavily", url=asked.tavily_url, route=route, headers=headers, lists=("results",), text="content", posts=True,
                query="query", most="max_results", refused="the key is refused (web.search.tavilyKey)",
            )
        )  # fmt: skip
    if asked.searxng is not None:
        backends.append(
            JsonSearch(
                name="SearXNG", url=f"{asked.searxng}/search", route=route, headers={"User-Agent": user_agent}, lists=("results",),
                text="content", fixed={"format": "json"}, refused="it refuses format=json; add json to search.formats in its settings.yml",
            )
        )  # fmt: skip
    if asked.ddgs is not None:
        backends.append(KeylessSearch(asked.ddgs, route))
    return ConfiguredSearch(backends)


def _routes(proxy: str | None) -> Callable[[str], ProxyRoute]:
    if proxy is None:
        return lambda url: ProxyRoute()
    return lambda url: route_to(url, None if proxy == ENVIRONMENT else proxy)


@record
class JsonSearch:
    """A search that answers in JSON."""

    name: str
    url: str
    route: Callable[[str], ProxyRoute]
    headers: Mapping[str, str]
    lists: tuple[str, ...]
    """The way to the list of what was found."""
    text: str
    """The field of what is shown of a page."""
    refused: str
    """What 401 and 403 mean."""
    posts: bool = False
    query: str = "q"
    most: str = ""
    """The parameter of how many are wanted; empty: there is none."""
    fixed: Mapping[str, str] | None = None

    async def find(self, query: str, count: int) -> Sequence[FoundPage]:
        import aiohttp  # noqa: PLC0415 - only where something is searched

        given: dict[str, Any] = {self.query: query, **(self.fixed or {}), **({self.most: count} if self.most else {})}
        sent: dict[str, Any] = {"json": given} if self.posts else {"params": given}
        try:
            route = self.route(self.url)
            async with (
                aiohttp.ClientSession(connector=route.connector(), cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.request(
                    "POST" if self.posts else "GET", self.url, headers=self.headers, proxy=route.http, allow_redirects=False, **sent
                ) as response,
            ):
                if response.status in (401, 403):
                    raise SearchUnavailable(self.refused)
                if response.status == 429:
                    raise SearchUnavailable("its limit is used up (429)")
                if response.status != 200:
                    raise SearchUnavailable(f"it answers {response.status}")
                found = orjson.loads(await _body(response))
        except (aiohttp.ClientError, OSError, UnusableProxy) as error:
            raise SearchUnavailable(f"it can't be reached ({type(error).__name__})") from None
        except ValueError:
            raise SearchUnavailable("its answer is no JSON") from None
        for name in self.lists:
            found = cast("dict[str, object]", found).get(name) if isinstance(found, dict) else None
        rows = cast("list[object]", found) if isinstance(found, list) else []
        return _pages(rows, "title", "url", self.text)


async def _body(response: Any) -> bytes:
    data = bytearray()
    async for block in response.content.iter_chunked(1 << 16):
        data += block
        if len(data) > _MOST_BYTES:
            raise SearchUnavailable("its answer is too long")
    return bytes(data)


class KeylessSearch:
    """Asks engines without a key, through ddgs, which is imported at the first search. Two at once, in threads of its own, which a
    search that is given up may hold for some seconds more."""

    name = "ddgs"

    def __init__(self, engines: str, route: Callable[[str], ProxyRoute]) -> None:
        self._engines = engines
        self._route = route
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="search")

    async def find(self, query: str, count: int) -> Sequence[FoundPage]:
        def find() -> list[object]:
            from ddgs.ddgs import DDGS  # noqa: PLC0415 - heavy, and only without a key
            from ddgs.exceptions import DDGSException  # noqa: PLC0415 - as above

            try:
                proxy = self._route("https://html.duckduckgo.com").url
                found = DDGS(proxy=proxy, timeout=SECONDS // 2).text(query, max_results=count, backend=self._engines)
            except UnusableProxy as error:
                raise SearchUnavailable(str(error)) from None
            except DDGSException as error:
                said = "nothing was found" if "No results" in str(error) else "the engines refuse, or can't be reached"
                raise SearchUnavailable(said) from None
            return list[object](found)

        found = await asyncio.get_running_loop().run_in_executor(self._threads, find)
        return _pages(found, "title", "href", "body")


def _pages(rows: Sequence[object], title: str, url: str, text: str) -> list[FoundPage]:
    """Those that could be fetched, once each, in plain words."""
    pages: dict[str, FoundPage] = {}
    for row in rows:
        fields = cast("dict[str, object]", row) if isinstance(row, dict) else {}
        with suppress(PageRefused):
            address = str(parse_url(str(fields.get(url) or "")))
            words = _plain(fields.get(text))
            pages.setdefault(address, FoundPage(title=_plain(fields.get(title))[:200], url=address, text=words[:_MOST_TEXT]))
    return list(pages.values())


def _plain(value: object) -> str:
    """Without the tags that mark the words that were searched for."""
    from html import unescape  # noqa: PLC0415 - only where something is searched

    return " ".join(unescape(_TAG.sub("", str(value or "")[:5_000])).split())

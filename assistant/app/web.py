"""Opens what reaches the web: the one fetcher, pages as text, search, and the secrets that leave by them. Nothing of it is imported before its
first use: most turns have none."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from assistant import __version__
from assistant.config import Loaded
from assistant.config.schema import Config
from assistant.contracts.documents import DocumentReader
from assistant.contracts.secrets import NoSecrets, Secrets
from assistant.contracts.web import NO_HEADERS, PageFetcher, WebAnswer, WebPage, WebSearch

if TYPE_CHECKING:
    from assistant.fetching.fetcher import SafeFetcher

_USER_AGENT = f"nanobot/{__version__}"


class OpenWeb:
    """A `PageFetcher` and a `WebSearch`."""

    def __init__(self, loaded: Loaded, reader: DocumentReader) -> None:
        """`reader`: in child processes, without a cache."""
        self._config = loaded.config
        self._reader = reader
        self._spool = loaded.home / "spool"

    @cached_property
    def secrets(self) -> Secrets:
        """For all that sends what a model wrote."""
        return open_secrets(self._config)

    @cached_property
    def fetcher(self) -> "SafeFetcher":
        """Bytes: for what is watched."""
        from assistant.fetching.fetcher import SafeFetcher  # noqa: PLC0415

        return SafeFetcher(self._config.web, self.secrets, _USER_AGENT)

    async def page(self, url: str, *, owner: str, headers: Mapping[str, str] = NO_HEADERS) -> WebPage:
        return await self._pages.page(url, owner=owner, headers=headers)

    async def search(self, query: str, count: int) -> WebAnswer:
        return await self._search.search(query, count)

    @cached_property
    def _pages(self) -> PageFetcher:
        from assistant.fetching.pages import WebPages  # noqa: PLC0415

        return WebPages(self.fetcher, self._reader, self.secrets, self._spool)

    @cached_property
    def _search(self) -> WebSearch:
        from assistant.fetching.search import configured_search  # noqa: PLC0415

        return configured_search(self._config.web, _USER_AGENT)


def open_secrets(config: Config) -> Secrets:
    """Those of the configuration."""
    if not config.secrets:
        return NoSecrets()
    from assistant.fetching.secrets import ConfiguredSecrets  # noqa: PLC0415

    return ConfiguredSecrets(config.secrets)

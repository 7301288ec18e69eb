"""The ports to the web: pages as text, and search."""

from collections.abc import Mapping
from typing import Final, Protocol

from assistant.contracts.documents import ReadImage
from assistant.contracts.errors import ToolFailed
from assistant.contracts.records import record
from assistant.contracts.urls import PageRefused

NO_HEADERS: Final[Mapping[str, str]] = {}


@record
class PageLink:
    words: str
    url: str
    """Absolute."""


@record
class WebPage:
    """A page as it is read; the words are its author's. Secrets of the configuration are hidden in all of it."""

    url: str
    """Where it was, behind redirects."""
    title: str
    date: str
    """When it was published or changed: "2026-11-02", or empty."""
    text: str
    links: tuple[PageLink, ...] = ()
    missing: str = ""
    """What a limit left unread, in words."""
    picture: ReadImage | None = None
    """Where the address is a picture's; then there is no text."""


class PageFetcher(Protocol):
    """Fetches pages and reads them (`assistant.fetching.pages`)."""

    async def page(self, url: str, *, owner: str, headers: Mapping[str, str] = NO_HEADERS) -> WebPage:
        """By GET, from the public internet or a host that `web.allow` names; for 15 minutes from memory, for this owner. `{{secret:NAME}}` in a
        header's value is filled in for its own hosts. Raises PageRefused, within half a minute and the limits of documents."""
        ...


class NoPages:
    """Fetches nothing."""

    async def page(self, url: str, *, owner: str, headers: Mapping[str, str] = NO_HEADERS) -> WebPage:
        raise PageRefused("pages can't be fetched here")


@record
class FoundPage:
    title: str
    url: str
    text: str
    """What of it the search shows."""


@record
class WebAnswer:
    by: str
    """Which search answered: "Brave"."""
    pages: tuple[FoundPage, ...]
    failed: tuple[str, ...] = ()
    """Those asked before it, and why they did not answer."""


class WebSearch(Protocol):
    """Asks the configured searches in their order (`assistant.fetching.search`)."""

    async def search(self, query: str, count: int) -> WebAnswer:
        """Of the first that answers. Raises ToolFailed: none did, and what to configure."""
        ...


class NoWebSearch:
    """Finds nothing."""

    async def search(self, query: str, count: int) -> WebAnswer:
        raise ToolFailed("The web can't be searched here.")

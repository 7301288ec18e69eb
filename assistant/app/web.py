"""Builds what reaches the web: the one fetcher, pages as text, search, and the secrets that leave by them."""

from dataclasses import dataclass

from assistant import __version__
from assistant.config import Loaded
from assistant.contracts.documents import DocumentReader
from assistant.contracts.secrets import Secrets
from assistant.contracts.web import PageFetcher, WebSearch
from assistant.fetching.fetcher import SafeFetcher
from assistant.fetching.hosts import Resolver
from assistant.fetching.pages import WebPages
from assistant.fetching.search import configured_search
from assistant.fetching.secrets import ConfiguredSecrets


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWeb:
    fetcher: SafeFetcher
    """Bytes: for what is watched."""
    pages: PageFetcher
    """Text: for `fetch_page`."""
    search: WebSearch
    """For `search_web`."""
    secrets: Secrets
    """For all that sends what a model wrote."""


def build_web(loaded: Loaded, reader: DocumentReader, *, resolver: Resolver | None = None) -> OpenWeb:
    """Opens nothing. `reader`: in child processes, without a cache. `resolver`: the machine's own by default."""
    config = loaded.config
    user_agent = f"nanobot/{__version__}"
    secrets = ConfiguredSecrets(config.secrets)
    fetcher = SafeFetcher(config.web, secrets, user_agent, resolver=resolver)
    return OpenWeb(
        fetcher=fetcher,
        pages=WebPages(fetcher, reader, secrets, loaded.home / "spool"),
        search=configured_search(config.web, user_agent),
        secrets=secrets,
    )

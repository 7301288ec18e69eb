"""Pages as text: fetched, read in the document child, and kept in memory for a quarter of an hour."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from assistant.contracts.documents import DocumentReader, ReadDocument, ReadImage
from assistant.contracts.errors import FileTooLarge, UnreadableFile, UnsupportedFileType
from assistant.contracts.secrets import Secrets
from assistant.contracts.turns import Upload
from assistant.contracts.urls import PageRefused, WebUrl
from assistant.contracts.util import display_name, new_id
from assistant.contracts.web import NO_HEADERS, PageLink, WebPage
from assistant.fetching.fetcher import BOM, Fetched, SafeFetcher

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 900
_MOST_KEPT: Final = 200
_MOST_KEPT_CHARS: Final = 20_000_000
_MOST_LINKS: Final = 50
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_WEB_PAGE: Final = ".web page"
"""`assistant.documents.protocol.WEB_PAGE`."""


class WebPages:
    """The `PageFetcher`. Keeps the newest pages of each owner, 200 and 20 million characters in all."""

    def __init__(
        self, fetcher: SafeFetcher, reader: DocumentReader, secrets: Secrets, spool: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`spool`: a folder that only the server's user may enter, for the file that the reader reads; it is made when it is first needed."""
        self._fetcher = fetcher
        self._reader = reader
        self._secrets = secrets
        self._spool = spool
        self._clock = clock
        self._kept: OrderedDict[tuple[object, ...], tuple[float, WebPage]] = OrderedDict()

    async def page(self, url: str, *, owner: str, headers: Mapping[str, str] = NO_HEADERS) -> WebPage:
        key = (owner, url, *sorted(headers.items()))
        until, page = self._kept.get(key, (0.0, None))
        if page is not None and self._clock() < until:
            self._kept.move_to_end(key)
            return page
        try:
            fetched = await self._fetcher.get(url, headers=headers)
            page = self._hidden(await self._read(fetched))
        except PageRefused as error:
            raise PageRefused(self._secrets.hide(str(error))) from None
        log.info("page.fetched host=%s bytes=%d", fetched.url.host, len(fetched.data))
        self._keep(key, page)
        return page

    def _keep(self, key: tuple[object, ...], page: WebPage) -> None:
        self._kept[key] = (self._clock() + KEPT_SECONDS, page)
        self._kept.move_to_end(key)
        chars = sum(len(kept.text) + len(kept.picture.data if kept.picture else b"") for _, kept in self._kept.values())
        while len(self._kept) > _MOST_KEPT or chars > _MOST_KEPT_CHARS:
            _, (_, gone) = self._kept.popitem(last=False)
            chars -= len(gone.text) + len(gone.picture.data if gone.picture else b"")

    def _hidden(self, page: WebPage) -> WebPage:
        hide = self._secrets.hide
        links = tuple([PageLink(words=hide(link.words), url=hide(link.url)) for link in page.links])
        return replace(page, url=hide(page.url), title=hide(page.title), text=hide(page.text), links=links)

    async def _read(self, fetched: Fetched) -> WebPage:
        """Raises PageRefused: empty, or nothing that can be read."""
        url, kind = fetched.url, fetched.media_type
        if not fetched.data.strip():
            raise PageRefused("it is empty")
        last = unquote(url.target.partition("?")[0]).rpartition("/")[2]
        name, date = display_name(last, url.host), _date(fetched.modified)
        is_page = kind in _HTML
        if not is_page and (kind.startswith("text/") or kind.endswith(("json", "xml"))) and b"\0" not in fetched.data[:4_096]:
            text = await asyncio.to_thread(fetched.text)
            return WebPage(url=str(url), title=name, date=date, text=text)
        named = f"{Path(name).stem or url.host}{_WEB_PAGE}" if is_page else name
        data = await asyncio.to_thread(_marked, fetched) if is_page else fetched.data
        try:
            read = await self._in_child(named, data)
        except (UnreadableFile, UnsupportedFileType, FileTooLarge) as error:
            raise PageRefused(f"it is {kind}, and {error.message.removeprefix(named).strip()}") from None
        if not isinstance(read, ReadDocument):
            return WebPage(url=str(url), title=name, date=date, text="", picture=read)
        if named.endswith(_WEB_PAGE) and read.sections and read.sections[0].label == "title":
            return _of_sections(read, url, date)
        return WebPage(url=str(url), title=name, date=date, text=read.text, missing=read.missing)

    async def _in_child(self, name: str, data: bytes) -> ReadDocument | ReadImage:
        path = self._spool / new_id("up")  # the spool's sweep knows the prefix
        try:
            digest = await asyncio.to_thread(_written, path, data)
            return await self._reader.read(Upload(name=name, path=path, size=len(data), digest=digest))
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)


def _of_sections(read: ReadDocument, url: WebUrl, modified: str) -> WebPage:
    starts = [*[section.start for section in read.sections], len(read.text)]
    parts = {section.label: read.text[start:end] for section, start, end in zip(read.sections, starts, starts[1:], strict=False)}
    links: dict[str, str] = {}
    for line in parts["links"].splitlines():
        href, _, words = line.partition(" ")
        try:
            links.setdefault(str(url.join(href)), words)
        except PageRefused:
            continue  # mail addresses, scripts
    links.pop(str(url), None)
    found = [PageLink(words=words, url=href) for href, words in links.items()]
    return WebPage(
        url=str(url),
        title=parts["title"],
        date=parts["date"] or modified,
        text=parts["text"],
        links=tuple(found[:_MOST_LINKS]),
        missing=read.missing,
    )


def _marked(fetched: Fetched) -> bytes:
    """The bytes with a mark of their encoding, where the header names it: it counts before what a page says of itself."""
    return BOM + fetched.text().encode() if fetched.encoding else fetched.data


def _date(modified: str) -> str:
    try:
        return f"{parsedate_to_datetime(modified):%Y-%m-%d}" if modified else ""
    except ValueError:
        return ""


def _written(path: Path, data: bytes) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
    return sha256(data).hexdigest()

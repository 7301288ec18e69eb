"""A page of the web: its own words without what surrounds them (by trafilatura), its title, its date, its links.

The document has the sections "title", "date", "text" and "links"; a line of "links" is an address, as the page writes it, and its words.
"""

# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (lxml and trafilatura declare few types.)

import logging
import signal
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urljoin

from lxml import etree

from assistant.contracts.documents import ReadDocument, Section
from assistant.documents.formats.html import page_text, to_markdown
from assistant.documents.protocol import ReadLimits

_ASIDE = frozenset({"nav", "header", "footer", "aside"})
_MOST_LINKS = 200
_SHARE = 0.25
"""Of the computing time that a file gets: for its own words. Reading it whole takes less."""
_LARGE = 2_000_000
"""Characters of a page that is read whole at once."""
_SHORT = 400
"""Characters of text that are doubted, where the whole page has four times as many: a list, a form, a start page."""


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    page = page_text(data)
    title, date, text = _main_text(page, limits.cpu_seconds * _SHARE) if len(page) <= _LARGE else (_title_alone(page), "", "")
    if len(text) < _SHORT:
        whole = "\n\n".join(to_markdown(page))
        text = whole if not text or len(whole) > 4 * len(text) else text
    missing = "" if len(text) <= limits.text_chars else f"{len(text) - limits.text_chars:,} characters at the end"
    parts = {"title": title, "date": date, "text": text[: limits.text_chars], "links": "\n".join(_links(page))}
    sections: list[Section] = []
    start = 0
    for label, part in parts.items():
        sections.append(Section(label=label, start=start))
        start += len(part)
    return ReadDocument(format="html", text="".join(parts.values()), sections=tuple(sections), missing=missing)


def _main_text(page: str, seconds: float) -> tuple[str, str, str]:
    """(title, date, text); empty where nothing is found, or not within so many seconds of computing."""
    import trafilatura  # noqa: PLC0415 - 0.2 s that other files don't pay

    logging.disable()  # it logs what it discards
    signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 0.5)  # again, where the library takes it for a fault of the page
    try:
        found = trafilatura.bare_extraction(page, with_metadata=True, include_formatting=True)
    except Exception:  # noqa: BLE001 - its fault with an odd page: that is read whole
        found = None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if found is None:
        return _title_alone(page), "", ""
    said = [str(found.text or ""), str(found.comments or "")]
    title = " ".join(str(found.title or "").split())
    return title or _title_alone(page), str(found.date or ""), "\n\n".join(filter(None, said))


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError


def _title_alone(page: str) -> str:
    return " ".join(_parsed(page).title.split())[:300]


def _links(page: str) -> list[str]:
    """Those of the page's middle first, then those around it, each address once."""
    seen = _parsed(page)
    found: dict[str, str] = {}
    for href, words, _ in sorted(seen.links, key=lambda link: link[2]):
        with suppress(ValueError):
            address = urljoin(seen.base, href) if seen.base else href
            found.setdefault("%20".join(address.partition("#")[0].split()), words)
    return [f"{href} {words}" for href, words in found.items() if href][:_MOST_LINKS]


def _parsed(page: str) -> "_Anchors":
    target = _Anchors()
    parser = etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True)
    parser.feed(page.replace("\0", "").encode("utf-8", "replace"))
    parser.close()
    return target


class _Anchors:
    """Collects the links of a page, its title and its base from lxml, which closes every tag."""

    def __init__(self) -> None:
        self.links: list[tuple[str, str, bool]] = []
        self.title = ""
        self.base = ""
        self._aside = 0
        self._in_title = False
        self._href: str | None = None
        self._words: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._aside += tag in _ASIDE
        if tag == "a":
            self._href, self._words = attributes.get("href"), []
        elif tag == "base":
            self.base = self.base or attributes.get("href", "")
        elif tag == "img" and self._href is not None:
            self._words.append(attributes.get("alt", ""))
        self._in_title = tag == "title" and not self.title

    def end(self, tag: str) -> None:
        self._aside -= tag in _ASIDE
        if tag == "a" and self._href is not None:
            if words := " ".join(" ".join(self._words).split())[:200]:
                self.links.append((self._href, words, self._aside > 0))
            self._href = None
        self._in_title = False

    def data(self, text: str) -> None:
        if self._in_title:
            self.title += text
        if self._href is not None:
            self._words.append(text)

    def close(self) -> None:
        """lxml calls it."""

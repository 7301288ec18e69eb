"""What pages and feeds say: the words that a page shows, the entries of a feed. Imported where something is watched."""

from html.parser import HTMLParser
from typing import Final
from xml.etree import ElementTree

from assistant.contracts.urls import PageRefused
from assistant.fetching.fetcher import Fetched

_HIDDEN: Final = frozenset({"script", "style", "noscript", "template"})
_MOST_SUMMARY: Final = 500


def visible_text(page: Fetched) -> str:
    """A page's words, line by line; of what is not HTML, the text as it is. Blocks."""
    text = page.text()
    if "html" not in page.media_type:
        return text
    words = _Words()
    words.feed(text)
    words.close()
    return "\n".join(words.lines)


class _Words(HTMLParser):
    """The words that a page shows, without scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden and (line := " ".join(data.split())):
            self.lines.append(line)


def feed_entries(page: Fetched) -> list[tuple[str, str]]:
    """(key, words) of the entries of an RSS or Atom feed, in its order. Raises PageRefused: it is none. Blocks."""
    try:
        root = ElementTree.fromstring(page.data)  # noqa: S314 - 2 MB at most, and expat bounds what entities expand to
    except (ElementTree.ParseError, ValueError):
        raise PageRefused("it is no RSS or Atom feed") from None
    entries = [each for each in root.iter() if _local(each) in ("item", "entry")]
    if not entries and _local(root) not in ("rss", "feed", "RDF"):
        raise PageRefused("it is no RSS or Atom feed")
    return [_entry(each) for each in entries]


def _entry(entry: ElementTree.Element) -> tuple[str, str]:
    fields: dict[str, str] = {}
    for child in entry:
        text = " ".join("".join(child.itertext()).split()) or child.get("href", "")
        fields.setdefault(_local(child), text)
    link, title = fields.get("link", ""), fields.get("title", "")
    key = fields.get("guid") or fields.get("id") or link or title
    summary = (fields.get("summary") or fields.get("description") or "")[:_MOST_SUMMARY]
    return key, "\n".join([part for part in (title, link, summary) if part])


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]

"""Looks whether something that is watched has changed, without a model: a page, a feed, a file of the workspace."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson

from assistant.contracts.errors import ToolFailed
from assistant.contracts.people import OWNER_ID
from assistant.contracts.records import record
from assistant.contracts.schedules import Watched
from assistant.contracts.urls import PageRefused

if TYPE_CHECKING:
    from assistant.fetching.fetcher import Fetched, SafeFetcher

_KEPT_TEXT: Final = 20_000
"""Characters of what was seen that are kept, to say what is new."""
_KEPT_ENTRIES: Final = 500
_MOST_NEWS: Final = 8_000
_MOST_BYTES: Final = 2_000_000
"""Of a page or feed that is watched."""

ReadFile = Callable[[str, str], Awaitable[bytes]]
"""(path, owner) → the bytes of a file of the workspace, if it may be read for this owner. Raises ToolFailed, and StoreUnavailable."""


class WatchFailed(Exception):
    """It can't be looked at, in words for people."""


@record
class LastLook:
    """`state`: to be kept for the next look. `news`: what changed, as quoted material; None: nothing, for the reason `words`."""

    state: str
    news: str | None = None
    words: str = "nothing changed"


class WatchChecks:
    """Looks at what is watched. `pages`: gives what fetches addresses, at the first one. `read_file`: reads the workspace."""

    def __init__(self, pages: "Callable[[], SafeFetcher]", read_file: ReadFile) -> None:
        self._pages = pages
        self._read_file = read_file

    async def look(self, watched: Watched, state: str | None, owner: str) -> LastLook:
        """`state`: of the last look; None: the first one, which takes note of what is there. `owner`: whose watch it is. Raises WatchFailed.

        On the server's own network only the person who runs it watches anything: without a key, a request from there is theirs.
        """
        known: dict[str, Any] = orjson.loads(state) if state else {}
        try:
            if watched.kind == "file":
                data = await self._read_file(watched.target, owner)
                return await asyncio.to_thread(_compared, known, data, data.decode(errors="replace"), {})
            private = watched.named and owner == OWNER_ID
            asked = {"If-None-Match": known.get("etag"), "If-Modified-Since": known.get("modified")}
            headers = {name: value for name, value in asked.items() if value}
            page = await self._pages().get(watched.target, headers=headers, may_be_private=private, most_bytes=_MOST_BYTES)
            if page.not_modified:
                return LastLook(state=state or "{}")
            compare = _of_feed if watched.kind == "feed" else _of_page
            return await asyncio.to_thread(compare, known, page)
        except PageRefused as error:
            raise WatchFailed(f"{watched.target} can't be watched: {error}") from None
        except ToolFailed as error:
            raise WatchFailed(str(error)) from None


def _of_page(known: dict[str, Any], page: "Fetched") -> LastLook:
    from assistant.schedule.contents import visible_text  # noqa: PLC0415 - only where something is watched

    text = visible_text(page)
    return _compared(known, text.encode(), text, _validators(page))


def _of_feed(known: dict[str, Any], page: "Fetched") -> LastLook:
    from assistant.schedule.contents import feed_entries  # noqa: PLC0415 - only where something is watched

    entries = feed_entries(page)
    seen: list[str] = known.get("seen", [])
    new = [(key, words) for key, words in entries if key not in set(seen)]
    keys = [key for key, _ in entries]
    kept = list(dict.fromkeys([*keys, *seen]))[:_KEPT_ENTRIES]
    state = orjson.dumps({**_validators(page), "seen": kept}).decode()
    if "seen" not in known:
        return LastLook(state=state, words=f"the first look: {len(entries)} entries")
    if not new:
        return LastLook(state=state, words="no new entries")
    return LastLook(state=state, news=_cut("\n\n".join([words for _, words in new])))


def _validators(page: "Fetched") -> dict[str, str]:
    named = {"etag": page.etag, "modified": page.modified}
    return {name: value for name, value in named.items() if value}


def _compared(known: dict[str, Any], data: bytes, text: str, validators: dict[str, str]) -> LastLook:
    digest = sha256(data).hexdigest()
    state = orjson.dumps({**validators, "hash": digest, "text": text[:_KEPT_TEXT]}).decode()
    if known.get("hash") == digest:
        return LastLook(state=state)
    if "hash" not in known:
        return LastLook(state=state, words="the first look")
    from difflib import unified_diff  # noqa: PLC0415 - only where something is watched

    lines = unified_diff(str(known.get("text", "")).splitlines(), text[:_KEPT_TEXT].splitlines(), n=0, lineterm="")
    changed = [line for line in islice(lines, 2, None) if not line.startswith("@@")]
    return LastLook(state=state, news=_cut("\n".join(changed)) or "It changed behind what is compared in words.")


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_NEWS else f"{text[:_MOST_NEWS]}…"

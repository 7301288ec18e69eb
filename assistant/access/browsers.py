"""Browsers: they log in once, with a link or a credential, and are known by a cookie from then on."""

import asyncio
import hmac
import logging
import re
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from assistant.access.principals import OWNER, Principal, digest_of, key_of, new_secret
from assistant.contracts.access import BROWSER_MARK, LINK_MARK, Browser, BrowserStore, HeldBrowser, Scope
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.people import OWNER_ID
from assistant.contracts.util import new_id

log = logging.getLogger(__name__)

LASTS: Final = timedelta(days=30)
LINK_LASTS: Final = timedelta(minutes=5)
_FORM: Final = re.compile(rb"nbb_[A-Za-z0-9_-]{43}")
_LINK_FORM: Final = re.compile(r"nbl_[A-Za-z0-9_-]{43}")
_FRESH_SECONDS: Final = 0.5
"""As of keys: logging out takes effect within a second."""
_MOST_KNOWN: Final = 4_096
_OF_USERS: Final[frozenset[Scope]] = frozenset(
    ("chat", "models", "sessions", "files", "memory", "schedules", "tasks", "approvals", "usage")
)
"""What a link opens for a person other than the owner: what is their own."""


def new_link(person: str, now: datetime) -> tuple[str, Browser]:
    """A link's secret, and the browser that it opens the page for: with all rights for the owner."""
    scopes = None if person == OWNER_ID else _OF_USERS
    browser = Browser(id=new_id("brw"), name="", caller=person, scopes=scopes, models=None, created=now, expires=now + LINK_LASTS)
    return new_secret(LINK_MARK), browser


class BrowserAccess:
    """Tells whose browser a cookie's secret is. Caches valid ones for half a second."""

    def __init__(self, store: BrowserStore, shared: Sequence[str] = ()) -> None:
        """`shared`: the secrets of the owner that hold now; browsers that were logged in with others are logged out."""
        self.store = store
        self._shared = tuple(secret.strip().encode() for secret in shared)
        self._known: OrderedDict[str, tuple[float, datetime, Principal]] = OrderedDict()

    async def identify(self, secret: bytes) -> Principal | None:
        """None: no browser that is logged in has this secret. Raises StoreUnavailable."""
        if not _FORM.fullmatch(secret):
            return None
        digest, began, now = digest_of(secret), asyncio.get_running_loop().time(), datetime.now(UTC)
        known = self._known.pop(digest, None)
        if known is not None and began - known[0] < _FRESH_SECONDS and now < known[1]:
            self._known[digest] = known
            return known[2]
        held = await self.store.find(digest)
        if held is None or not self._still_shared(held.browser, secret):
            return None
        of = held.browser
        who = Principal(
            id=of.caller,
            person=held.person,
            scopes=of.scopes,
            models=of.models,
            limits=held.limits,
            credential=digest,
            browser=of.id,
        )
        self._known[digest] = began, of.expires, who
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        await self._note_use(held, now)
        return who

    async def log_in(self, who: Principal, given: str, name: str) -> tuple[str, Browser]:
        """A browser with the rights of a credential that was just identified; `given`: the credential. Returns its secret. Raises
        StoreUnavailable."""
        secret, now, key = new_secret(BROWSER_MARK), datetime.now(UTC), key_of(who.id)
        expires = now + LASTS if who.until is None else min(now + LASTS, datetime.fromtimestamp(who.until, UTC))
        proof = who.credential if key else None
        if who.id == OWNER.id:
            proof = _proof(secret.encode(), given.strip().encode(errors="replace"))
        browser = Browser(
            id=new_id("brw"),
            name=name,
            caller=who.id,
            scopes=who.scopes,
            models=who.models,
            created=now,
            expires=expires,
            key=key,
            proof=proof,
        )
        await self.store.add(browser, digest_of(secret.encode()))
        return secret, browser

    async def redeem(self, link: str, name: str) -> tuple[str, Browser] | None:
        """A browser by a link. None: the link is not valid, or was used. Raises StoreUnavailable."""
        if not _LINK_FORM.fullmatch(link):
            return None
        secret = new_secret(BROWSER_MARK)
        found = await self.store.redeem(
            digest_of(link.encode()), digest_of(secret.encode()), id=new_id("brw"), name=name, expires=datetime.now(UTC) + LASTS
        )
        return None if found is None else (secret, found)

    async def log_out(self, person: str, id: str | None = None) -> int:
        """One browser of a person, or all with their links; returns how many there were. Raises StoreUnavailable."""
        removed = await self.store.remove(person, id)
        self._known.clear()
        return removed

    def _still_shared(self, browser: Browser, secret: bytes) -> bool:
        if browser.proof is None or browser.key is not None:
            return True
        return any(hmac.compare_digest(_proof(secret, shared), browser.proof) for shared in self._shared)

    async def _note_use(self, held: HeldBrowser, now: datetime) -> None:
        """Once a minute."""
        last = held.browser.last_used
        if last is not None and now - last < timedelta(minutes=1):
            return
        try:
            await self.store.used(held.browser.id, now)
        except StoreUnavailable:
            log.warning("browsers.use_not_noted browser=%s", held.browser.id)


def _proof(secret: bytes, shared: bytes) -> str:
    """Of a shared secret, which a person chose: without the browser's own secret, which is not kept, it can't be guessed from this."""
    return sha256(secret + b"\0" + shared).hexdigest()

"""Keys that the server made: what they are, and whose they are."""

import asyncio
import logging
import re
import secrets
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from assistant.access.keys import bearer
from assistant.access.principals import Access, Principal
from assistant.contracts.access import KEY_MARK, HeldKey, KeyStore
from assistant.contracts.errors import StoreUnavailable, Unauthenticated

log = logging.getLogger(__name__)

_FORM: Final = re.compile(rb"nbk_[A-Za-z0-9_-]{43}")
_SHOWN: Final = 8
"""Characters of a secret by which it is recognised: its mark and four more, of 43."""
_FRESH_SECONDS: Final = 0.5
"""How long a key is taken for what it was: a revocation holds within a second."""
_MOST_KNOWN: Final = 4_096
_OWNER: Final = "key:"
"""What the id of a key's principal begins with."""
_COARSE: Final = timedelta(minutes=1)


def new_secret() -> str:
    """`nbk_` and 256 random bits. Because they are random, a plain hash keeps them as well as a slow one."""
    return KEY_MARK + secrets.token_urlsafe(32)


def digest_of(secret: bytes) -> str:
    """What is stored of a secret: the hash of all of it (compare CVE-2026-35030: a cache keyed by its first 20 characters)."""
    return sha256(secret).hexdigest()


def prefix_of(secret: str) -> str:
    return secret[:_SHOWN]


def key_of(owner: str) -> str | None:
    """The id of the key whose holder this principal is; None: it is no key's."""
    return owner.removeprefix(_OWNER) if owner.startswith(_OWNER) else None


class StoredKeys:
    """Who has which key. What the store said is believed for half a second, of keys that hold; of those that do not, it is asked each time."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._known: OrderedDict[str, tuple[float, HeldKey, Principal]] = OrderedDict()
        self._noted: dict[str, datetime] = {}

    async def principal(self, secret: bytes) -> Principal:
        """Raises Unauthenticated, StoreUnavailable."""
        if not _FORM.fullmatch(secret):
            raise Unauthenticated("This API key is not valid.")
        digest, began, now = digest_of(secret), asyncio.get_running_loop().time(), datetime.now(UTC)
        known = self._known.get(digest)
        if known is not None and began - known[0] < _FRESH_SECONDS and (known[1].until is None or now < known[1].until):
            return known[2]
        self._known.pop(digest, None)
        held = await self._store.find(digest)
        if held is None:
            raise Unauthenticated("This API key is not valid.")
        key = held.key
        who = Principal(id=_OWNER + key.id, scopes=key.scopes, models=key.models, limits=key.limits, credential=digest)
        self._known[digest] = (began, held, who)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        await self._note_use(held, now)
        return who

    async def _note_use(self, held: HeldKey, now: datetime) -> None:
        """Once a minute: that is fine enough to see which keys are still in use, and costs next to nothing."""
        key_id = held.key.id
        last = max(filter(None, (held.key.last_used, self._noted.get(key_id))), default=None)
        if last is not None and now - last < _COARSE:
            return
        if len(self._noted) >= _MOST_KNOWN:
            self._noted.clear()
        self._noted[key_id] = now
        try:
            await self._store.used(key_id, now)
        except StoreUnavailable:
            log.warning("keys.use_not_noted key=%s", key_id)


class WithStoredKeys:
    """Keys that the server made, beside another way in. A secret that looks like one of them is never anything else."""

    def __init__(self, keys: StoredKeys, otherwise: Access) -> None:
        self._keys = keys
        self._otherwise = otherwise

    async def identify(self, authorization: bytes | None) -> Principal:
        if authorization is not None:
            secret = bearer(authorization)
            if secret is not None and secret.startswith(KEY_MARK.encode()):
                return await self._keys.principal(secret)
        return await self._otherwise.identify(authorization)

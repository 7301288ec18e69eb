"""Who a credential belongs to: no key, the shared key, or a key of the store."""

import asyncio
import hmac
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final, Protocol

from pydantic import SecretStr

from assistant.access.settings import AuthSettings, Mode
from assistant.contracts.access import KEY_MARK, HeldKey, KeyStore, Limits, Scope
from assistant.contracts.errors import Forbidden, StoreUnavailable, Unauthenticated

_NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Someone whom the server knows, and what it lets them do. Sessions, deliveries and files belong to their maker's id."""

    id: str
    scopes: frozenset[Scope] | None = None
    """None: everything."""
    models: tuple[str, ...] | None = None
    """Patterns (`gpt-*`, `agent:home`) of the models and agents that may be used; None: all."""
    limits: Limits = _NO_LIMITS
    credential: str | None = field(default=None, repr=False)
    """The digest of the stored key's secret that was shown; None: what was shown can't be taken back while the server runs."""
    until: float | None = None
    """When what was shown stops holding by itself, in seconds since 1970; None: that is not known here (a stored key is looked up)."""

    @property
    def may_end(self) -> bool:
        """Whether what was shown may stop holding while something that it opened is still open."""
        return self.credential is not None or self.until is not None

    def may(self, scope: Scope) -> bool:
        return self.scopes is None or scope in self.scopes or "admin" in self.scopes

    def require(self, scope: Scope) -> None:
        """Raises Forbidden where this principal lacks the scope."""
        if not self.may(scope):
            raise Forbidden(f"This key lacks the scope '{scope}'.")

    def may_use(self, model: str) -> bool:
        """Whether a model or an agent may be used, by the id that /v1/models lists it by. One that may not be is not there."""
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)


OWNER = Principal(id="local")
"""Whoever runs the server. The same with a key and without, so that setting a key later leaves every session with its owner."""


class Access(Protocol):
    """One way of telling who asks.

    `identify` takes the value of the Authorization header as it came (None: there was none) and returns who that is.
    Raises Unauthenticated, and AccessUnavailable or StoreUnavailable where that can't be found out now.
    """

    async def identify(self, authorization: bytes | None) -> Principal: ...


_SCHEME = b"bearer "


def bearer(authorization: bytes | None) -> bytes | None:
    """The secret that was shown; None: there is none, or it is not shown as a bearer's."""
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return authorization[len(_SCHEME) :].strip(b" \t") or None


@dataclass(frozen=True, slots=True)
class OpenAccess:
    """No key is set: whoever reaches the server is its owner. For a server that only its own machine reaches."""

    async def identify(self, authorization: bytes | None) -> Principal:
        return OWNER


@dataclass(frozen=True, slots=True)
class SharedKeys:
    """Each of these makes its bearer the owner. Compared by hash, so that neither length nor beginning shows in the time taken, and any bytes
    compare. `otherwise`: who is asked about any other."""

    digests: tuple[bytes, ...]
    otherwise: Access | None = None

    async def identify(self, authorization: bytes | None) -> Principal:
        secret = bearer(authorization)
        if secret is None:
            raise Unauthenticated
        given = sha256(secret).digest()
        if any(hmac.compare_digest(given, digest) for digest in self.digests):
            return OWNER
        if self.otherwise is None:
            raise Unauthenticated("This API key is not valid.")
        return await self.otherwise.identify(authorization)


def shared_keys(keys: Sequence[str], otherwise: Access | None = None) -> SharedKeys:
    """A key of other than ASCII characters is expected as UTF-8. Raises ValueError for an empty one: no secret must never come to mean an
    open door."""
    if not all(key.strip() for key in keys):
        raise ValueError("an API key must not be empty")
    return SharedKeys(tuple(sha256(key.strip().encode()).digest() for key in keys), otherwise)


def access_by_key(key: str | None) -> Access:
    """`key`: the one key, or None for open access. Raises ValueError for an empty key."""
    return OpenAccess() if key is None else shared_keys([key])


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


class CannotLetIn(ValueError):
    """What is set contradicts itself or lacks a secret: `str(error)` says what to change."""


def auth_mode(auth: AuthSettings, api_key: SecretStr | None) -> Mode:
    """How callers are known. Raises CannotLetIn."""
    mode = auth.mode or ("token" if api_key or auth.token else "password" if auth.password else "none")
    match mode:
        case "none" if api_key or auth.token or auth.password:
            raise CannotLetIn(
                "auth.mode is 'none', and a secret is set (api.apiKey, auth.token or auth.password): remove one or the other."
            )
        case "token" if not (api_key or auth.token):
            raise CannotLetIn("auth.mode is 'token', and there is none: set auth.token, api.apiKey or NANOBOT_GATEWAY_TOKEN.")
        case "password" if not auth.password:
            raise CannotLetIn("auth.mode is 'password', and there is none: set auth.password or NANOBOT_GATEWAY_PASSWORD.")
        case "supabase" if not (auth.supabase.url and auth.supabase.key.get_secret_value().strip()):
            raise CannotLetIn("auth.mode is 'supabase': set auth.supabase.url and auth.supabase.key, or SUPABASE_URL and SUPABASE_KEY.")
        case _:
            pass
    if any(secret.startswith(KEY_MARK) for secret in _shared(auth, api_key, mode)):
        raise CannotLetIn(f"A secret of your own can't begin with '{KEY_MARK}', as the keys of nanobot keys create do: choose another.")
    return mode


def build_access(auth: AuthSettings, api_key: SecretStr | None, keys: KeyStore) -> Access:
    """Raises CannotLetIn."""
    mode = auth_mode(auth, api_key)
    way: Access = OpenAccess()
    if mode != "none":
        tokens: Access | None = None
        if mode == "supabase":
            from assistant.access.supabase import Supabase  # noqa: PLC0415 - PyJWT and its cryptography, for those who use them

            tokens = Supabase(auth.supabase.url, auth.supabase.key.get_secret_value().strip())
        way = shared_keys(_shared(auth, api_key, mode), tokens)
    return WithStoredKeys(StoredKeys(keys), way)


def _shared(auth: AuthSettings, api_key: SecretStr | None, mode: Mode) -> list[str]:
    """The secrets that make their bearer the owner."""
    secrets = [api_key, auth.token if mode in ("token", "keys") else None, auth.password if mode == "password" else None]
    return [secret.get_secret_value().strip() for secret in secrets if secret is not None]

"""Principals, and the ways to tell which one a credential belongs to: no key, shared secrets, keys of the store."""

import asyncio
import hmac
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final, Protocol

from pydantic import SecretStr

from assistant.access.settings import AuthSettings, Mode
from assistant.contracts.access import KEY_MARK, ApiKey, HeldKey, KeyStore, Limits, Scope
from assistant.contracts.causes import Payer
from assistant.contracts.errors import Forbidden, InvalidRequest, StoreUnavailable, Unauthenticated
from assistant.contracts.records import record
from assistant.contracts.util import replace_surrogates

log = logging.getLogger(__name__)

_NO_LIMITS: Final = Limits()


@record
class Principal:
    """An authenticated caller and its rights."""

    id: str
    """Of the credential: limits and repeated requests are counted by it."""
    person: str = ""
    """Whose everything is that it makes; empty: a person of this id."""
    scopes: frozenset[Scope] | None = None
    """None: all."""
    models: tuple[str, ...] | None = None
    """Patterns (`gpt-*`, `agent:home`) of the models and agents it may use; None: all."""
    limits: Limits = _NO_LIMITS
    credential: str | None = field(default=None, repr=False)
    """The digest of the stored key's secret; None: the credential can't be revoked while the server runs."""
    browser: str | None = None
    """The id of the browser whose cookie it is."""
    until: float | None = None
    """When the credential expires by itself, in seconds since 1970; None: never, or (a stored key) the store knows."""

    def __post_init__(self) -> None:
        if not self.person:
            object.__setattr__(self, "person", self.id)

    @property
    def may_end(self) -> bool:
        """Whether the credential may expire or be revoked while a request or socket is open."""
        return self.credential is not None or self.until is not None

    @property
    def payer(self) -> Payer:
        """To whom the calls of models are charged that are made without a turn."""
        return Payer(owner=self.person, caller=self.id)

    def may(self, scope: Scope) -> bool:
        return self.scopes is None or scope in self.scopes or "admin" in self.scopes

    def require(self, scope: Scope) -> None:
        """Raises Forbidden where the principal lacks the scope."""
        if not self.may(scope):
            raise Forbidden(f"This key lacks the scope '{scope}'.")

    def may_use(self, model: str) -> bool:
        """Whether it may use a model or an agent, by its id in /v1/models. Others are hidden from it."""
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)


OWNER = Principal(id="local")
"""The person who runs the server, with a key and without: a key that is set later leaves each session with its owner."""


class Access(Protocol):
    """A way to authenticate.

    `identify` takes the value of the Authorization header (None: the request has none). Raises Unauthenticated; AccessUnavailable or
    StoreUnavailable where that can't be decided now.
    """

    async def identify(self, authorization: bytes | None) -> Principal: ...


PersonOf = Callable[[str], Awaitable[str]]
"""Whom an identity belongs to. Raises StoreUnavailable."""
_SCHEME = b"bearer "


def bearer(authorization: bytes | None) -> bytes | None:
    """The secret of a Bearer header; None: there is none."""
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return authorization[len(_SCHEME) :].strip(b" \t") or None


@dataclass(frozen=True, slots=True)
class OpenAccess:
    """Every caller is the owner. For a server that only its own machine reaches."""

    async def identify(self, authorization: bytes | None) -> Principal:
        return OWNER


class SharedKeys:
    """The bearer of one of these secrets is the owner. Compared by hash: the time taken shows neither length nor beginning."""

    def __init__(self, secrets: Sequence[str], otherwise: Access | None = None) -> None:
        """`secrets`: sent as UTF-8. `otherwise`: decides about any other. Raises ValueError for an empty one, which would let everybody in."""
        if not all(secret.strip() for secret in secrets):
            raise ValueError("an API key must not be empty")
        self._digests = tuple(sha256(secret.strip().encode()).digest() for secret in secrets)
        self._otherwise = otherwise

    async def identify(self, authorization: bytes | None) -> Principal:
        secret = bearer(authorization)
        if secret is None:
            raise Unauthenticated
        given = sha256(secret).digest()
        if any(hmac.compare_digest(given, digest) for digest in self._digests):
            return OWNER
        if self._otherwise is None:
            raise Unauthenticated("This API key is not valid.")
        return await self._otherwise.identify(authorization)


@dataclass(frozen=True, slots=True)
class OwnPeople:
    """Finds the person of each caller that another way of access identifies."""

    access: Access
    person_of: PersonOf

    async def identify(self, authorization: bytes | None) -> Principal:
        who = await self.access.identify(authorization)
        return replace(who, person=await self.person_of(who.id))


_FORM: Final = re.compile(rb"nbk_[A-Za-z0-9_-]{43}")
_LONGEST_NAME: Final = 100
_SHOWN: Final = 8
"""Characters of a secret that tell keys apart: the mark and 4 of 43."""
_FRESH_SECONDS: Final = 0.5
"""How long the store's answer is trusted: a revocation takes effect within a second."""
_MOST_KNOWN: Final = 4_096
_OWNER: Final = "key:"
"""The prefix of the id of a key's principal."""


def new_secret(mark: str = KEY_MARK) -> str:
    """A mark and 256 random bits, so a plain hash protects it as well as a slow one."""
    return mark + secrets.token_urlsafe(32)


def new_key(
    name: str, scopes: Iterable[Scope], *, models: Sequence[str] | None, limits: Limits, lasts: timedelta | None
) -> tuple[str, ApiKey]:
    """A key's secret, to be shown once, and the key. `lasts`: None: until it is revoked. Raises InvalidRequest for a name that can't be shown."""
    shown = replace_surrogates(name).strip()
    if not shown or len(shown) > _LONGEST_NAME or not shown.isprintable():
        raise InvalidRequest(f"A key's name is 1 to {_LONGEST_NAME} printable characters.", param="name")
    secret, now = new_secret(), datetime.now(UTC)
    key = ApiKey(
        id=secrets.token_hex(6),
        name=shown,
        prefix=prefix_of(secret),
        scopes=frozenset(scopes),
        models=tuple(models) if models is not None else None,
        limits=limits,
        created=now,
        expires=now + lasts if lasts is not None else None,
    )
    return secret, key


def digest_of(secret: bytes) -> str:
    """What the store keeps of a secret: the hash of all of it (compare CVE-2026-35030: a cache keyed by its first 20 characters)."""
    return sha256(secret).hexdigest()


def prefix_of(secret: str) -> str:
    return secret[:_SHOWN]


def key_of(owner: str) -> str | None:
    """The id of the key that this principal holds; None: it holds none."""
    return owner.removeprefix(_OWNER) if owner.startswith(_OWNER) else None


class StoredKeys:
    """Keys of `nanobot keys create`. Caches valid keys for half a second; a secret of their form is never checked in another way."""

    def __init__(self, store: KeyStore, otherwise: Access) -> None:
        """`otherwise`: decides about every other credential."""
        self._store = store
        self._otherwise = otherwise
        self._known: OrderedDict[str, tuple[float, HeldKey, Principal]] = OrderedDict()
        self._noted: dict[str, datetime] = {}

    async def identify(self, authorization: bytes | None) -> Principal:
        secret = bearer(authorization)
        if secret is None or not secret.startswith(KEY_MARK.encode()):
            return await self._otherwise.identify(authorization)
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
        who = Principal(id=_OWNER + key.id, person=held.person, scopes=key.scopes, models=key.models, limits=key.limits, credential=digest)
        self._known[digest] = (began, held, who)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        await self._note_use(held, now)
        return who

    async def _note_use(self, held: HeldKey, now: datetime) -> None:
        """Once a minute: enough to see which keys are in use."""
        key_id = held.key.id
        last = max(filter(None, (held.key.last_used, self._noted.get(key_id))), default=None)
        if last is not None and now - last < timedelta(minutes=1):
            return
        if len(self._noted) >= _MOST_KNOWN:
            self._noted.clear()
        self._noted[key_id] = now
        try:
            await self._store.used(key_id, now)
        except StoreUnavailable:
            log.warning("keys.use_not_noted key=%s", key_id)


class CannotLetIn(ValueError):
    """The settings contradict each other or lack a secret; `str(error)` says what to change."""


def auth_mode(auth: AuthSettings, api_key: SecretStr | None) -> Mode:
    """How callers are authenticated. Raises CannotLetIn."""
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
    if any(secret.startswith(KEY_MARK) for secret in shared_secrets(auth, api_key, mode)):
        raise CannotLetIn(f"A secret of your own can't begin with '{KEY_MARK}', as the keys of nanobot keys create do: choose another.")
    return mode


def build_access(auth: AuthSettings, api_key: SecretStr | None, keys: KeyStore, person_of: PersonOf | None = None) -> Access:
    """`person_of`: of callers with tokens of others; None: each is a person of its own. Raises CannotLetIn."""
    mode = auth_mode(auth, api_key)
    if mode == "none":
        return StoredKeys(keys, OpenAccess())
    tokens: Access | None = None
    if mode == "supabase":
        from assistant.access.supabase import Supabase  # noqa: PLC0415 - PyJWT and its cryptography, for those who use them

        tokens = Supabase(auth.supabase.url, auth.supabase.key.get_secret_value().strip())
        tokens = OwnPeople(tokens, person_of) if person_of else tokens
    return StoredKeys(keys, SharedKeys(shared_secrets(auth, api_key, mode), tokens))


def shared_secrets(auth: AuthSettings, api_key: SecretStr | None, mode: Mode) -> list[str]:
    """The secrets whose bearer is the owner."""
    secrets = [api_key, auth.token if mode in ("token", "keys") else None, auth.password if mode == "password" else None]
    return [secret.get_secret_value().strip() for secret in secrets if secret is not None]

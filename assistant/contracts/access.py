"""API keys, their scopes, and the limits of principals."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, Protocol, get_args

from assistant.contracts.errors import RateLimited
from assistant.contracts.records import record

Scope = Literal[
    "chat",
    "models",
    "sessions",
    "deliveries",
    "files",
    "workflows",
    "memory",
    "schedules",
    "tasks",
    "approvals",
    "usage",
    "audit",
    "metrics",
    "mcp",
    "admin",
]
"""A key's rights: `chat` is every way to call a model or an agent; `mcp` is /mcp, with all of its tools; `admin` is all of
them, and routes without a scope."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
KEY_MARK: Final = "nbk_"
"""The prefix of every key that this server makes."""
BROWSER_MARK: Final = "nbb_"
"""The prefix of the secret in a browser's cookie."""
LINK_MARK: Final = "nbl_"
"""The prefix of a link's secret, by which a browser logs in."""

Counted = Literal["requests", "tokens"]
"""What a window counts; tokens are those of prompts and answers together."""
WINDOWS: Final[Mapping[str, tuple[Counted, int]]] = {"requests_per_minute": ("requests", 60), "tokens_per_minute": ("tokens", 60)}
"""The limits that can be set: by name (the setting's in `api.limits`), what is counted and in how many seconds."""
LONGEST_WINDOW: Final = max(seconds for _, seconds in WINDOWS.values())


@record
class LimitWindow:
    """At most `limit` in any `seconds` seconds."""

    counts: Counted
    seconds: int
    limit: int


@record
class Limits:
    """How much one principal may use. Without windows and `parallel`: as much as it likes."""

    windows: tuple[LimitWindow, ...] = ()
    parallel: int | None = None
    """Requests at the same time."""

    @classmethod
    def of(cls, parallel: int | None = None, **limits: int | None) -> "Limits":
        """`limits`: by the names of WINDOWS; None: no such limit."""
        windows = [LimitWindow(counts=WINDOWS[name][0], seconds=WINDOWS[name][1], limit=most) for name, most in limits.items() if most]
        return cls(windows=tuple(windows), parallel=parallel)

    def named(self, name: str) -> int | None:
        """The limit of this name of WINDOWS."""
        return next((window.limit for window in self.windows if (window.counts, window.seconds) == WINDOWS[name]), None)

    def counts(self, counted: Counted) -> bool:
        return any(window.counts == counted for window in self.windows)

    @property
    def any(self) -> bool:
        return bool(self.windows) or self.parallel is not None

    def over(self, defaults: "Limits") -> "Limits":
        """These, and those of `defaults` for windows that these leave open."""
        if not defaults.any:
            return self
        own = {(window.counts, window.seconds) for window in self.windows}
        more = [window for window in defaults.windows if (window.counts, window.seconds) not in own]
        return Limits(windows=(*self.windows, *more), parallel=defaults.parallel if self.parallel is None else self.parallel)


@record
class ApiKey:
    """A key as it is kept: all of it but the secret, of which there is only a hash."""

    id: str
    """Its holder is the identity `key:<id>`; the same after a rotation."""
    name: str
    prefix: str
    """How the secret begins, to recognise it by: "nbk_ab12"."""
    scopes: frozenset[Scope]
    models: tuple[str, ...] | None
    """Patterns (`gpt-*`, `agent:home`) of which a model or agent must match one; None: all may be used. Empty: none."""
    limits: Limits
    created: datetime
    expires: datetime | None = None
    last_used: datetime | None = None
    """To the minute or so."""
    revoked: datetime | None = None


@record
class HeldKey:
    """A valid key, and until when the given secret is (its expiry, or the end of a rotation's overlap)."""

    key: ApiKey
    person: str
    """The id of the person that it belongs to."""
    until: datetime | None


class KeyStore(Protocol):
    """Where keys are kept. A `digest` is the SHA-256 of a whole secret, in hex. Everything raises StoreUnavailable."""

    async def add(self, key: ApiKey, digest: str) -> None: ...

    async def find(self, digest: str) -> HeldKey | None:
        """The key of a valid secret; None: unknown, revoked, expired or rotated out."""
        ...

    async def holding(self, digests: Collection[str]) -> Mapping[str, str]:
        """Those that are valid now, each with the person that it belongs to."""
        ...

    async def limits(self, key_id: str) -> Limits | None:
        """The limits of a key, valid or not. None: there is no such key."""
        ...

    async def used(self, key_id: str, at: datetime) -> None: ...

    async def list(self) -> Sequence[ApiKey]:
        """All keys, revoked ones too, the oldest first."""
        ...

    async def revoke(self, key_id: str) -> bool:
        """End the key. False: there is no such key, or it was revoked before."""
        ...

    async def rotate(self, key_id: str, *, digest: str, prefix: str, overlap_until: datetime) -> bool:
        """Give it another secret; the current one stays valid until `overlap_until`, an older one ends now. False: no such valid key."""
        ...


class Holding(Protocol):
    """What knows which secrets are valid: keys, browsers."""

    async def holding(self, digests: Collection[str]) -> Mapping[str, str]:
        """Those that are valid now, each with the person that it belongs to. Raises StoreUnavailable."""
        ...


@record
class Browser:
    """A browser that is logged in, without its secret. It has the rights of the credential that it was logged in with, as long as that holds."""

    id: str
    """`brw_…`"""
    name: str
    """What it says it is: "Firefox on Linux"."""
    caller: str
    """The identity for which it speaks: the id of its principal."""
    scopes: frozenset[Scope] | None
    """None: all."""
    models: tuple[str, ...] | None
    """As of an `ApiKey`."""
    created: datetime
    expires: datetime
    key: str | None = None
    """The id of the API key that it was logged in with."""
    proof: str | None = None
    """With `key`, the digest of the key's secret; else the digest of this browser's secret and the shared one that it was logged in with."""
    last_used: datetime | None = None
    """To the minute or so."""


@record
class HeldBrowser:
    """A browser whose secret is valid, whose it is, and the limits of its key."""

    browser: Browser
    person: str
    limits: Limits


class BrowserStore(Protocol):
    """Where browsers are kept. A `digest` is the SHA-256 of a whole secret, in hex. A browser whose key does not hold is not there. Everything
    raises StoreUnavailable."""

    async def add(self, browser: Browser, digest: str, *, link: bool = False) -> None:
        """`link`: it is a link, by which a browser of these rights logs in, once."""
        ...

    async def redeem(self, link: str, digest: str, *, id: str, name: str, expires: datetime) -> Browser | None:
        """Make a browser of the link with the digest `link`, in one transaction. None: there is no such link, it was used, or it has ended."""
        ...

    async def find(self, digest: str) -> HeldBrowser | None: ...

    async def holding(self, digests: Collection[str]) -> Mapping[str, str]:
        """As `Holding`."""
        ...

    async def used(self, id: str, at: datetime) -> None: ...

    async def list(self, person: str) -> Sequence[Browser]:
        """Those of a person, the latest first."""
        ...

    async def remove(self, person: str, id: str | None = None) -> int:
        """Log out one browser of the person, or all of them with their links; returns how many there were."""
        ...


@record
class Measure:
    """What is left of one limit, as the headers x-ratelimit-* tell it."""

    limit: int
    remaining: int
    reset: float
    """Seconds until all of it is back, without further requests."""


@record
class LimitStatus:
    """What is left of a principal's limits. None: there is no such limit."""

    requests: Measure | None = None
    tokens: Measure | None = None


class NotAdmitted(RateLimited):
    """Too many requests. Wait, then try again."""

    def __init__(self, message: str, *, retry_after: float | None, standing: LimitStatus) -> None:
        """`standing`: without this request."""
        super().__init__(message, retry_after=retry_after)
        self.standing = standing


class Admission(Protocol):
    """A counted request. Reserve the estimated tokens before a model call, report the used ones after it; an unused reservation is given back."""

    @property
    def standing(self) -> LimitStatus:
        """As of the last call of the store."""
        ...

    async def reserve(self, tokens: int) -> None:
        """Reserve estimated tokens (more than a whole window's count as a whole window's). Raises RateLimited: then the request does not
        count at all; StoreUnavailable."""
        ...

    def used(self, tokens: int) -> None:
        """Replace the reservation by the tokens used. Noted at `end`; an excess counts from then on."""
        ...

    def broke_off(self, tokens: int) -> None:
        """The answer broke off after these tokens. 0 gives the reservation back; otherwise at least the reservation counts."""
        ...

    async def end(self) -> None:
        """Settle the tokens and free the place among `parallel`, before the last byte of the answer. Never raises; again: does nothing."""
        ...


class Limiter(Protocol):
    """Counts what principals use: exactly, in sliding windows, for all processes on one store together."""

    async def admit(self, owner: str, limits: Limits) -> Admission:
        """Count a request of `owner`. Raises NotAdmitted with `retry_after`, StoreUnavailable."""
        ...

    async def spend(self, owner: str, limits: Limits, tokens: int) -> Admission:
        """Reserve estimated tokens for work of `owner` that is no request. Raises as `reserve` does."""
        ...


class Unlimited:
    """The admission of a principal without limits: costs nothing."""

    standing = LimitStatus()

    async def reserve(self, tokens: int) -> None:
        pass

    def used(self, tokens: int) -> None:
        pass

    def broke_off(self, tokens: int) -> None:
        pass

    async def end(self) -> None:
        pass


UNLIMITED: Final[Admission] = Unlimited()

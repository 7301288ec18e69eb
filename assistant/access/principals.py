"""Who asks, once that is known."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

from assistant.contracts.access import Limits, Scope
from assistant.contracts.errors import Forbidden

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

"""Authentication and default limits, as configured."""

from assistant.access.authenticator import Allowance, Authenticator, KeyWatch
from assistant.access.principals import build_access
from assistant.config import Config
from assistant.contracts.access import WINDOWS, Limits
from assistant.store.store import Store


def build_auth(config: Config, store: Store) -> Authenticator:
    """What every door asks: HTTP and sockets share it, so that failures and limits count together. Raises CannotLetIn."""
    return Authenticator(
        access=build_access(config.auth, config.api.api_key, store.keys),
        limiter=store.limits,
        defaults=default_limits(config),
        keys=KeyWatch(store.keys),
    )


def build_allowance(config: Config, store: Store) -> Allowance:
    """The limits of chats and jobs: the same ones, counted in the same place."""
    return Allowance(keys=store.keys, limiter=store.limits, defaults=default_limits(config))


def default_limits(config: Config) -> Limits:
    """Limits for principals that define none."""
    return Limits.of(**{name: getattr(config.api.limits, name) for name in WINDOWS})

"""Who may come in, and how much they may, as configured."""

from assistant.access.build import open_access
from assistant.access.doorkeeper import Doorkeeper
from assistant.access.key_watch import KeyWatch
from assistant.config import Config
from assistant.contracts.access import Limits
from assistant.store.store import Store


def open_doors(config: Config, store: Store) -> Doorkeeper:
    """What every door asks: HTTP and sockets share it, so that failures and limits count together. Raises CannotLetIn."""
    return Doorkeeper(
        access=open_access(config.auth, config.api.api_key, store.keys),
        limiter=store.limits,
        defaults=default_limits(config),
        keys=KeyWatch(store.keys),
    )


def default_limits(config: Config) -> Limits:
    """Of whoever has none of their own."""
    limits = config.api.limits
    return Limits(requests=limits.requests_per_minute, tokens=limits.tokens_per_minute)

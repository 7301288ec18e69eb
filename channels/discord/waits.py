"""How long the adapter waits for what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Seconds."""

    send: float = 57
    """For a part, discord.py's own tries at a server error included."""
    ready: float = 60
    """From the first connection to being ready."""
    lost: float = 120
    """For which discord.py may try to take a lost session up again; then a new one is made."""
    identify: float = 5
    """Before a new session, at most: Discord lets a bot make one in five seconds."""
    again: float = 1
    """Before what failed is tried again, at first."""
    guilds: float = 1
    """Without a further server, after which a new session has told of all of them."""
    answerable: float = 2.5
    """For which an interaction can be answered; Discord gives three."""

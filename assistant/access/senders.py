"""Who may write to the assistant over a channel: by ids that the platform gives and nobody can change, never by names.

Compare CVE-2026-28446 (an empty list let everybody in) and CVE-2026-28480, -53849 (senders known by a name that they choose).
"""

from collections.abc import Mapping
from typing import Final, Literal

from assistant.contracts.channels import ChannelSettings
from assistant.contracts.pairing import PairingStore

Standing = Literal["owner", "user", "stranger"]
EVERYBODY: Final = "*"


class Senders:
    """What the configuration and the owner's word say of senders."""

    def __init__(self, channels: Mapping[str, ChannelSettings], pairings: PairingStore) -> None:
        """`channels`: the settings of the enabled ones, by name."""
        self._channels = channels
        self._pairings = pairings

    async def standing(self, channel: str, sender_id: str) -> Standing:
        """Of a sender. On a channel that is not enabled, everybody is a stranger. Raises StoreUnavailable."""
        settings = self._channels.get(channel)
        if settings is None:
            return "stranger"
        if settings.let_in_by_secret:
            return "user"
        if sender_id in ("", EVERYBODY):
            return "stranger"
        if sender_id in settings.owners:
            return "owner"
        if EVERYBODY in settings.allow_from or sender_id in settings.allow_from:
            return "user"
        return "user" if await self._pairings.paired(channel, sender_id) else "stranger"

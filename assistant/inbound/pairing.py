"""Pairing: a stranger gets a code, and nothing else of what they write is kept."""

import logging
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from assistant.contracts.inbox import InboundMessage, Pairing
from assistant.contracts.util import Clock, derived_id
from assistant.inbound import phrases as words
from assistant.inbound.replies import Writer, place_for
from assistant.store.channels import PairingStore
from assistant.store.outbox import OutboxStore

log = logging.getLogger(__name__)

ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits that are not taken for each other. 31 to the power of 8: a code is not guessed within its hour."""
CODE_LENGTH: Final = 8
VALID_FOR: Final = timedelta(hours=1)
MOST_OPEN: Final = 3
"""On a channel at once: strangers can't fill the owner's list."""
TOLD_AGAIN_AFTER: Final = timedelta(minutes=10)
_REMEMBERED: Final = 1_000


class PairingCodes:
    """Meets those who may not write."""

    def __init__(self, *, pairings: PairingStore, outbox: OutboxStore, writer: Writer, clock: Clock) -> None:
        self._pairings = pairings
        self._outbox = outbox
        self._writer = writer
        self._clock = clock
        self._told: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    async def meet(self, message: InboundMessage) -> None:
        """Tell the sender a code, at most once in ten minutes, where there is room for one. Raises StoreUnavailable: not told."""
        channel, sender = message.address.channel, message.sender
        if not (message.private and message.trusted and sender.id):
            log.info("inbound.stranger channel=%s sender=%s chat=%s told=%s", channel, sender.id, message.address.chat_id, "no")
            return
        now = self._clock()
        last = self._told.get((channel, sender.id))
        if last is not None and now - last < TOLD_AGAIN_AFTER:
            return
        code = "".join([secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)])
        asked = Pairing(channel=channel, sender=sender, chat_id=message.address.chat_id, code=code, created=now, expires_at=now + VALID_FOR)
        pairing = await self._pairings.request(asked, most_open=MOST_OPEN)
        if pairing is not None and pairing.code is not None:
            # One event for each ten minutes of a code: what a restart, or a message that comes twice, makes again is known.
            window = (now - pairing.created) // TOLD_AGAIN_AFTER
            id = derived_id("evt", "pairing", channel, sender.id, pairing.code, str(window))
            event = self._writer.event(id, "pairing", message, place_for(message, "user"), words.pairing(pairing.code))
            await self._outbox.enqueue([event])
        self._remember((channel, sender.id), now)
        told = "code" if pairing else "no"
        log.info("inbound.stranger channel=%s sender=%s chat=%s told=%s", channel, sender.id, message.address.chat_id, told)

    def _remember(self, sender: tuple[str, str], now: datetime) -> None:
        self._told[sender] = now
        self._told.move_to_end(sender)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

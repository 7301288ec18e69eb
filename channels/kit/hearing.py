"""Which messages are for the assistant, by one rule for all platforms."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import COMMANDS, Command, InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.records import record
from channels.kit.bots import BotTurns


@record
class Overheard:
    """What the rule needs of a message."""

    chat_id: str
    external_id: str
    private: bool
    mentions_me: bool = False
    """By name, or in a message of the platform's own kind."""
    answers_me: bool = False
    """It replies to a message of the assistant, or is in a thread that the assistant was asked in."""
    command: Command | None = None
    by_bot: bool = False
    own: bool = False

    def message(
        self,
        *,
        address: Address,
        sender: Sender,
        message_id: str,
        at: datetime,
        text: str,
        call: str,
        quote: Quote | None = None,
        files: tuple[InboundFile, ...] = (),
    ) -> InboundMessage | None:
        """It for the assistant; None: it says nothing. `call`: the text of one that does nothing but mention the assistant."""
        if not (text or files or quote or self.mentions_me):
            return None
        return InboundMessage(
            external_id=self.external_id,
            address=address,
            sender=sender,
            private=self.private,
            text=text or ("" if files or quote else call),
            quote=quote,
            files=files,
            command=self.command,
            trusted=not self.by_bot,
            message_id=message_id,
            at=at,
        )


class Hearing:
    """One for all connections of an adapter."""

    def __init__(self, groups: Literal["off", "mention", "all"], *, allow_bots: bool = False, channels: Collection[str] = ()) -> None:
        """`channels`: the ids of the groups and threads that are read; empty: all."""
        self._groups = groups
        self._channels = frozenset(channels)
        self._bots = BotTurns(allow_bots)

    def reads(self, address: Address, *, private: bool) -> bool:
        """Whether anything is read there; presses of buttons always are then."""
        among = not self._channels or bool(self._channels & {address.chat_id, address.thread_id})
        return private or (self._groups != "off" and among)

    def hears(self, heard: Overheard) -> bool:
        """Private messages always; in groups by `groups`: those that mention the assistant, answer it, or are one of its commands. Its own never;
        those of other bots by `BotTurns`."""
        if not heard.private and not self._in_group(heard):
            return False
        return self._bots.may(heard.chat_id, heard.external_id, by_bot=heard.by_bot, own=heard.own)

    def _in_group(self, heard: Overheard) -> bool:
        if self._groups != "mention":
            return self._groups == "all"
        return heard.mentions_me or heard.answers_me or (heard.command is not None and heard.command.name in COMMANDS)

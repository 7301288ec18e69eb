"""What people write as commands, and the values of buttons.

A button carries `say:<words>` (its press is the user's message) or `do:<command>`. Words that are too long for a platform's value are carried as
`at:<row>.<column>`, and are looked up in the message that shows the button.
"""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import Command, InboundMessage, Sender
from assistant.contracts.outbox import Button
from assistant.contracts.util import replace_surrogates

_WRITTEN: Final = re.compile(r"[/!]([A-Za-z][A-Za-z0-9_]{0,31})(?:@([A-Za-z0-9_.-]{1,64}))?(?:\s+(.*))?", re.DOTALL | re.ASCII)
_SAY, _DO, _AT = "say:", "do:", "at:"


def command_of(text: str, *, signs: str = "/") -> Command | None:
    """The command that a message is. None: it is none ("/etc/hosts"). `signs`: "/!" where the platform's clients keep "/" for themselves."""
    found = addressed_command(text, signs=signs)
    return found[0] if found is not None else None


def addressed_command(text: str, *, signs: str = "/") -> tuple[Command, str | None] | None:
    """(the command, the bot that it is addressed to: "/help@my_bot")."""
    text = text.strip()
    found = _WRITTEN.fullmatch(text) if text[:1] in signs else None
    if found is None:
        return None
    return Command(name=found[1].lower(), arguments=(found[3] or "").strip()), found[2]


def button_value(button: Button, place: str, most_bytes: int) -> str:
    """What a button that opens no page carries. `place`: "<row>.<column>"."""
    if button.command is not None:
        return _DO + button.given
    value = _SAY + button.text
    return value if len(value.encode()) <= most_bytes else _AT + place


class Press(NamedTuple):
    """Of one of our buttons."""

    words: str
    command: Command | None

    def message(
        self, *, external_id: str, address: Address, sender: Sender, private: bool, message_id: str | None, at: datetime | None = None
    ) -> InboundMessage:
        """It as the message of the person who pressed. `at`: None: now."""
        return InboundMessage(
            external_id=external_id,
            address=address,
            sender=sender,
            private=private,
            text=replace_surrogates(self.words),
            command=self.command,
            chosen=True,
            message_id=message_id,
            at=at or datetime.now(UTC),
        )


def pressed(value: str, label: str | None = None) -> Press | None:
    """What a press says. `label`: the words on the button, where the platform tells them. None: it is none of our buttons."""
    if value.startswith(_DO):
        words = value.removeprefix(_DO)
        return Press(words, command_of(words))
    words = value.removeprefix(_SAY) if value.startswith(_SAY) else label if value.startswith(_AT) else None
    return Press(words, None) if words else None

"""The commands that Telegram offers to whoever types a slash. What they do is the assistant's; here they are named and recognised."""

import re
from typing import Final

from assistant.contracts.inbox import Command

COMMANDS: Final = (
    ("start", "Begin"),
    ("help", "What this assistant can do"),
    ("new", "Begin a new conversation"),
    ("stop", "Stop what is being done"),
    ("status", "How it is doing"),
    ("id", "The ids of this chat and of you"),
)
_NAMES: Final = frozenset(name for name, _ in COMMANDS)
_FORM = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL)


def command_of(text: str) -> tuple[Command, str | None] | None:
    """The command that a message is, and the bot that it is addressed to, if any. None: it is none ("/etc/hosts")."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    return Command(name=found[1].lower(), arguments=(found[3] or "").strip()), found[2]


def is_ours(command: Command) -> bool:
    """Whether it is one that is registered."""
    return command.name in _NAMES

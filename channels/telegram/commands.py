"""How a command is written on Telegram."""

import re

from assistant.contracts.inbox import Command

_FORM = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL)


def command_of(text: str) -> tuple[Command, str | None] | None:
    """The command that a message is, and the bot that it is addressed to, if any. None: it is none ("/etc/hosts")."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    return Command(name=found[1].lower(), arguments=(found[3] or "").strip()), found[2]

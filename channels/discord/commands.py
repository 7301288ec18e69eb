"""The slash commands: their registration, and how an interaction is answered.

https://discord.com/developers/docs/interactions/application-commands, …/receiving-and-responding
"""

import logging
import re
from typing import Any, Final

import aiohttp
import discord
from discord.http import Route

from assistant.contracts.inbox import COMMANDS, Command
from channels.discord.rest import Client

log = logging.getLogger(__name__)
_WRITTEN: Final = re.compile(r"/([a-z][a-z0-9_]{0,31})(?:\s+(.*))?", re.DOTALL | re.ASCII)
_MESSAGE, _NOTHING = 4, 6
"""Kinds of answers: a message; for a button, nothing to be seen."""
_EPHEMERAL: Final = 1 << 6


def command_in(text: str) -> Command | None:
    """Of a message that is written like a command."""
    written = _WRITTEN.fullmatch(text)
    return Command(name=written[1], arguments=(written[2] or "").strip()) if written else None


async def register(client: Client) -> None:
    """Make the commands known, where they are not. They are a convenience: without them, the same words can be written."""
    wanted = [{"name": name, "description": about, "type": 1} for name, about in COMMANDS.items()]
    try:
        known: list[Any] = await client.http.get_global_commands(client.me.id if client.application_id is None else client.application_id)
        if {(each["name"], each["description"]) for each in known} != set(COMMANDS.items()):
            await client.http.bulk_upsert_global_commands(client.application_id or client.me.id, wanted)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        log.warning("discord.commands_not_registered error=%s", type(error).__name__)


async def tell(client: Client, interaction: discord.Interaction, words: str | None) -> None:
    """Answer an interaction, seen by its user alone. `words` None: show nothing (a button). It has to happen within three seconds; one that comes
    too late is shown as failed by Discord, though what it asked for is done."""
    data = {"type": _NOTHING} if words is None else {"type": _MESSAGE, "data": {"content": words, "flags": _EPHEMERAL}}
    path = "/interactions/{interaction}/{token}/callback"
    try:
        await client.http.request(Route("POST", path, interaction=interaction.id, token=interaction.token), json=data)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        log.info("discord.interaction_unanswered id=%s error=%s", interaction.id, type(error).__name__)

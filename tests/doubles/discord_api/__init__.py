"""A stand-in for Discord on loopback, REST and gateway, that the real discord.py talks to (see `server.DiscordApi`)."""

from tests.doubles.discord_api.server import DiscordApi, DiscordThread
from tests.doubles.discord_api.world import Accepted

__all__ = ["Accepted", "DiscordApi", "DiscordThread"]

"""A stand-in for Discord on loopback, REST and gateway, that the real discord.py talks to (see `server.DiscordApi`)."""

from tests.doubles.discord_api.server import DiscordApi, DiscordThread

__all__ = ["DiscordApi", "DiscordThread"]

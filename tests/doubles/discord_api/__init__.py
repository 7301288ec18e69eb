"""A stand-in for Discord on loopback, REST and gateway, that the real discord.py talks to (see `server.DiscordApi`)."""

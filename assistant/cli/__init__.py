"""The command line: `nanobot serve | chat | doctor | sessions | config`."""

from assistant.cli.program import main

__all__ = ["main"]

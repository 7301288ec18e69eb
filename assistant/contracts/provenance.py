"""Where words came from. Set by the program for each part, result, memory and schedule; a model never writes it."""

from typing import Final, Literal

Provenance = Literal["person", "owner", "assistant", "file", "web", "mail", "tool", "mcp", "stranger", "system"]
UNTRUSTED: Final[frozenset[Provenance]] = frozenset({"file", "web", "mail", "tool", "mcp", "stranger"})
"""Words that others may have written: material, never a wish of the person's."""

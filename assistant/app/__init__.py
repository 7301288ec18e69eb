"""The composition root: everything is built here once, from the configuration, and passed down; started, and stopped in order."""

from assistant.app.services import Assistant, open_assistant
from assistant.app.serving import serve

__all__ = ["Assistant", "open_assistant", "serve"]

"""The composition root: everything is built here once, from the configuration, and passed down; started, and stopped in order."""

from assistant.app.services import Services, open_services
from assistant.app.serving import serve

__all__ = ["Services", "open_services", "serve"]

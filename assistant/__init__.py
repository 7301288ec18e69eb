"""nanobot: a personal assistant service that keeps its promises."""

__version__ = "0.1.0"

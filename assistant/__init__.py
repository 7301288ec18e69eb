"""nanobot: a personal assistant service that keeps its promises."""

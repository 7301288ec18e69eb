"""The web: fetching a page, reading it, searching."""

"""Zulip: a bot of an organization, by REST and its event queue."""

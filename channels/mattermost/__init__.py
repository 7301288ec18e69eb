"""Mattermost: a bot account of a server, by REST and its WebSocket."""

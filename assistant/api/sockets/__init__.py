"""Conversations over WebSockets: frames in MessagePack and JSON."""

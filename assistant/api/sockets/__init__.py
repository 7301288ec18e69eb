"""WebSockets: what is said over them, in MessagePack and JSON."""

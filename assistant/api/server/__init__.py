"""The server: bound ports, connections with limits, WebSockets, and graceful shutdown."""

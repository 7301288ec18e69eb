"""One module an adapter to a chat platform."""

"""MCP servers: other people's programs whose tools the assistant can use. Nothing of the package `mcp` is imported before the first connection."""

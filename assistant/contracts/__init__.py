"""What everybody shares: messages, turns, events, ports, errors. No I/O, and no library but pydantic; `proxies` makes connectors of aiohttp."""

"""The words everybody shares: messages, turns, events, ports and errors. Standard library and pydantic only, no I/O."""

"""Real clients against a real server, each in a process of its own: `make test-clients`."""

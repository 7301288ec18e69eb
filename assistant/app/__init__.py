"""The composition root: services are built once, from the configuration, and passed down; the runtime starts and stops them in order."""

"""The port: who may listen where, connections with limits, and the orderly end."""

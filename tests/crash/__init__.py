"""The crash test: a real server under load is killed repeatedly, and the messages that arrived are compared with those that were accepted."""

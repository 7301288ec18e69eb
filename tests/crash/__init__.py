"""The crash test: a real server under load is killed again and again, and what the platforms took is compared with what was accepted."""

"""What outlives a session: memories, and the search over them and over everything that was said."""

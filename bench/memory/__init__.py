"""Does search find what was said? Long conversations of many sessions, questions with marked evidence: `python -m bench.memory`."""

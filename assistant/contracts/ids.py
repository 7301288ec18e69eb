"""Ids: prefixed, sortable by the time they were made, safe in URLs and file names."""

import random
import time


def new_id(prefix: str) -> str:
    """`<prefix>_` and 28 hexadecimal digits: 48 bits of milliseconds since 1970, then 64 random bits. It tells things apart and grants nothing."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{random.getrandbits(64):016x}"

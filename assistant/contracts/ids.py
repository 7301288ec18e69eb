"""Ids: prefixed, sortable by the time they were made, safe in URLs and file names."""

import random
import time
from hashlib import blake2b


def new_id(prefix: str) -> str:
    """`<prefix>_` and 28 hexadecimal digits: 48 bits of milliseconds since 1970, then 64 random bits. It tells things apart and grants nothing."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{random.getrandbits(64):016x}"


def derived_id(prefix: str, *causes: str) -> str:
    """Like `new_id` in form, and the same for the same causes: what is made of them again after a crash is known as the same thing."""
    digest = blake2b("\0".join(causes).encode(), digest_size=14)
    return f"{prefix}_{digest.hexdigest()}"

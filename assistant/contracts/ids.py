"""Ids: prefixed, sortable by the time they were made, safe in URLs and file names."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26


def new_id(prefix: str) -> str:
    """`<prefix>_` and 26 characters (Crockford base 32): 48 bits of milliseconds since 1970, then 80 random bits (the ULID layout)."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return prefix + "_" + "".join([_ALPHABET[(number >> shift) & 31] for shift in range((_LENGTH - 1) * 5, -1, -5)])

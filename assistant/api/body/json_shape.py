"""What must hold of a JSON text before it is parsed, so that parsing it is cheap and what comes out is sound."""

import re

from assistant.contracts.errors import InvalidJson, RequestTooLarge

MAX_DEPTH = 64
MAX_TOKENS = 200_000
_SMALL = 1024 * 1024
_TOKEN = re.compile(rb'["\[\]{},]')
_SURROGATE = re.compile(rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|([89a-fA-F][0-9a-fA-F]{2}))")
"""A pair of escapes that make one character, or (with the group) half of one."""


def is_plainly_shallow(body: bytes | bytearray) -> bool:
    """True for a small body with so few brackets that it can't be too deep, whatever they are: most are, and need no further look."""
    return len(body) <= _SMALL and body.count(b"[") + body.count(b"{") <= MAX_DEPTH


def check_shape(body: bytes | bytearray) -> None:
    """Raises InvalidJson for arrays and objects nested deeper than 64, RequestTooLarge for more of commas and brackets than any message needs.

    Twenty-five megabytes of `[],[],…` would become hundreds of megabytes of Python objects. Takes time by the number of tokens, not of bytes:
    strings are skipped at the speed of `bytes.find`. Malformed JSON may pass: the parser will refuse it.
    """
    depth = 0
    position = 0
    for _ in range(MAX_TOKENS):
        token = _TOKEN.search(body, position)
        if token is None:
            return
        position = token.end()
        match token.group():
            case b'"':
                position = _end_of_string(body, position)
            case b"[" | b"{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise InvalidJson(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
            case b"]" | b"}":
                depth -= 1
            case _:
                pass
    raise RequestTooLarge(f"The JSON has more than {MAX_TOKENS:,} values.")


def replace_lone_surrogates(body: bytes | bytearray) -> bytearray:
    """Half of a character outside the basic plane, written as an escape without its other half, becomes U+FFFD.

    Clients that cut a text by UTF-16 units send these; no text that holds one can be stored or sent on. One escape is looked at at a time, and
    replaced where it stands: a regular expression's own way over 25 MB of them would hold the interpreter for seconds.
    """
    mended = bytearray(body)
    position = 0
    while (start := mended.find(b"\\u", position)) >= 0:
        position = start + 2
        if _backslashes_before(mended, start) % 2:
            continue  # an escaped backslash, and the letter u
        escape = _SURROGATE.match(mended, start)
        if escape is None:
            continue
        position = escape.end()
        if escape.group(1):
            mended[start:position] = b"\\ufffd"
    return mended


def _end_of_string(body: bytes | bytearray, position: int) -> int:
    """The offset after the closing quote of the string that goes on at `position`; the end of the body where there is none."""
    while (quote := body.find(b'"', position)) >= 0:
        if _backslashes_before(body, quote) % 2 == 0:
            return quote + 1
        position = quote + 1
    return len(body)


def _backslashes_before(body: bytes | bytearray, position: int) -> int:
    """How many stand directly before `position`."""
    first = position
    while first and body[first - 1] == 0x5C:
        first -= 1
    return position - first

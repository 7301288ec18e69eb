"""Text that came from outside, made fit to be written down."""


def whole(text: str) -> str:
    """Two halves of a character (surrogates) as the character that they stand for, a lone one as U+FFFD: no encoding has those, and what
    was accepted has to be kept, sent and shown."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

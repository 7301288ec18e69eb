"""The estimate of tokens where no provider has counted them."""

CHARACTERS_PER_TOKEN = 4


def estimate_tokens(characters: int) -> int:
    """Tokens of a text of so many characters: one for every four, rounded up. Low for CJK and emoji; a provider's own count replaces it."""
    return -(-characters // CHARACTERS_PER_TOKEN)

"""How many tokens a request may take, guessed before it is made: what limits reserve."""

from collections.abc import Sequence
from typing import Final

from assistant.contracts.models import Sampling
from assistant.contracts.tokens import CHARACTERS_PER_TOKEN
from assistant.contracts.turns import Asked, Earlier, Upload, Words

ANSWER: Final = 500
"""Where the request sets no `max_tokens`."""
FILE: Final = 1_000
"""A picture takes about as much; of a document, how much is known only when it was read."""


def estimated_tokens(said: Sequence[Earlier], instructions: Sequence[str], sampling: Sampling, *, answers: int = 1) -> int:
    """By the request alone: what a session holds already shows only in the usage, which is what counts in the end. `answers`: how many."""
    parts = [part for message in said if isinstance(message, Asked) for part in message.content]
    chars = sum(len(part.text) for part in parts if isinstance(part, Words)) + sum(map(len, instructions))
    chars += sum(len(message.text) for message in said if not isinstance(message, Asked))
    files = sum(isinstance(part, Upload) for part in parts)
    return answers * (chars // CHARACTERS_PER_TOKEN + files * FILE + (sampling.max_tokens or ANSWER))

"""Finding tools by words, where there are too many to offer them all."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_NAME_WEIGHS: Final = 3
_K, _B = 1.2, 0.75
"""BM25's own: how soon repetition stops to count, and how much length does."""


def words_of(text: str) -> list[str]:
    """The words of a text; `readFile` and `read_file` are two. Plural endings go."""
    return [_stem(word.casefold()) for word in _WORD.findall(text)]


def best(query: str, documents: Sequence[tuple[str, str]], most: int) -> list[int]:
    """The places of the documents (name, description) that a query is about, the best first, by BM25."""
    counts = [Counter(words_of(name) * _NAME_WEIGHS + words_of(text)) for name, text in documents]
    if not counts:
        return []
    mean = sum([count.total() for count in counts]) / len(counts) or 1.0
    asked = {word: sum(word in count for count in counts) for word in set(words_of(query))}
    scores: list[tuple[float, int]] = []
    for place, count in enumerate(counts):
        score = 0.0
        for word, found in asked.items():
            if times := count[word]:
                rarity = math.log(1 + (len(counts) - found + 0.5) / (found + 0.5))
                score += rarity * times * (_K + 1) / (times + _K * (1 - _B + _B * count.total() / mean))
        if score > 0:
            scores.append((-score, place))
    return [place for _, place in sorted(scores)[:most]]


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word

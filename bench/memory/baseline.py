"""The baseline: plain BM25 over single messages, words as they are, in lower case."""

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
_WIDE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def tokens(text: str) -> list[str]:
    """Words; characters where a script has no spaces."""
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        found.extend(word if _WIDE.search(word) else [word])
    return found


class Bm25:
    """Okapi BM25 with the usual k1 = 1.5 and b = 0.75."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(tokens(text)) for text in texts]
        self._lengths = [sum(count.values()) for count in self._counts]
        self._mean = sum(self._lengths) / len(texts)
        self._in = Counter(word for count in self._counts for word in count)

    def best(self, query: str, most: int) -> list[int]:
        """The places of the best texts."""
        scores = [0.0] * len(self._counts)
        for word in tokens(query):
            if not (among := self._in[word]):
                continue
            rarity = math.log(1 + (len(self._counts) - among + 0.5) / (among + 0.5))
            for place, count in enumerate(self._counts):
                if often := count[word]:
                    scores[place] += rarity * often * 2.5 / (often + 1.5 * (0.25 + 0.75 * self._lengths[place] / self._mean))
        return sorted(range(len(scores)), key=lambda place: (-scores[place], place))[:most]

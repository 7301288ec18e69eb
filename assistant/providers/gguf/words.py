"""From a model's tokens to text: bytes that end within a character, and stops that must not be said."""

import codecs
from collections.abc import Sequence


class Words:
    """Takes the bytes of tokens, gives the text that can be said by now. What may be the beginning of a stop is held back until it is known."""

    def __init__(self, stops: Sequence[str]) -> None:
        """`stops`: none of them empty."""
        self._stops = stops
        self._decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: str = ""
        self.stopped = False
        """Whether a stop was met: what follows it is not said."""

    def take(self, data: bytes) -> str:
        """More bytes; the text that is surely said."""
        return self._say(self._decoder.decode(data), last=False)

    def rest(self) -> str:
        """What was held back, when no more comes."""
        return self._say(self._decoder.decode(b"", final=True), last=True)

    def _say(self, text: str, *, last: bool) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.stopped = True
            self._held = ""
            return text[: min(places)]
        keep = 0 if last else max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """How many characters at the text's end are the stop's beginning."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)

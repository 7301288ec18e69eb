"""What the processes on a store write to each other about turns: follow one, what it says, stop it. Each letter is one line of JSON."""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal

import orjson
from pydantic import BaseModel, Discriminator, TypeAdapter

from assistant.contracts.turns import ReasoningDelta, TextDelta, ToolFinished, ToolStarted

Told = TextDelta | ReasoningDelta | ToolStarted | ToolFinished
"""An event of a turn that is under way."""
_PIECE: Final = 3_500
"""Characters of a letter's `piece`: with the rest, less than LONGEST_LETTER."""
_WORDS: Final = 2_000
"""Characters."""


class HeardSoFar(BaseModel):
    """How far a follower is: characters of the words, of the thoughts, and calls that began or ended."""

    words: int = 0
    thoughts: int = 0
    calls: int = 0

    def add(self, event: Told) -> None:
        match event:
            case TextDelta(text=text):
                self.words += len(text)
            case ReasoningDelta(text=text):
                self.thoughts += len(text)
            case ToolStarted() | ToolFinished():
                self.calls += 1

    def new_of(self, event: Told) -> Told | None:
        """What of an event, told from the first one on, is new; this then is how far it is in the later ones."""
        match event:
            case TextDelta(text=text) | ReasoningDelta(text=text):
                known = self.words if isinstance(event, TextDelta) else self.thoughts
                left = max(0, known - len(text))
                if isinstance(event, TextDelta):
                    self.words = left
                else:
                    self.thoughts = left
                return replace(event, text=text[known:]) if len(text) > known else None
            case ToolStarted() | ToolFinished():
                known, self.calls = self.calls, max(0, self.calls - 1)
                return None if known else event


class FollowLetter(BaseModel):
    """`sender` follows a turn of the receiver, from there on; the same again every few seconds, as long as it does. A higher `attempt`: a letter was
    lost, begin anew."""

    kind: Literal["follow"] = "follow"
    sender: str
    ask: str
    attempt: int
    turn: str
    heard: HeardSoFar


class PieceLetter(BaseModel):
    """A part of some events, `number` from 0. `whole`: the last part of them."""

    kind: Literal["piece"] = "piece"
    ask: str
    attempt: int
    number: int
    whole: bool
    piece: str


class OverLetter(BaseModel):
    """The turn has ended, or the receiver has no such turn: the store knows how it stands."""

    kind: Literal["over"] = "over"
    ask: str


class StopLetter(BaseModel):
    """Stop this turn, and what else runs or waits in its session at the receiver's."""

    kind: Literal["stop"] = "stop"
    sender: str
    ask: str
    turn: str


class StoppedLetter(BaseModel):
    """How many were stopped."""

    kind: Literal["stopped"] = "stopped"
    ask: str
    count: int


Letter = FollowLetter | PieceLetter | OverLetter | StopLetter | StoppedLetter
_LETTER: Final[TypeAdapter[Letter]] = TypeAdapter(Annotated[Letter, Discriminator("kind")])
_EVENT: Final[TypeAdapter[Told]] = TypeAdapter(Annotated[Told, Discriminator("kind")])


def read_letter(written: bytes) -> Letter:
    """Raises ValueError."""
    return _LETTER.validate_json(written)


def pieces_of(event: Told) -> Iterator[tuple[bool, str]]:
    """An event as (`whole`, `piece`) of letters; long words as several events, so that each letter that arrives is worth something. What a call
    answered stays where it is: it is stored with its step."""
    if isinstance(event, ToolFinished):
        event = replace(event, text="", effects=())
    if isinstance(event, TextDelta | ReasoningDelta):
        told = [replace(event, text=event.text[start : start + _WORDS]) for start in range(0, len(event.text), _WORDS)]
    else:
        told = [event]
    for each in told:
        encoded = b64encode(orjson.dumps(each)).decode("ascii")
        for start in range(0, len(encoded), _PIECE):
            yield start + _PIECE >= len(encoded), encoded[start : start + _PIECE]


def read_pieces(pieces: Sequence[str]) -> Told:
    """Raises ValueError."""
    return _EVENT.validate_json(b64decode("".join(pieces)))

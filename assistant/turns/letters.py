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
HeardSoFar = dict[str, int]
"""How far a follower is, by the kind of an event: characters of the words and thoughts, and how many calls began and ended."""
_PIECE: Final = 3_500
"""Characters of a letter's `piece`: with the rest, less than LONGEST_LETTER."""
_WORDS: Final = 2_000
"""Characters."""


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


def count(heard: HeardSoFar, event: Told) -> None:
    heard[event.kind] = heard.get(event.kind, 0) + _size(event)


def new_of(event: Told, heard: HeardSoFar) -> Told | None:
    """What of an event, told from the first one on, is new. `heard` is counted down to what is known of later ones."""
    size, known = _size(event), heard.get(event.kind, 0)
    heard[event.kind] = max(0, known - size)
    if isinstance(event, TextDelta | ReasoningDelta) and known < size:
        return replace(event, text=event.text[known:])
    return None if known else event


def _size(event: Told) -> int:
    return len(event.text) if isinstance(event, TextDelta | ReasoningDelta) else 1


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

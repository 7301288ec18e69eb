"""What of a chat's answer is about voice: what was heard, in front of it, and the voice message that goes with it."""

from collections.abc import Sequence
from dataclasses import field
from typing import Final

from assistant.contracts.causes import Payer
from assistant.contracts.inbox import Taken
from assistant.contracts.messages import Text
from assistant.contracts.outbox import Media
from assistant.contracts.records import record
from assistant.contracts.turns import MAIN, TurnFinished
from assistant.contracts.voice import NotSpoken, NoVoice, VoiceMessages
from assistant.inbound.preview import attempt

_LONGEST: Final = 400.0
"""Seconds; what speaks has its own, shorter limit (`voice.speaker.timeout`)."""
_MOST_HEARD: Final = 1_000
"""Characters of what was heard that are quoted back."""


def heard_words(parts: Sequence[Text], *, quote: bool) -> str:
    """What an answer begins with: why something was not heard; and, where it is to be quoted, what was."""
    lines: list[str] = []
    for part in parts:
        if part.quoted:
            lines.append(f"[{part.text}]")
        elif quote:
            text = part.text if len(part.text) <= _MOST_HEARD else f"{part.text[:_MOST_HEARD]}…"
            lines.append("\n".join(f"> {line}" for line in f"*I heard:* {text}".splitlines()))
    return "\n\n".join(lines)


def not_spoken(reason: str) -> str:
    """Under an answer that was to be said."""
    return f"[I could not say this by voice: {reason}.]"


@record
class SpokenReplies:
    """How answers are given by voice."""

    messages: VoiceMessages = field(default_factory=NoVoice)
    same: bool = False
    """Whether what was said is answered by saying (`voice.reply`)."""
    quote: bool = False
    """Whether what was heard is quoted in front of the answer (`voice.quote`)."""

    async def voiced(self, end: TurnFinished, taken: Taken, caller: str) -> tuple[tuple[Media, ...], str]:
        """(The answer as a voice message, what is said under its words where there is none). Never raises: the words go out."""
        asked = any(not part.quoted for part in end.heard)
        if not (self.same and asked and end.text.strip()):
            return (), ""
        payer = Payer(owner=taken.place.owner, caller=caller, session=taken.place.session, agent=MAIN)
        made = await attempt("voice", self._made(end.text, payer), within=_LONGEST)
        if isinstance(made, Media):
            return (made,), ""
        return (), not_spoken(made if isinstance(made, str) else made.words)

    async def _made(self, text: str, payer: Payer) -> Media | str:
        """Or why there is none."""
        try:
            return await self.messages.say(text, payer)
        except NotSpoken as error:
            return str(error)

"""What the model is sent: instructions, the history of the session, the new message; and whether it fits the context."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from assistant.contracts.errors import ContextLengthExceeded
from assistant.contracts.messages import AssistantMessage, Image, Message, Text, ToolMessage, UserMessage, Verbatim
from assistant.contracts.models import ModelProvider, Sampling, ToolSpec
from assistant.contracts.people import OWNER_ID, OWNERS_FILE, Person
from assistant.contracts.records import record
from assistant.contracts.sessions import CachedUpTo, History, SessionCut
from assistant.contracts.transcripts import (
    IMAGE_TOKENS,
    SUMMARY_ID,
    heal,
    images_of,
    message_bytes,
    message_tokens,
    shortened,
    text_tokens,
    tool_tokens,
    unanswered,
)
from assistant.contracts.turns import Earlier, HistoryMessage, TurnRequest, Upload
from assistant.contracts.util import CHARACTERS_PER_TOKEN

ANSWER_ESTIMATE: Final = 500
"""Where the request sets no `max_tokens`."""
FILE_ESTIMATE: Final = 1_000
"""A picture takes about as much; of a document, how much is known only when it was read."""


def estimated_tokens(said: Sequence[Earlier], instructions: Sequence[str], sampling: Sampling, *, answers: int = 1) -> int:
    """Of the request alone: the session's history shows only in the usage, which settles it. `answers`: how many."""
    parts = [part for message in said if isinstance(message, HistoryMessage) for part in message.content]
    chars = sum([len(part.text) for part in parts if not isinstance(part, Upload)]) + sum(map(len, instructions))
    chars += sum(len(message.text) for message in said if not isinstance(message, HistoryMessage))
    files = sum([isinstance(part, Upload) or (isinstance(part, Verbatim) and not part.text) for part in parts])
    return answers * (chars // CHARACTERS_PER_TOKEN + files * FILE_ESTIMATE + (sampling.max_tokens or ANSWER_ESTIMATE))


WORKSPACE_FILES: Final = ("AGENTS.md", OWNERS_FILE)
"""Files of the workspace about the assistant's work and its owner, in this order; both may be absent."""
FILE_CHARS: Final = 64_000
ANSWER_TOKENS: Final = 4_096
"""Kept free for the answer where the request names no limit of its own."""


LINE: Final = 0.7
"""The share of the context at which a conversation is compacted, after the turn that reached it."""
LINE_OF_ROOM: Final = 0.85
"""Where that comes first, the share of what a prompt may take: small contexts keep more free for the answer, and turns go on meanwhile."""
SUMMARY: Final = (
    "[Made by this server: a summary of the older part of this conversation. All of it stays stored, and search_history finds it.]"
)

_PER_TRANSCRIPT: Final = 1_000
"""Bytes beside its messages."""
_PER_PLACE: Final = 64
"""Bytes that a message's place in a transcript takes."""


class Instructions:
    """The stable beginning of every prompt: the agent's instructions, then the workspace's files. The same bytes until one of them changes; the
    owner's has one file more at its end."""

    def __init__(self, agent: str, workspace: Path) -> None:
        self._agent = agent
        self._paths = [str(workspace / name) for name in WORKSPACE_FILES]
        self._stamps: list[tuple[int, int] | None] = []
        self._text = ""
        self._owners = ""
        """With the file about the owner, which others have no business with."""
        self._made: tuple[tuple[object, ...], str] = ((), "")
        """The whole text that was asked for last, behind what it was made of."""

    def text(self, today: datetime, person: Person | None = None, profile: str = "") -> str:
        """The instructions as of now, `today` by the person's clock; None: of a group. `profile`: what is remembered of the person. Name and date
        are their last lines, so that the prompt's beginning is the same for all, and for one person changes once a day and no oftener."""
        stamps = [_stamp(path) for path in self._paths]
        if stamps != self._stamps or not self._text:
            self._text = self._owners = self._agent
            for name, path, stamp in zip(WORKSPACE_FILES, self._paths, stamps, strict=True):
                if stamp:
                    with open(path, encoding="utf-8", errors="replace") as file:
                        text = file.read(FILE_CHARS).strip()
                    self._owners += f"\n\n# {name}\n\n{text}" if text else ""
                if name != OWNERS_FILE:
                    self._text = self._owners
            self._stamps = stamps
        text = self._owners if person and person.id == OWNER_ID else self._text
        name = person.name if person else ""
        made_of = (text, profile, name, today.toordinal(), today.tzinfo)
        if self._made[0] != made_of:
            known = f"\n\n{profile}" if profile else ""
            named = f'The person you talk with calls themselves "{name}".\n' if name else ""
            self._made = made_of, f"{text}{known}\n\n{named}Today is {today:%A, %d %B %Y} ({today.tzinfo})."
        return self._made[1]


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


@record
class Room:
    """A prompt's fixed part and what is left for the conversation."""

    instructions: tuple[str, ...]
    fixed_tokens: int
    """What instructions and tools take, estimated."""
    conversation_tokens: int
    """What the conversation may take, the new message included."""
    context_tokens: int
    """The model's context, prompt and answer together."""

    def budget(self, scale: float) -> int:
        """`conversation_tokens` in estimated tokens, where the provider counts `scale` tokens for each estimated one."""
        return int(self.conversation_tokens / scale)


def pictures_within(context_tokens: int) -> int:
    """How many pictures of documents a message may hold: what a quarter of the context has room for, at least one."""
    return max(1, context_tokens // 4 // IMAGE_TOKENS)


_SOONEST: Final = {
    name: place
    for place, name in enumerate(
        (
            "message",
            "read_attachment",
            "list_attachments",
            "remember",
            "recall",
            "read_file",
            "write_file",
            "fetch_page",
            "search_web",
            "schedule",
        )
    )
}
"""Which tools a small context gets first."""


class Context:
    """Measures what fits into a model's context."""

    def __init__(
        self,
        context_tokens: int,
        instructions: Instructions,
        tools: Sequence[ToolSpec],
        *,
        model: ModelProvider | None = None,
    ) -> None:
        """`context_tokens`: prompt and answer together. `model`: the one whose server may turn out to take less."""
        self._configured = context_tokens
        self._model = model
        self._instructions = instructions
        self._specs = tools
        self._chose: tuple[int, frozenset[str] | None, int] | None = None
        """Of the context asked about last, its tokens first."""

    @cached_property
    def _tools(self) -> dict[str, int]:
        """What each takes, counted when that is first asked: the server's start does not wait for their schemas."""
        return {tool.name: tool_tokens(tool) for tool in sorted(self._specs, key=lambda tool: _SOONEST.get(tool.name, len(_SOONEST)))}

    @property
    def chosen(self) -> tuple[frozenset[str] | None, int]:
        """The tools that a third of a small context has room for, the most useful ones first (None: all), and the tokens that they take."""
        total, known = self.total, self._chose
        if known is None or known[0] != total:
            known = self._chose = total, *self._choose(total // 3)
        return known[1:]

    def _choose(self, left: int) -> tuple[frozenset[str] | None, int]:
        if (tokens := sum(self._tools.values())) <= left:
            return None, tokens
        chosen: dict[str, int] = {}
        for name, tokens in self._tools.items():
            if tokens <= left:
                chosen[name] = tokens
                left -= tokens
        return frozenset(chosen), sum(chosen.values())

    @property
    def pictures(self) -> int:
        """How many pictures of documents a message may hold."""
        return pictures_within(self.total)

    @property
    def total(self) -> int:
        """Tokens, prompt and answer together: as configured, or as its server turned out to take."""
        learned = self._model.info.learned_context if self._model else None
        return self._configured if learned is None else min(self._configured, learned or self._configured)

    def room(
        self,
        request: TurnRequest,
        message: UserMessage | None,
        zone: ZoneInfo,
        person: Person | None = None,
        profile: str = "",
        more: Sequence[ToolSpec] = (),
    ) -> Room:
        """The room for a turn. `zone`: by which the date is told; `person`: None in a group; `profile`: what is remembered of the person; `more`:
        tools besides the agent's. Raises ContextLengthExceeded where the new message alone, or the results of the client's tools, would not fit."""
        instructions = (self._instructions.text(datetime.now(zone), person, profile), *request.instructions)
        brought = sum(map(tool_tokens, (*more, *(tool.spec for tool in request.tools), *request.client_tools)))
        total = self.total
        fixed = self.chosen[1] + brought + sum(map(text_tokens, instructions))
        answer = min(request.sampling.max_tokens or ANSWER_TOKENS, total // 4)
        left = total - answer - fixed
        needed = sum(map(message_tokens, request.results if message is None else (*request.results, message)))
        if needed > max(left, total // 4):  # a short one is not to blame for what the rest takes: the provider has the last word
            what = "These results take" if message is None else "This message takes"
            raise ContextLengthExceeded(
                f"{what} about {needed:,} tokens, and {max(left, 0):,} of the model's {total:,} are free for it. "
                "Send less at a time, or choose a model with a larger context.",
                param="messages",
            )
        return Room(instructions=instructions, fixed_tokens=fixed, conversation_tokens=max(left, needed), context_tokens=total)


class Transcript:
    """The messages of a session that the model sees, and what they cost. Changed only by the turn that holds the session's lane."""

    def __init__(self, history: History) -> None:
        self.row = history.row
        self.revision = history.revision
        self.seq = 0
        self.cut: SessionCut | None = history.cut
        """The last one; None: nothing was cut off or shortened."""
        self.messages: list[Message] = []
        self.images: list[Image] = []
        self.tokens = 0
        self.scale = 1.0
        """Tokens that the provider counted for each that was estimated; at least 1."""
        self.size = _PER_TRANSCRIPT
        """Bytes that it takes, about."""
        self.room: Room | None = None
        """That of the last turn."""
        self.costs: list[int] = []
        """What each message takes, estimated."""
        self.seqs: dict[str, int] = {}
        """The places of the user's messages, by their ids."""
        self.extend(history.messages, history.seq - 1)
        # What a turn that was running at a new beginning said after it goes, too: a prompt begins with a user's message.
        self._drop(next((place for place, message in enumerate(self.messages) if isinstance(message, UserMessage)), len(self.messages)))
        if history.cut is not None:
            self.begin_with(history.cut, history.revision)

    @property
    def known(self) -> CachedUpTo:
        return CachedUpTo(row=self.row, seq=self.seq, revision=self.revision)

    def extend(self, messages: Sequence[Message], seq: int) -> None:
        """Note messages as the store has them; `seq` is that of the last one. Calls that others follow without a result are answered here."""
        for place, message in enumerate(messages, seq - len(messages) + 1):
            if isinstance(message, UserMessage):
                self.seqs[message.id] = place
                self.images += [part for part in message.parts if isinstance(part, Image)]
            elif isinstance(message, ToolMessage):
                self.images += message.images
        self.seq = seq
        if not messages:
            return
        last = self.messages[-1] if self.messages else None
        may_wait = isinstance(last, ToolMessage) or (isinstance(last, AssistantMessage) and bool(last.tool_calls))
        healed = heal(messages, unanswered(self.messages) if may_wait else None)
        costs = [message_tokens(message) for message in healed]
        self.messages += healed
        self.size += sum(map(message_bytes, healed)) + _PER_PLACE * len(healed)
        self.costs += costs
        self.tokens += sum(costs)

    def learn(self, prompt_tokens: int, room: Room) -> None:
        """Correct `scale` by what the provider counted for a prompt of these messages behind the room's fixed part."""
        self.scale = min(max(1.0, prompt_tokens / (self.tokens + room.fixed_tokens)), 8.0)
        self.room = room

    @property
    def crowded(self) -> bool:
        """Whether the next prompt takes so much of the context, by the provider's last count and an estimate of what was added, that the
        older part should be summed up."""
        room = self.room
        if room is None:
            return False
        line = min(LINE * room.context_tokens, LINE_OF_ROOM * (room.conversation_tokens + room.fixed_tokens))
        return (self.tokens + room.fixed_tokens) * self.scale >= line

    def begin_with(self, cut: SessionCut, revision: int) -> None:
        """Show what a cut leaves: its summary, then the messages from its place on, older results of tools in a line each."""
        start = next((place for place, message in enumerate(self.messages) if self.seqs.get(message.id, 0) >= cut.seq), None)
        if start is None:
            return
        self._drop(start)
        whole = next((place for place, message in enumerate(self.messages) if self.seqs.get(message.id, 0) >= cut.results_from), 0)
        shown = [shortened(message) if isinstance(message, ToolMessage) else message for message in self.messages[:whole]]
        if cut.text:
            about = UserMessage(
                id=f"{SUMMARY_ID}{self.row}_{cut.seq}_{revision}", parts=(Text(text=f"{SUMMARY}\n\n{cut.text}", quoted=True),)
            )
            shown.insert(0, about)
        rest = self.messages[whole:]
        self.messages = [*shown, *rest]
        self.costs = [*map(message_tokens, shown), *self.costs[whole:]]
        self.tokens = sum(self.costs)
        self.size = _PER_TRANSCRIPT + sum(map(message_bytes, self.messages)) + _PER_PLACE * len(self.messages)
        self.cut, self.revision = cut, revision

    def drop_marks(self) -> None:
        """Forget what answers to the user's last message said before they were cut off: the model continues behind the last whole step."""
        for place in reversed(range(len(self.messages))):
            message = self.messages[place]
            if isinstance(message, UserMessage):
                return
            if isinstance(message, AssistantMessage) and message.cut_off is not None:
                del self.messages[place]
                self.size -= message_bytes(message) + _PER_PLACE
                self.tokens -= self.costs.pop(place)

    def _drop(self, start: int) -> None:
        if not start:
            return
        gone, self.messages, self.costs = self.messages[:start], self.messages[start:], self.costs[start:]
        for message in gone:
            self.seqs.pop(message.id, None)
        self.tokens = sum(self.costs)
        self.size -= sum(map(message_bytes, gone)) + _PER_PLACE * len(gone)
        self.images = [image for kept in self.messages for image in images_of(kept)]


class Transcripts:
    """The transcripts used last, up to a bound; the others are read anew when they are needed."""

    def __init__(self, *, limit: int = 8 * 1024 * 1024, most: int = 1_000) -> None:
        """`limit`: bytes to keep over all sessions, about. `most`: sessions to keep."""
        self._limit = limit
        self._most = most
        self._total = 0
        self._held: OrderedDict[tuple[str, str], tuple[Transcript, int]] = OrderedDict()

    def get(self, owner: str, session: str) -> Transcript | None:
        held = self._held.get((owner, session))
        return held[0] if held else None

    def put(self, owner: str, session: str, transcript: Transcript) -> None:
        """Remember it as the one used last; the longest unused ones are forgotten where that takes too much."""
        _, before = self._held.pop((owner, session), (None, 0))
        self._total -= before
        self._held[owner, session] = transcript, transcript.size
        self._total += transcript.size
        while (self._total > self._limit and len(self._held) > 1) or len(self._held) > self._most:
            _, (_, size) = self._held.popitem(last=False)
            self._total -= size

    def forget(self, owner: str, session: str) -> None:
        """Needed where the store and the memory may differ: a write of unknown outcome, a deleted session."""
        held = self._held.pop((owner, session), None)
        if held:
            self._total -= held[1]

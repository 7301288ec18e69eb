"""What this process remembers of sessions, so that a turn reads from the store only what it has not seen."""

from collections import OrderedDict
from collections.abc import Sequence

from assistant.agent.transcript import cut, heal, message_tokens
from assistant.contracts.messages import Image, Message, UserMessage
from assistant.contracts.sessions import History, Known


class Transcript:
    """The messages of a session that the model sees, and what they cost. Changed only by the turn that holds the session's lane."""

    def __init__(self, history: History) -> None:
        self.row = history.row
        self.context_from = history.context_from
        self.seq = 0
        self.messages: list[Message] = []
        self.images: list[Image] = []
        self.tokens = 0
        self.scale = 1.0
        """Tokens that the provider counted for each that was estimated; at least 1."""
        self._costs: list[int] = []
        self._seqs: dict[str, int] = {}
        self.extend(history.messages, history.seq - 1)
        self.begin_at(history.context_from)

    @property
    def known(self) -> Known:
        return Known(row=self.row, seq=self.seq)

    def extend(self, messages: Sequence[Message], seq: int) -> None:
        """Note messages that came out of the store; `seq` is that of the last one. Calls without a result are answered here."""
        for place, message in enumerate(messages, seq - len(messages) + 1):
            if isinstance(message, UserMessage):
                self._seqs[message.id] = place
        self._note(heal(messages), seq)

    def add(self, messages: Sequence[Message], seq: int) -> None:
        """Note messages that the store has just taken, whole turns or steps; `seq` is that of the last one."""
        if isinstance(messages[0], UserMessage):
            self._seqs[messages[0].id] = seq - len(messages) + 1
        self._note(messages, seq)

    def _note(self, messages: Sequence[Message], seq: int) -> None:
        costs = [message_tokens(message) for message in messages]
        self.messages += messages
        self._costs += costs
        self.tokens += sum(costs)
        for message in messages:
            if isinstance(message, UserMessage):
                self.images += [part for part in message.parts if isinstance(part, Image)]
        self.seq = seq

    def learn(self, prompt_tokens: int, fixed_tokens: int) -> None:
        """Correct `scale` by what the provider counted for a prompt of these messages behind `fixed_tokens` estimated ones."""
        self.scale = min(max(1.0, prompt_tokens / (self.tokens + fixed_tokens)), 8.0)

    def trim(self, budget: int) -> None:
        """Drop the oldest turns where all of them cost more than `budget` tokens (see `cut`); `context_from` moves with them."""
        start = cut(self.messages, self._costs, budget) if self.tokens > budget else 0
        if start:
            self._drop(start)
            self.context_from = self._seqs[self.messages[0].id]

    def begin_at(self, context_from: int) -> None:
        """Drop what later turns are not to see any more, because the conversation was started over or cut by another process.

        What a turn that was running then said after it goes, too: a prompt begins with a user's message.
        """
        self.context_from = max(self.context_from, context_from)
        seqs = (self._seqs.get(message.id, 0) for message in self.messages)
        start = next((place for place, seq in enumerate(seqs) if seq >= context_from), len(self.messages))
        if start:
            self._drop(start)

    def _drop(self, start: int) -> None:
        gone, self.messages, self._costs = self.messages[:start], self.messages[start:], self._costs[start:]
        for message in gone:
            self._seqs.pop(message.id, None)
        self.tokens = sum(self._costs)
        self.images = [part for kept in self.messages if isinstance(kept, UserMessage) for part in kept.parts if isinstance(part, Image)]


class Transcripts:
    """The transcripts used last, up to a bound; the others are read anew when they are needed."""

    OVERHEAD = 1_000
    """What a transcript takes besides its words, in tokens of 4 bytes."""

    def __init__(self, *, tokens: int = 3_000_000) -> None:
        """`tokens`: how much to remember over all sessions, about 4 bytes each."""
        self._limit = tokens
        self._total = 0
        self._held: OrderedDict[tuple[str, str], tuple[Transcript, int]] = OrderedDict()

    def get(self, owner: str, session: str) -> Transcript | None:
        held = self._held.get((owner, session))
        return held[0] if held else None

    def put(self, owner: str, session: str, transcript: Transcript) -> None:
        """Remember it as the one used last; the longest unused ones are forgotten where that takes too much."""
        self.forget(owner, session)
        size = transcript.tokens + self.OVERHEAD
        self._held[owner, session] = transcript, size
        self._total += size
        while self._total > self._limit and len(self._held) > 1:
            _, (_, size) = self._held.popitem(last=False)
            self._total -= size

    def forget(self, owner: str, session: str) -> None:
        """Needed where the store and the memory may differ: a write of unknown outcome, a deleted session."""
        held = self._held.pop((owner, session), None)
        if held:
            self._total -= held[1]

"""Compaction: where a conversation outgrows its model's context, a summary takes the place of the older part. The messages stay stored.

A cut is made after the turn that reached the line, beside the next turns, which see it from their beginning on; only a prompt that does not fit
waits for it. Old results of tools go first, in one line each: where that is enough, nothing is summed up.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from assistant.contracts.causes import Cause, Payer
from assistant.contracts.errors import NanobotError, SessionNotFound, traceback_location
from assistant.contracts.messages import Message, Text, ToolMessage, UserMessage
from assistant.contracts.models import ModelProvider, ModelRequest
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.records import record
from assistant.contracts.sessions import ONCE, BeforeCut, CachedUpTo, SessionCut
from assistant.contracts.transcripts import cut, message_tokens, shortened, text_tokens
from assistant.contracts.util import Clock, new_id, utc_now
from assistant.store.summaries import SummaryStore
from assistant.turns import skills_kept, summary
from assistant.turns.prompt import Room, Transcript

log = logging.getLogger(__name__)

DEADLINE: Final = 30.0
"""Seconds for the model's summary."""
KEEP: Final = 0.25
"""The share of the conversation's room that stays as it is."""
_SUMMARY_SHARE: Final = 0.15
"""Of the context, what a summary may take, but never more than `_LONGEST` tokens."""
_LONGEST: Final = 4_000
_MOST_WORDS: Final = 600
"""That a model is asked for: it must be done within the deadline. Identifiers that it left out take the rest."""
_ENOUGH: Final = 0.5
"""The share of the conversation's room down to which shortened results must bring it to need no summary."""
_GAIN: Final = 0.125
"""The share of the room that a cut after a turn must free: otherwise each turn of a crowded session would ask for a summary."""
_OF_ROOM: Final = 0.75
"""Of what is free in the context of the model that sums up, what the conversation may take: the count is an estimate."""
_WORTH_IT: Final = 200
"""Tokens that a cut must free where a person asks for it: asked again at once, there is nothing more to sum up."""
_SHORTEST: Final = 50
"""Tokens that any summary may take."""
Tell = Callable[[SessionCut], OutboundEvent | None]
"""Makes the line that tells the person of a cut, which goes out with it."""


@record
class CutPlan:
    """A cut that is to be made."""

    known: CachedUpTo
    gone: tuple[Message, ...]
    """What the summary is to stand for, an earlier summary first; empty: only results are shortened."""
    cut: SessionCut
    """Without its summary; with the one before, where nothing goes."""
    tokens: int
    """What the summary may take, estimated."""
    context: int
    """The agent's model's context, in estimated tokens."""
    scale: float
    """Tokens that the provider counts for each estimated one."""


@record
class MadeCut:
    """A cut as it was made. `stored`: not where the session changed meanwhile, or the store could not be written."""

    cut: SessionCut
    known: CachedUpTo
    stored: bool


@record
class Compacted:
    """For whom a conversation is compacted, and who pays."""

    owner: str
    session: str
    model: ModelProvider
    """The agent's."""
    payer: Payer
    tell: Tell | None = None


def plan(transcript: Transcript, tokens: int, context: int, *, keep: int, gain: int = 1, clock: Clock = utc_now) -> CutPlan | None:
    """The cut that leaves about `keep` tokens of a transcript; None: nothing older is there, or less than `gain`. `context`: the model's. All tokens
    are estimated ones. Results alone are shortened where that brings it below half of `tokens`, the conversation's room; 0: never."""
    messages, costs = transcript.messages, transcript.costs
    start = cut(messages, costs, 0, keep)
    earlier, said = summary.earlier_summary(messages[:start])
    stays = text_tokens(earlier) + text_tokens(skills_kept.section(messages[:start], context))
    if not said or sum(costs[:start]) - stays < gain:
        return None
    seq = transcript.seqs[messages[start].id]
    known, before = transcript.known, transcript.cut
    first = next(message for message in messages if message.id in transcript.seqs)
    saved = sum(
        cost - message_tokens(shortened(each)) for each, cost in zip(messages[:start], costs, strict=False) if isinstance(each, ToolMessage)
    )
    made = SessionCut(seq=seq, text="", results_from=seq, tokens=0, made_by="", at=clock())
    if saved >= gain and transcript.tokens - saved <= _ENOUGH * tokens:
        shown = before or replace(made, seq=transcript.seqs[first.id])
        shown = replace(shown, results_from=seq, at=made.at)
        return CutPlan(known=known, gone=(), cut=shown, tokens=0, context=context, scale=transcript.scale)
    most = min(max(int(_SUMMARY_SHARE * context), _SHORTEST), _LONGEST)
    return CutPlan(known=known, gone=tuple(messages[:start]), cut=made, tokens=most, context=context, scale=transcript.scale)


class Compaction:
    """Makes cuts: one at a time in a session."""

    def __init__(
        self, summaries: SummaryStore, *, model: ModelProvider | None = None, before: BeforeCut | None = None, deadline: float = DEADLINE
    ) -> None:
        """`model`: writes the summaries; None: the agent's own. `before`: sees the messages first."""
        self._summaries = summaries
        self._model = model
        self._before = before
        self._deadline = deadline
        self._running: dict[tuple[str, str], asyncio.Task[MadeCut]] = {}

    def begin(self, whose: Compacted, transcript: Transcript, room: Room) -> None:
        """Make a cut in the background, if it frees enough of a crowded transcript."""
        tokens = room.budget(transcript.scale)
        context = int(room.context_tokens / transcript.scale)
        planned = plan(transcript, tokens, context, keep=int(KEEP * tokens), gain=int(_GAIN * tokens))
        if planned and (whose.owner, whose.session) not in self._running:
            self._start(whose, planned, ahead=True)

    async def fit(self, whose: Compacted, transcript: Transcript, tokens: int, context: int) -> None:
        """Make the transcript of a running turn fit into `tokens` by a cut, as far as there is something older than the turn. Of a session of one
        request it is made without a model and kept nowhere."""
        if running := self._running.get((whose.owner, whose.session)):
            await asyncio.wait([running])
            made = running.result()  # a bug in it is this turn's
            if made.stored and made.known.revision == transcript.revision:
                transcript.begin_with(made.cut, transcript.revision + 1)
        if transcript.tokens > tokens and not whose.session.startswith(ONCE):
            await self._take_over(whose, transcript)
        if transcript.tokens <= tokens:
            return
        planned = plan(transcript, 0, min(int(context / transcript.scale), tokens * 4 // 3), keep=int(KEEP * tokens))
        if planned is None:
            return
        if whose.session.startswith(ONCE):
            text = await asyncio.to_thread(summary.put_together, planned.gone, planned.tokens)
            text = skills_kept.carried(text, planned.gone, planned.context)
            made = MadeCut(cut=replace(planned.cut, text=text), known=planned.known, stored=False)
        else:
            task = self._start(whose, planned)
            await asyncio.wait([task])
            made = task.result()
        # One that is not stored holds for this turn: the next one reads what another process made of the session.
        transcript.begin_with(made.cut, planned.known.revision + made.stored)

    async def _take_over(self, whose: Compacted, transcript: Transcript) -> None:
        """Use the cut that was stored since the turn began, rather than ask for another one, which would not be stored. The transcript keeps its
        revision: the next turn reads the session anew, whatever else changed."""
        try:
            if await self._summaries.current(whose.owner, transcript.known):
                return
            history = await self._summaries.shown(whose.owner, whose.session)
        except NanobotError as error:
            log.warning("session.cut_not_seen code=%s", error.code)
            return
        if history is not None and history.cut is not None:
            transcript.begin_with(history.cut, transcript.revision)

    async def compact(self, whose: Compacted, context: int) -> asyncio.Task[MadeCut] | None:
        """Sum up all but the last part of a session, however little it takes of a context of `context` tokens; returns the cut that is being made.
        None: there is nothing older. Raises SessionNotFound."""
        if running := self._running.get((whose.owner, whose.session)):
            return running
        history = await self._summaries.shown(whose.owner, whose.session)
        if history is None:
            raise SessionNotFound(param="session_id")
        transcript = Transcript(history)
        planned = plan(transcript, 0, context, keep=int(KEEP * min(transcript.tokens, context)), gain=_WORTH_IT)
        return self._start(whose, planned) if planned else None

    async def close(self) -> None:
        """Give up the cuts under way: the sessions stay as they are. Call it when no turn runs any more."""
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _start(self, whose: Compacted, planned: CutPlan, *, ahead: bool = False) -> asyncio.Task[MadeCut]:
        """A task of its own: a turn that waits for it may be stopped."""
        key = whose.owner, whose.session
        task = self._running[key] = asyncio.create_task(self._made(whose, planned, ahead=ahead))
        task.add_done_callback(lambda _: self._running.pop(key))
        task.add_done_callback(_log_bug)
        return task

    async def _made(self, whose: Compacted, planned: CutPlan, *, ahead: bool) -> MadeCut:
        """The cut. One that is made `ahead` is given up where the session was cut already while the turn ran."""
        made, stored = planned.cut, False
        try:
            if ahead and not await self._summaries.current(whose.owner, planned.known):
                return MadeCut(cut=made, known=planned.known, stored=False)
            if planned.gone:
                made = await self._summed_up(whose, planned)
            told = whose.tell(made) if whose.tell and planned.gone else None
            stored = await self._summaries.cut(whose.owner, planned.known, made, outbound=[told] if told else [])
        except NanobotError as error:
            log.warning("session.not_cut code=%s", error.code)
        log.info("session.cut stored=%s summary=%d by=%s", stored, made.tokens, made.made_by or "no model")
        return MadeCut(cut=made, known=planned.known, stored=stored)

    async def _summed_up(self, whose: Compacted, planned: CutPlan) -> SessionCut:
        learned = asyncio.create_task(self._learned(whose, planned.cut.seq - 1))
        try:
            text, by = await self._text(whose, planned)
            await learned
        finally:
            learned.cancel()
        text = skills_kept.carried(text, planned.gone, planned.context)
        return replace(planned.cut, text=text, tokens=text_tokens(text), made_by=by)

    async def _text(self, whose: Compacted, planned: CutPlan) -> tuple[str, str]:
        """The summary, and the model that wrote it; empty: put together without one, since it failed, was late, or gave no summary."""
        model = self._model or whose.model
        if model.info.provider != "offline":
            try:
                async with asyncio.timeout(self._deadline):
                    text = await self._asked(model, whose, planned)
                if text:
                    return await asyncio.to_thread(summary.checked, text, planned.gone, planned.tokens), model.info.id
                log.warning("session.summary_refused reason=%s", "form")
            except (NanobotError, TimeoutError) as error:
                log.warning("session.summary_failed error=%s", getattr(error, "code", type(error).__name__))
        return await asyncio.to_thread(summary.put_together, planned.gone, planned.tokens), ""

    async def _asked(self, model: ModelProvider, whose: Compacted, planned: CutPlan) -> str:
        """What the model writes; empty where that is no summary."""
        context = int((model.info.learned_context or model.info.context_tokens) / planned.scale)
        context = min(context, planned.context) if model is whose.model else context
        most = int(max(context - 2 * planned.tokens, context / 2) * _OF_ROOM)
        words = summary.INSTRUCTIONS.format(words=min(planned.tokens // 3, _MOST_WORDS))
        text = await asyncio.to_thread(summary.transcript_text, planned.gone, summary.room(most))
        request = ModelRequest(
            instructions=(words,),
            messages=(UserMessage(id=new_id("msg"), parts=(Text(text=f"{text}\n\nSum it up now, under the four headings."),)),),
            payer=replace(whose.payer, cause=Cause(kind="compaction")),
        )
        answer = await model.complete(request, _unheard)
        return answer.text if summary.is_summary(answer.text) else ""

    async def _learned(self, whose: Compacted, up_to: int) -> None:
        if self._before is None:
            return
        try:
            async with asyncio.timeout(self._deadline):
                await self._before(whose.owner, whose.session, up_to)
        except Exception as error:  # noqa: BLE001 - what another part does wrong must not keep a session from being cut
            log.warning("session.cut_before_learned error=%s", traceback_location(error))


def _log_bug(task: asyncio.Task[MadeCut]) -> None:
    """A cut that nothing waits for must not fail in silence."""
    if not task.cancelled() and (bug := task.exception()):
        log.error("session.compaction_bug error=%s", traceback_location(bug))


def _unheard(text: str, /, *, reasoning: bool = False) -> None:
    """No one reads along."""

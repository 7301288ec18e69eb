"""Turns: from a request to its answer, by the steps 3 to 9 of the path of a message (docs/architecture.md)."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from assistant.access.authenticator import Allowance
from assistant.agent.loop import BETWEEN_STEPS, Loop, LoopResult, results_made, steps_made, words_of
from assistant.contracts.access import UNLIMITED, Admission
from assistant.contracts.causes import Payer
from assistant.contracts.errors import (
    ModelNotFound,
    NanobotError,
    SessionBusy,
    SessionNotFound,
    StoreUnavailable,
    drop_traceback,
)
from assistant.contracts.memory import NoMemory, TurnMemory
from assistant.contracts.messages import AssistantMessage, Message, Text, ToolMessage, Usage, UserMessage
from assistant.contracts.metrics import TURN_SECONDS, TURNS, Metrics
from assistant.contracts.people import PeopleDirectory
from assistant.contracts.sessions import ONCE, NewTurn, SessionStore
from assistant.contracts.transcripts import fit
from assistant.contracts.turns import MAIN, AgentFacts, FollowedTurn, HistoryMessage, TextDelta, TurnFailed, TurnFinished, TurnRequest
from assistant.contracts.util import new_id
from assistant.store.attachments import AttachmentStore
from assistant.turns.asking import (
    Agent,
    Prompt,
    choice_of,
    current_transcript,
    last_words,
    model_request,
    run_approved,
    tool_context,
    toolbox_of,
)
from assistant.turns.claims import doubt
from assistant.turns.compaction import Compacted, Compaction, MadeCut, Tell
from assistant.turns.elsewhere import Elsewhere
from assistant.turns.handle import Lanes, LaneTicket, RunningTurn, RunningTurns, kept, reason, remove_uploads
from assistant.turns.intake import MessageIntake
from assistant.turns.prompt import Transcript, Transcripts, estimated_tokens

log = logging.getLogger(__name__)


class Turns:
    """Runs turns. Each runs in a task of its own to its end, even when its caller has gone."""

    def __init__(
        self,
        *,
        agents: Mapping[str, Agent],
        sessions: SessionStore,
        attachments: AttachmentStore,
        intake: MessageIntake,
        timeout: float,
        allowance: Allowance,
        people: PeopleDirectory,
        compaction: Compaction,
        memory: TurnMemory | None = None,
        waiting: int = 16,
        metrics: Metrics | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """`agents`: by id, MAIN among them. `timeout`: seconds from `start` to the answer, waiting included. `waiting`: turns that may wait in one
        session. `allowance`: the limits of turns that start without an admission. `compaction`: sums up what outgrows a context.
        `memory`: what outlives a session; None: nothing does. `elsewhere`: the turns of other processes; None: there are none."""
        self.agents = agents
        """May be replaced: each turn takes its agent as it begins."""
        self.allowance = allowance
        self._people = people
        self._compaction = compaction
        self._sessions = sessions
        self._attachments = attachments
        self._intake = intake
        self._memory = memory or NoMemory()
        self._timeout = timeout
        self._lanes = Lanes(waiting=waiting)
        self._transcripts = Transcripts()
        self._running = RunningTurns()
        self._metrics = metrics or Metrics()
        self._elsewhere = elsewhere
        if elsewhere is not None:
            elsewhere.serve(self._running)

    def start(self, request: TurnRequest, admission: Admission | None = None) -> RunningTurn:
        """Begin a turn, or let it wait in its session's lane. Raises SessionBusy, ShuttingDown or ModelNotFound (no such agent) at once; then
        the uploads are still the caller's. Otherwise the turn removes them when it has read them.

        `admission`: the caller's, with the tokens reserved; the caller ends it. None: the turn asks the limits of its owner once its message is
        stored, and fails with RateLimited over them."""
        self._running.check_open()
        self._known(request.agent)
        place = self._lanes.take((request.owner, request.session))
        turn = RunningTurn(request.id, admission or UNLIMITED)
        return self._running.begin(turn, self._run(request, turn, place, meters=admission is None), place.key)

    def facts(self, agent: str) -> AgentFacts:
        """An agent's provider and tools. Raises ModelNotFound."""
        known = self._known(agent)
        return AgentFacts(provider=known.model.info.provider, tools=frozenset(known.toolbox.names))

    async def tools_in(self, agent: str, owner: str, session: str) -> frozenset[str]:
        """The names of an agent's tools, with those that a session has besides. Raises ModelNotFound."""
        box = await self._known(agent).toolbox.in_session(owner, session)
        return frozenset(box.names)

    async def delete_session(self, owner: str, session: str) -> None:
        """Remove a session, after the turns that wait in it. Raises SessionNotFound, or SessionBusy where too many wait."""
        place = self._lanes.take((owner, session))
        try:
            await place.reached()
            self._transcripts.forget(owner, session)
            if not await self._sessions.delete(owner, session):
                raise SessionNotFound(param="session_id")
        finally:
            self._lanes.leave(place)

    async def follow(self, owner: str, session: str) -> FollowedTurn | None:
        """The turn that runs in a session, or waits there as the first, in any process; None: nothing does. Raises StoreUnavailable."""
        here = self._running.in_lane((owner, session))
        return here if here is not None or self._elsewhere is None else await self._elsewhere.follow(owner, session)

    async def stop(self, owner: str, session: str) -> int:
        """Stop the turns that run or wait in a session, in any process; returns how many. Raises StoreUnavailable."""
        return self._running.stop((owner, session)) + await self.stop_elsewhere(owner, session)

    async def stop_elsewhere(self, owner: str, session: str) -> int:
        """Likewise, those of other processes."""
        return 0 if self._elsewhere is None else await self._elsewhere.stop(owner, session)

    async def runs_elsewhere(self, owner: str, session: str) -> bool:
        """Whether another process has a turn in a session. Raises StoreUnavailable."""
        return self._elsewhere is not None and await self._elsewhere.follow(owner, session) is not None

    def leave_others(self) -> None:
        """Follow no turn of another process any more: this one is about to end."""
        if self._elsewhere is not None:
            self._elsewhere.leave()

    async def take_back(self, owner: str, session: str, seq: int) -> int:
        """Remove the messages of a session from `seq` on, a message of the person's; returns how many. Raises SessionNotFound, SessionBusy while a
        turn runs or waits, InvalidRequest."""
        if not self._lanes.is_free((owner, session)):
            raise SessionBusy("A turn runs in this session: stop it, or wait for its answer.", retry_after=1)
        place = self._lanes.take((owner, session))
        try:
            self._transcripts.forget(owner, session)
            removed = await self._sessions.take_back(owner, session, seq)
        finally:
            self._lanes.leave(place)
        if removed is None:
            raise SessionNotFound(param="session_id")
        return removed

    async def start_over(self, owner: str, session: str) -> bool:
        """Hide everything said so far, and by a turn that runs now, from later turns. False: there is no such session."""
        return await self._sessions.start_over(owner, session)

    async def note(self, owner: str, session: str, turn_id: str, text: str) -> None:
        """Put words of the assistant into a session, behind the turns that wait there; what waits for the turn (`TurnRequest.reply`) ends with it.
        Raises SessionBusy, ShuttingDown, StoreUnavailable."""
        self._running.check_open()
        place = self._lanes.take((owner, session))
        try:
            await place.reached()
            if await self._sessions.resume_turn(turn_id, None) is None:
                await self._sessions.begin_turn(NewTurn(id=turn_id, owner=owner, session=session, message=None), None)
            await self._sessions.end_turn(turn_id, "finished", [AssistantMessage(id=new_id("msg"), text=text)], inbound=True)
        finally:
            self._lanes.leave(place)

    @property
    def at_work(self) -> int:
        """How many turns run or wait."""
        return self._running.count

    async def compact(self, owner: str, session: str, *, tell: Tell | None = None) -> "asyncio.Task[MadeCut] | None":
        """Sum up the older part of a session now, beside a turn that runs, by the default agent's model; returns the cut that is being made, to be
        awaited behind `asyncio.shield`. `tell`: makes the message that goes out with it. None: there is nothing older. Raises SessionNotFound."""
        agent = self.agents[MAIN]
        payer = Payer(owner=owner, caller=owner, session=session, agent=MAIN)
        whose = Compacted(owner=owner, session=session, model=agent.model, payer=payer, tell=tell)
        return await self._compaction.compact(whose, agent.context.total)

    async def close(self, grace: float) -> None:
        """Take no new turns, wait `grace` seconds for those that run, and interrupt the rest: their sessions record it, and the next start resumes
        those of the inbox (`RunningTurn.unsettled`)."""
        await self._running.close(grace)
        await self._compaction.close()
        if self._elsewhere is not None:
            await self._elsewhere.close()

    def _known(self, agent: str) -> Agent:
        if agent not in self.agents:
            raise ModelNotFound("There is no such agent. GET /v1/models lists those there are.", param="model")
        return self.agents[agent]

    async def _run(self, request: TurnRequest, turn: RunningTurn, place: LaneTicket, *, meters: bool) -> None:
        """The whole life of a turn: always settles it, leaves its lane, removes its uploads and emits its end."""
        end: TurnFinished | TurnFailed
        began = time.monotonic()
        try:
            end = await self._answer(request, turn, place, meters=meters)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - settled and passed on; `reason` logs a bug
            turn.sealed = True  # a stop now would end the task before its end is emitted
            end = await self._settle(request, turn, error)
        finally:
            self._lanes.leave(place)
            self._memory.after(request)
            if uploads := request.uploads:
                await asyncio.to_thread(remove_uploads, uploads)
        self._metrics.add(TURNS, request.agent, end.error.code if isinstance(end, TurnFailed) else "finished")
        self._metrics.took(TURN_SECONDS, time.monotonic() - began, request.agent)
        turn.emit(end if request.keep is None else await kept(turn, end, request.keep))
        if meters:
            await turn.admission.end()

    async def _answer(self, request: TurnRequest, turn: RunningTurn, place: LaneTicket, *, meters: bool) -> TurnFinished:
        turn.awake = True
        if turn.stopped:
            raise asyncio.CancelledError
        async with asyncio.timeout(request.timeout or self._timeout):
            await place.reached()
            transcript, answer = await self._converse(request, turn, meters=meters)
        # Outside of the timeout, and not to be stopped any more: an answer that is whole is stored.
        turn.sealed = True
        end = TurnFinished(
            turn_id=turn.id,
            text=answer.text,
            finish_reason=answer.last.finish_reason,
            usage=answer.usage,
            model=answer.last.model,
            answers=(replace(answer.last, text=answer.text, tool_calls=answer.asks),) if answer.asks else (),
            reasoning=answer.reasoning,
            effects=tuple(turn.effects),
            pending=tuple(turn.pending),
            heard=turn.heard,
        )
        outbound = await request.reply.outbound(end) if request.reply else ()
        step = [answer.last, *answer.results]
        seq = await self._sessions.end_turn(turn.id, "finished", step, payer=request.payer, outbound=outbound, inbound=bool(request.reply))
        if not seq and request.reply is None:  # a chat gets its answer even if its session was deleted
            raise await self._cut_out(request)
        if seq:
            transcript.extend(step, seq)
            if not request.session.startswith(ONCE):
                self._transcripts.put(request.owner, request.session, transcript)
                if transcript.room is not None and transcript.crowded:
                    self._compaction.begin(self._compacted(request), transcript, transcript.room)
        return end

    async def _converse(self, request: TurnRequest, turn: RunningTurn, *, meters: bool) -> tuple[Transcript, LoopResult]:
        agent = self.agents[request.agent]
        toolbox = await toolbox_of(request, self.agents)
        choice = request.tool_choice and choice_of(request.tool_choice, toolbox)
        transcript = await self._resume(request, turn) if request.resumes else None
        made = steps_made(transcript.messages) if transcript else []
        if transcript:
            message = last_words(transcript)
        else:
            message = (
                await self._intake.message(request, request.content, agent.pictures) if request.content or not request.results else None
            )
        person = await self._people.person(request.owner)
        zone = person.zone if person else await self._people.zone(request.owner)
        turn.heard = tuple([part for part in message.parts if isinstance(part, Text) and part.heard]) if message else ()
        profile, recalled = await self._memory.before(request, None if transcript else message)
        message = recalled or message
        room = agent.context.room(request, message, zone, person, profile, toolbox.session_specs)
        if transcript is None:
            history = await self._history(request, agent)
            turn.begun = True
            transcript = await self._load(request, message, history)
            if meters and not request.approval:  # what was accepted, resumed or approved, is not refused any more
                said = [HistoryMessage(content=request.content)]
                tokens = estimated_tokens(said, request.instructions, request.sampling)
                turn.admission = await self.allowance.admit(request.caller or request.owner, tokens)
        current, budget = transcript, room.budget(transcript.scale)

        async def fitted(tokens: int = budget) -> tuple[Message, ...]:
            if current.tokens > tokens:
                await self._compaction.fit(self._compacted(request), current, tokens, room.context_tokens)
            return tuple(current.messages) if current.tokens <= tokens else fit(current.messages, tokens)

        async def append(step: list[AssistantMessage | ToolMessage]) -> None:
            seq = await self._sessions.append_step(turn.id, step, request.payer)
            if not seq:
                raise await self._cut_out(request)
            transcript.extend(step, seq)
            steps = [message for message in step if isinstance(message, AssistantMessage)]
            said = "" if request.stream else BETWEEN_STEPS.join(words_of(steps, withdrawn=False))
            turn.step_made(Usage.total([each.usage for each in steps]), said)

        loop = Loop(
            model=agent.model,
            toolbox=toolbox,
            max_steps=agent.max_steps,
            fit=fitted,
            append=append,
            emit=turn.emit,
            pictures=self._attachments.images,
            doubt=partial(doubt, request, turn, toolbox, transcript) if agent.claim_check else None,
        )
        if request.first and not made:
            await append(approved := await run_approved(request.first, request, agent, toolbox, turn.emit))
            made = steps_made(approved)
        images = await self._attachments.images(transcript.images) if transcript.images and agent.model.info.vision else {}
        prompt = Prompt(instructions=room.instructions, messages=await fitted(), images=images, compact=fitted)
        answer = await loop.run(model_request(request, agent, toolbox, choice, prompt), tool_context(request, agent), made=made)
        transcript.learn(answer.last.usage.prompt_tokens, room)
        return transcript, answer

    async def _history(self, request: TurnRequest, agent: Agent) -> tuple[Message, ...]:
        """What the client says was said before."""
        intake, pictures = self._intake, agent.pictures
        said = [
            await intake.message(request, each.content, pictures) if isinstance(each, HistoryMessage) else each for each in request.history
        ]
        return tuple(said)

    def _compacted(self, request: TurnRequest) -> Compacted:
        tell = request.reply.of_cut if request.reply else None
        return Compacted(
            owner=request.owner, session=request.session, model=self.agents[request.agent].model, payer=request.payer, tell=tell
        )

    async def _cut_out(self, request: TurnRequest) -> NanobotError:
        """Why a turn may write no more."""
        if await self._sessions.get(request.owner, request.session) is None:
            return SessionNotFound("The session was deleted while it was being answered.")
        return StoreUnavailable("This server stood still for so long that another one took over the session. Ask again.", retry_after=1)

    async def _load(self, request: TurnRequest, message: UserMessage | None, before: tuple[Message, ...]) -> Transcript:
        """Store the user's message, or the results of the client's tools, and read what this process has not seen of the session."""
        transcript = self._transcripts.get(request.owner, request.session)
        own = NewTurn(
            id=request.id,
            owner=request.owner,
            session=request.session,
            message=message,
            results=request.results,
            history=before,
            read=request.inherits,
        )
        history = await self._sessions.begin_turn(own, transcript.known if transcript else None)
        transcript = current_transcript(transcript, history)
        transcript.extend(history.said, history.seq + len(history.said) - 1)
        if message is None:
            transcript.drop_marks()
        return transcript

    async def _resume(self, request: TurnRequest, turn: RunningTurn) -> Transcript | None:
        """The session with the steps of this turn stored before a crash, whose text is emitted again; None for a new turn."""
        transcript = self._transcripts.get(request.owner, request.session)
        history = await self._sessions.resume_turn(request.id, transcript.known if transcript else None)
        if history is None:
            return None
        turn.begun = True
        transcript = current_transcript(transcript, history)
        made = steps_made(transcript.messages)
        for message in results_made(transcript.messages):
            turn.did(message)
        log.info("turn.resumed turn=%s steps=%d", turn.id, len(made))
        said = BETWEEN_STEPS.join(words_of(made, withdrawn=request.stream))
        if said and request.stream:
            turn.emit(TextDelta(text=said))
        turn.step_made(Usage(), "" if request.stream else said)
        return transcript

    async def _settle(self, request: TurnRequest, turn: RunningTurn, error: BaseException) -> TurnFailed:
        """Record in the session that the answer was cut off, and why; returns the failure for the caller."""
        state, told = reason(turn, error)
        end = TurnFailed(turn_id=turn.id, error=told, acted=turn.acted, effects=tuple(turn.effects))
        if turn.begun:
            self._transcripts.forget(request.owner, request.session)
        if request.resumes and (state == "interrupted" or isinstance(told, StoreUnavailable)):
            turn.unsettled = True  # not an answer for the sender: it is tried again
        elif turn.begun or request.reply:
            mark = AssistantMessage(id=new_id("msg"), text=turn.unstored, cut_off=state)
            try:
                outbound = await request.reply.outbound(end) if request.reply else ()
                inbound = request.reply is not None
                await self._sessions.end_turn(turn.id, state, [mark], error=told.code, outbound=outbound, inbound=inbound)
            except Exception as failure:  # noqa: BLE001 - the caller gets the first failure, whatever the store does
                # The turn stays marked as running: the next start settles it as interrupted, or resumes it.
                turn.unsettled = request.resumes
                log.warning("turn.not_settled turn=%s state=%s error=%s", turn.id, state, type(failure).__qualname__)
        log.info("turn.failed turn=%s state=%s code=%s", turn.id, state, told.code)
        drop_traceback(error)
        drop_traceback(told)
        return end

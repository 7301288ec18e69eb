"""What a provider refuses once must not end a conversation: the same prompt is sent again in other forms, and the one that is taken is remembered.

The rungs, each once: an answer of a quarter of the context at most; where the context is too small, the conversation as its session compacts it;
without pictures; the older half of the conversation left out, behind its summary; without what the provider wanted back; other providers' calls as
words; all calls as words. What the refusal is about is tried first. A context that the provider's words tell is kept for the model. All of it is in
memory, for as many conversations as fit: after a restart a conversation may be refused once more, and climbs again.
"""

import logging
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from assistant.contracts.errors import ContextLengthExceeded, NanobotError, ProviderFailed, RequestRefused
from assistant.contracts.messages import AssistantMessage, Message, UserMessage
from assistant.contracts.models import EmitText, LeftOut, ModelInfo, ModelProvider, ModelRequest
from assistant.contracts.transcripts import cut, fit, kept_from, message_tokens, text_tokens, tool_tokens

log = logging.getLogger(__name__)

Rung = LeftOut | Literal["older half", "long answer"]
_ORDER: Final[tuple[Rung, ...]] = ("pictures", "older half", "extras", "foreign calls", "calls")
_MISSING: Final[tuple[Rung, ...]] = ("foreign calls", "extras", "calls")
_ABOUT: Final[tuple[tuple[str, tuple[Rung, ...]], ...]] = (
    (r"image|vision|multimodal|picture|photo|media.?type", ("pictures",)),
    (r"too large|too long|payload|entity|request size|body size|maximum.{0,20}(?:bytes|size)", ("pictures", "older half")),
    # What is missing is missing in what another model said; what is one too many came along with what this one said.
    (r"(?:missing|must|expected|required?|need).{0,80}(?:reasoning|thinking|thought|signature)", _MISSING),
    (r"(?:reasoning|thinking|thought|signature).{0,60}(?:missing|must be passed|required)", _MISSING),
    (r"signature|thinking|reasoning|extra_content|(?:extra|unknown|unexpected|unrecognized|additional).{0,20}(?:field|input|propert|argument|key)"
     r"|not permitted|unsupported (?:field|property|parameter)|is unsupported", ("extras", "foreign calls", "calls")),
    (r"tool|function|arguments|call_id|role|template|jinja|not callable", ("foreign calls", "calls")),
)  # fmt: skip
"""What a refusal's words are about, and which rungs are tried first then."""
_MOST_TIMES: Final = 8
"""How often a prompt is shortened."""
_MOST_CONVERSATIONS: Final = 4_096
_ANSWER_SHARE: Final = 4
"""A quarter of a context is kept free for the answer."""
_MOST_SCALE: Final = 8.0


@dataclass(frozen=True, slots=True)
class TakenForm:
    """The form in which a conversation's prompts are taken: `start` is the id of the first message that is sent, `room` what the conversation may
    take, in estimated tokens; None: no bound but the model's own."""

    without: frozenset[LeftOut] = frozenset()
    start: str = ""
    room: int | None = None


_WHOLE: Final = TakenForm()


@dataclass(slots=True)
class TextRelay:
    """An `emit` that remembers whether it passed any words on. Thoughts do not count: an answer may be asked for again behind them."""

    emit: EmitText
    started: bool = False

    def __call__(self, text: str, /, *, reasoning: bool = False) -> None:
        if not reasoning:
            self.started = True
        self.emit(text, reasoning=reasoning)


class PromptLadder:
    """Asks one model, in the form in which it takes the conversation."""

    def __init__(self, model: ModelProvider, *, fits: bool = False) -> None:
        """`fits`: shorten what is longer than the model's context at once. The first model of a chain gets prompts that were made for it."""
        self.model = model
        self._fits = fits
        self._forms: OrderedDict[str, TakenForm] = OrderedDict()
        self.learned: int | None = None
        """The context as a refusal told it, in tokens."""

    @property
    def info(self) -> ModelInfo:
        """The model's facts, with the context as it was learned."""
        info = self.model.info
        return info if self.learned is None else replace(info, learned_context=min(self.learned, info.context_tokens))

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        """As ModelProvider. Raises the first refusal where no form is taken; a short message is never called too long."""
        form = self._forms.get(request.conversation, _WHOLE)
        if self._fits and form.room is None and request.conversation:
            form = replace(form, room=self._room(request))
        first_error: NanobotError | None = None
        tried: list[Rung] = []
        relay = emit if isinstance(emit, TextRelay) else TextRelay(emit)
        while True:
            form, shaped = (form, request) if form is _WHOLE else _shaped(request, form)
            if self.learned is not None and self._asks_too_much(shaped):
                shaped = replace(shaped, sampling=replace(shaped.sampling, max_tokens=self.learned // _ANSWER_SHARE))
            try:
                message = await self.model.complete(shaped, relay)
            except (ContextLengthExceeded, RequestRefused) as error:
                if relay.started:
                    raise
                self._learn(error)
                first_error = first_error or error
                if request.compact and isinstance(error, ContextLengthExceeded) and not (self._fits or self._asks_too_much(shaped)):
                    request = replace(request, messages=await request.compact(self._smaller(error, shaped)), compact=None)
                    form = replace(form, start="", room=None)
                    continue
                climbed = self._climb(error, shaped, form, tried) if request.conversation else None
                if climbed is None:
                    raise self._told(first_error, request) from None
                rung, form = climbed
                info = self.model.info
                log.warning("provider.prompt_refused provider=%s model=%s code=%s next=%s", info.provider, info.id, error.code, rung)
            else:
                if request.conversation and form != _WHOLE:
                    self._remember(request.conversation, form)
                return message

    def _climb(self, error: NanobotError, refused: ModelRequest, form: TakenForm, tried: list[Rung]) -> tuple[Rung, TakenForm] | None:
        """The next rung that changes the prompt, and the form with it; None: there is none."""
        again = isinstance(error, ContextLengthExceeded) and len(tried) < _MOST_TIMES
        for rung in self._order(error):
            if rung in tried and not (again and rung == "older half"):
                continue
            tried.append(rung)
            if rung == "long answer":
                if self._asks_too_much(refused):
                    return rung, form
            elif rung == "older half":
                shorter = self._halved(error, refused, form)
                if shorter is not None:
                    return rung, shorter
            elif _changes(rung, refused, self.model.info):
                return rung, replace(form, without=form.without | {rung})
        return None

    def _order(self, error: NanobotError) -> Sequence[Rung]:
        if isinstance(error, ContextLengthExceeded):
            return ("long answer", "older half", "pictures")
        about = next((rungs for pattern, rungs in _ABOUT if re.search(pattern, error.message, re.IGNORECASE)), ())
        return [*about, *(rung for rung in _ORDER if rung not in about)]

    def _asks_too_much(self, request: ModelRequest) -> bool:
        """Whether the answer that is asked for takes more than its share of the context as it was learned: servers count it to the prompt."""
        return bool(request.conversation and self.learned and (request.sampling.max_tokens or 0) > self.learned // _ANSWER_SHARE)

    def _halved(self, error: NanobotError, refused: ModelRequest, form: TakenForm) -> TakenForm | None:
        """The form without the older half; None: nothing can be left out any more."""
        shorter, shaped = _shaped(refused, replace(form, room=self._smaller(error, refused)))
        return shorter if sum(map(message_tokens, shaped.messages)) < sum(map(message_tokens, refused.messages)) else None

    def _smaller(self, error: NanobotError, refused: ModelRequest) -> int:
        """The room to which the refused conversation is shortened next."""
        takes = sum(map(message_tokens, refused.messages))
        room = takes * 3 // 4
        if isinstance(error, ContextLengthExceeded) and error.limit is not None:
            scale = min(max(1.0, (error.counted or 0) / max(1, takes + _fixed(refused))), _MOST_SCALE)
            room = min(room, int(error.limit * (1 - 1 / _ANSWER_SHARE) / scale) - _fixed(refused))
        return max(room, 1)

    def _room(self, request: ModelRequest) -> int | None:
        """What the conversation may take of this model's own context; None: it fits."""
        info = self.info
        context = info.learned_context or info.context_tokens
        room = context - min(request.sampling.max_tokens or context, context // _ANSWER_SHARE) - _fixed(request)
        return max(room, 1) if sum(map(message_tokens, request.messages)) > room else None

    def _learn(self, error: NanobotError) -> None:
        if isinstance(error, ContextLengthExceeded) and error.limit is not None and (self.learned is None or error.limit < self.learned):
            self.learned = error.limit
            info = self.model.info
            log.warning("provider.context_learned provider=%s model=%s tokens=%d", info.provider, info.id, error.limit)

    def _remember(self, conversation: str, form: TakenForm) -> None:
        self._forms[conversation] = form
        self._forms.move_to_end(conversation)
        while len(self._forms) > _MOST_CONVERSATIONS:
            self._forms.popitem(last=False)

    def _told(self, error: NanobotError, request: ModelRequest) -> NanobotError:
        """The refusal in true words: the message is too long only where it is most of what is too long."""
        if not isinstance(error, ContextLengthExceeded) or not request.conversation:
            return error
        last = next((message for message in reversed(request.messages) if isinstance(message, UserMessage)), None)
        own = message_tokens(last) if last is not None else 0
        info = self.model.info
        context = self.learned or info.context_tokens
        if own >= min(context, _fixed(request) + sum(map(message_tokens, request.messages))) // 2:
            return error
        return ProviderFailed(
            f"{info.provider} refuses even a short prompt as too long: {info.id} takes {context:,} tokens there, and the instructions and tools "
            f"take about {_fixed(request):,}. Give the server a larger context, or the agent fewer tools.",
            retryable=False,
        )


def _shaped(request: ModelRequest, form: TakenForm) -> tuple[TakenForm, ModelRequest]:
    """The request in a form; and the form with the beginning that it has now."""
    messages = _from(request.messages, form.start)
    room = form.room
    costs = [] if room is None else [message_tokens(message) for message in messages]
    if room is not None and sum(costs) > room:
        begins = cut(messages, costs, room)
        form = replace(form, start=messages[begins].id if begins else form.start)
        messages = fit(kept_from(messages, begins), room)
    return form, replace(request, messages=messages, without=form.without)


def _from(messages: tuple[Message, ...], start: str) -> tuple[Message, ...]:
    place = next((place for place, message in enumerate(messages) if message.id == start), 0) if start else 0
    return kept_from(messages, place)


def _fixed(request: ModelRequest) -> int:
    return sum(map(tool_tokens, request.tools)) + sum(map(text_tokens, request.instructions))


def _changes(rung: Rung, request: ModelRequest, info: ModelInfo) -> bool:
    """Whether the rung makes another prompt of this one."""
    if rung in request.without:
        return False
    said = [message for message in request.messages if isinstance(message, AssistantMessage)]
    match rung:
        case "pictures":
            return bool(request.images) and info.vision
        case "extras":
            return any(
                message.extras or any(call.extras for call in message.tool_calls) for message in said if message.provider == info.provider
            )
        case "foreign calls":
            return any(message.tool_calls for message in said if message.provider != info.provider)
        case _:
            return any(message.tool_calls for message in said)

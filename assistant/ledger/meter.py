"""The meter in front of every model: a call's budget is reserved before it is made, and what it took is written down after it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from assistant.contracts import metrics as counted
from assistant.contracts.causes import Payer
from assistant.contracts.errors import NanobotError
from assistant.contracts.ledger import NANO, BudgetWindow, ModelCall, Operation, Reservation, Shortage
from assistant.contracts.messages import AssistantMessage, Json, Usage
from assistant.contracts.metrics import Metrics
from assistant.contracts.models import (
    EmbeddingInput,
    EmbeddingProvider,
    Embeddings,
    EmitText,
    ModelInfo,
    ModelProvider,
    ModelRequest,
    Price,
)
from assistant.contracts.people import OWNER_ID, PeopleDirectory
from assistant.contracts.transcripts import message_tokens, text_tokens, tool_tokens
from assistant.contracts.util import Clock, estimate_tokens, new_id, utc_now
from assistant.ledger.budgets import BudgetRules, used_up
from assistant.ledger.prices import Prices, Tariff
from assistant.store.ledger import LedgerStore

log = logging.getLogger(__name__)

TYPICAL_ANSWER: Final = 1_000
"""Tokens that are reserved for an answer whose request sets no `max_tokens`."""
_PRICE_SECONDS: Final = 86_400.0
"""Prices of the list begin and end on days."""
_MOST_SCALE: Final = 32.0
_UNNAMED: Final = Payer(owner=OWNER_ID, caller=OWNER_ID)
"""Who pays for a call that names no one."""

Tell = Callable[[BudgetWindow, Payer], Awaitable[None]]
"""Tells someone that four fifths of a budget are used."""


async def _tell_no_one(window: BudgetWindow, payer: Payer) -> None:
    log.warning("budget.near subject=%s period=%s", window.budget.subject, window.budget.period)


class Meter:
    """Implements Metering, on the ledger."""

    def __init__(
        self,
        store: LedgerStore,
        budgets: BudgetRules,
        prices: Prices,
        people: PeopleDirectory,
        metrics: Metrics,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self.store = store
        self.budgets = budgets
        self.prices = prices
        self.metrics = metrics
        self.tell: Tell = _tell_no_one
        """Set once there is someone who can be told."""
        self._people = people
        self._clock = clock
        self._telling: dict[tuple[object, ...], asyncio.Task[None]] = {}

    def model(self, provider: ModelProvider, price: Price | None = None) -> ModelProvider:
        return MeteredModel(self, provider, price)

    def embeddings(self, provider: EmbeddingProvider, price: Price | None = None) -> EmbeddingProvider:
        return MeteredEmbeddings(self, provider, price)

    async def reserve(self, call: ModelCall, windows: Sequence[BudgetWindow]) -> Reservation:
        """Raises BudgetUsedUp, StoreUnavailable."""
        reserving = asyncio.ensure_future(self.store.reserve(call, windows))
        try:
            held = await asyncio.shield(reserving)
        except asyncio.CancelledError:  # the store writes what it was asked
            reserving.add_done_callback(self._give_back)
            raise
        if isinstance(held, Shortage):
            budget = held.window.budget
            self.metrics.add(counted.REFUSALS, budget.subject.partition(":")[0])
            log.info("budget.used_up subject=%s period=%s cause=%s", budget.subject, budget.period, call.payer.cause.kind)
            raise used_up(held, await self._people.zone(call.payer.owner), self._clock())
        for window in held.near:
            key = (window.budget.subject, window.budget.period, window.start)
            if key not in self._telling:
                self._telling[key] = task = asyncio.create_task(self._notice(window, call.payer))
                task.add_done_callback(lambda _, key=key: self._telling.pop(key))
        return held

    def _give_back(self, reserving: "asyncio.Future[Reservation | Shortage]") -> None:
        """A reservation whose call is not made."""
        if not reserving.cancelled() and reserving.exception() is None and isinstance(held := reserving.result(), Reservation):
            self.store.keep(None, held)

    async def _notice(self, window: BudgetWindow, payer: Payer) -> None:
        """Tell, then note that it was told: what is told twice has the same id, and arrives once."""
        try:
            await self.tell(window, payer)
            await self.store.noticed(window)
        except NanobotError as error:
            log.warning("budget.not_told subject=%s code=%s", window.budget.subject, error.code)

    def count(self, call: ModelCall, outcome: str, seconds: float) -> None:
        """For GET /metrics."""
        add, labels, usage = self.metrics.add, (call.provider, call.model), call.usage
        add(counted.MODEL_CALLS, *labels, call.operation, outcome)
        self.metrics.took(counted.MODEL_SECONDS, seconds, *labels)
        if usage.prompt_tokens:
            add(counted.TOKENS, *labels, "prompt", by=usage.prompt_tokens)
        if usage.completion_tokens:
            add(counted.TOKENS, *labels, "completion", by=usage.completion_tokens)
        if usage.cached_tokens:
            add(counted.TOKENS, *labels, "cached", by=usage.cached_tokens)
        if usage.reasoning_tokens:
            add(counted.TOKENS, *labels, "reasoning", by=usage.reasoning_tokens)
        if call.cost:
            add(counted.COST, *labels, call.source, by=call.cost / NANO)


@dataclass(slots=True)
class HeardText:
    """An `emit` that counts what it passes on."""

    emit: EmitText
    characters: int = 0

    def __call__(self, text: str, /, *, reasoning: bool = False) -> None:
        self.characters += len(text)
        self.emit(text, reasoning=reasoning)


class MeteredCalls:
    """What models for chat and for embeddings share: the price, and how a call ends in the ledger."""

    def __init__(self, meter: Meter, info: ModelInfo, price: Price | None, operation: Operation) -> None:
        self.info = info
        self._meter = meter
        self._price = price
        self._call = partial(ModelCall, operation=operation, provider=info.provider, model=info.id)
        self._tariff: Tariff | None = None
        self._tariff_until = 0.0

    async def _priced(self, now: float) -> Tariff:
        if self._tariff is None or now > self._tariff_until:
            self._tariff = await self._meter.prices.tariff(self.info, self._price)
            self._tariff_until = now + _PRICE_SECONDS
        return self._tariff

    async def _broke_off(self, call: ModelCall, held: Reservation | None, error: BaseException, began: float) -> None:
        """A call without an answer. One that took nothing gives its reservation back."""
        self._meter.count(call, error.code if isinstance(error, NanobotError) else "cancelled", time.monotonic() - began)
        took = call if call.usage.prompt_tokens else None
        if took is None and held is None:
            return
        if call.payer.session or isinstance(error, asyncio.CancelledError):  # what is cancelled waits for nothing
            self._meter.store.keep(took, held)
        else:
            await self._meter.store.keep_now(took, held)


class MeteredModel(MeteredCalls):
    """A model for chat or completions, with the meter in front of it."""

    def __init__(self, meter: Meter, model: ModelProvider, price: Price | None) -> None:
        super().__init__(meter, model.info, price, "chat")
        self.model = model
        self._scale = 1.0
        """How many times the estimate of a prompt this model's provider counts: rises at once, and falls slowly."""

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        """As ModelProvider. Raises BudgetUsedUp."""
        meter, payer, began = self._meter, request.payer or _UNNAMED, time.monotonic()
        tariff = self._tariff if self._tariff is not None and began < self._tariff_until else await self._priced(began)
        id, held = new_id("use"), None
        rules = meter.budgets
        if (rules.rules or began > rules.fresh_until) and (windows := await rules.windows(payer)):
            sends = round(prompt_tokens(request) * self._scale)
            wanted = Usage(prompt_tokens=sends, completion_tokens=request.sampling.max_tokens or TYPICAL_ANSWER)
            cost, source = tariff.cost(wanted)
            held = await meter.reserve(self._call(id=id, payer=payer, usage=wanted, cost=cost, source=source), windows)
        heard = HeardText(emit) if request.stream else None
        try:
            answer = await self.model.complete(request, heard or emit)
        except BaseException as error:
            # What was sent and what had come counts, as far as it is known: a provider bills a call that is cancelled.
            came = heard.characters if heard else 0
            sent = prompt_tokens(request) if came or isinstance(error, asyncio.CancelledError) else 0
            took = Usage(prompt_tokens=sent, completion_tokens=estimate_tokens(came))
            cost, source = tariff.cost(took)
            await self._broke_off(self._call(id=id, payer=payer, usage=took, cost=cost, source=source, state="cut"), held, error, began)
            raise
        cost, source = tariff.cost(answer.usage)
        call = self._call(id=id, payer=payer, usage=answer.usage, cost=cost, source=source)
        meter.count(call, "ok", time.monotonic() - began)
        if held is not None:
            self._learn(request, answer.usage)
        if payer.session:  # the turn stores its step next: both in one commit
            meter.store.keep(call, held)
        else:
            await meter.store.keep_now(call, held)
        return answer

    def _learn(self, request: ModelRequest, usage: Usage) -> None:
        found = min(max(usage.prompt_tokens / prompt_tokens(request), 1.0), _MOST_SCALE)
        self._scale = found if found > self._scale else self._scale + (found - self._scale) / 8

    async def probe(self) -> None:
        await self.model.probe()

    async def close(self) -> None:
        await self.model.close()


class MeteredEmbeddings(MeteredCalls):
    """A model that makes vectors, with the meter in front of it."""

    def __init__(self, meter: Meter, model: EmbeddingProvider, price: Price | None) -> None:
        super().__init__(meter, model.info, price, "embeddings")
        self.model = model

    async def embed(
        self,
        inputs: Sequence[EmbeddingInput],
        dimensions: int | None,
        extra_fields: Mapping[str, Json] | None = None,
        payer: Payer | None = None,
    ) -> Embeddings:
        """As EmbeddingProvider. Raises BudgetUsedUp."""
        meter, payer, began = self._meter, payer or _UNNAMED, time.monotonic()
        tariff, id, held = await self._priced(began), new_id("use"), None
        if windows := await meter.budgets.windows(payer):
            wanted = input_usage(inputs)
            cost, source = tariff.cost(wanted)
            held = await meter.reserve(self._call(id=id, payer=payer, usage=wanted, cost=cost, source=source), windows)
        try:
            made = await self.model.embed(inputs, dimensions, extra_fields, payer)
        except BaseException as error:
            took = input_usage(inputs) if isinstance(error, asyncio.CancelledError) else Usage()
            cost, source = tariff.cost(took)
            await self._broke_off(self._call(id=id, payer=payer, usage=took, cost=cost, source=source, state="cut"), held, error, began)
            raise
        usage = Usage(prompt_tokens=made.prompt_tokens)
        cost, source = tariff.cost(usage)
        call = self._call(id=id, payer=payer, usage=usage, cost=cost, source=source)
        meter.count(call, "ok", time.monotonic() - began)
        await meter.store.keep_now(call, held)
        return made

    async def close(self) -> None:
        await self.model.close()


def prompt_tokens(request: ModelRequest) -> int:
    """An estimate of what a request sends."""
    fixed = sum(map(text_tokens, request.instructions)) + sum(map(tool_tokens, request.tools))
    return max(1, fixed + sum(map(message_tokens, request.messages)))


def input_usage(inputs: Sequence[EmbeddingInput]) -> Usage:
    """An estimate for texts to be made vectors of."""
    return Usage(prompt_tokens=max(1, sum(estimate_tokens(len(text)) if isinstance(text, str) else len(text) for text in inputs)))

"""The ledger: what each model call took and cost, and the budgets that bound it before it is made."""

from dataclasses import field
from datetime import datetime
from typing import Final, Literal, Protocol

from assistant.contracts.causes import CauseKind, Payer
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import Usage
from assistant.contracts.models import EmbeddingProvider, ModelProvider, Price
from assistant.contracts.records import record

CostSource = Literal["configuration", "provider", "price list", "local", "unknown"]
"""Who says what a call cost; the first that knows it does. No one bills what runs on this machine ("local")."""
CallState = Literal["reserved", "settled", "cut", "abandoned"]
"""`reserved`: it runs, and counts as estimated. `settled`: as its provider counted it. `cut`: it broke off, and counts as what had come.
`abandoned`: its process died, and it keeps counting as estimated."""
Operation = Literal["chat", "embeddings", "transcription", "speech"]
NANO: Final = 1_000_000_000
"""Money is whole billionths of a US dollar."""


@record
class ModelCall:
    """A call of a provider, as the ledger keeps it."""

    id: str
    """`use_…`"""
    payer: Payer
    operation: Operation = "chat"
    provider: str
    model: str
    """By the name that it is asked for at its provider."""
    usage: Usage
    cost: int | None
    """Nanodollars; None: unknown."""
    source: CostSource
    state: CallState = "settled"


Period = Literal["hour", "day", "month"]
Unit = Literal["tokens", "usd"]


@record
class Budget:
    """What a subject may use in each hour, day or month."""

    subject: str
    """`person:<id>`, `key:<id>`, `agent:<name>`, `cause:<kind>` or `all`. In rules also `role:<role>`, `person`, `key` and `agent`: for each one
    that has no rule of its own."""
    period: Period
    unit: Unit
    amount: int
    """Tokens of prompts and answers together; or nanodollars."""


@record
class BudgetWindow:
    """A budget of one subject, in the hour, day or month that runs now."""

    budget: Budget
    start: datetime
    end: datetime
    most: int
    """What may be used by this call's cause: all of the amount, or the share that background work may take."""


@record
class Reservation:
    """A call that may be made: what it was estimated to take counts in its windows until it is settled."""

    id: str
    """Of its `ModelCall`."""
    at: int
    """Microseconds since 1970: the other half of the row's key."""
    tokens: int
    cost: int
    """Nanodollars, 0 where unknown."""
    windows: tuple[tuple[str, Period, datetime], ...]
    near: tuple[BudgetWindow, ...] = ()
    """Those of which four fifths are used, and no one was told."""


@record
class Shortage:
    """A window without room for a call."""

    window: BudgetWindow
    used: int
    wanted: int


class BudgetUsedUp(NanobotError, status=429, type="insufficient_quota", code="insufficient_quota"):
    """The budget is used up. Wait until it is available again, or have it raised."""


GroupBy = Literal["person", "session", "model", "cause", "day", "key", "agent"]


@record
class UsageGroup:
    """What a group of calls took together."""

    name: str
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: int = 0
    """Nanodollars, of the calls whose cost is known."""
    unpriced: int = 0
    """Calls whose cost is not known."""

    def __add__(self, other: "UsageGroup") -> "UsageGroup":
        return UsageGroup(
            name=self.name,
            calls=self.calls + other.calls,
            usage=self.usage + other.usage,
            cost=self.cost + other.cost,
            unpriced=self.unpriced + other.unpriced,
        )

    @property
    def tokens(self) -> int:
        return self.usage.prompt_tokens + self.usage.completion_tokens

    @property
    def cached_share(self) -> float:
        """Of the prompts' tokens, those that came from a provider's cache: 0 to 1."""
        return self.usage.cached_tokens / self.usage.prompt_tokens if self.usage.prompt_tokens else 0.0


BACKGROUND: Final[frozenset[CauseKind]] = frozenset({"memory", "compaction", "schedule"})
"""Causes that are refused first, when nine tenths of a budget are used: no one waits for their answer."""


class Metering(Protocol):
    """Puts the meter in front of each model that is opened: each call is charged to its payer, and refused over a budget (BudgetUsedUp).

    `price`: of the configuration, for this model.
    """

    def model(self, provider: ModelProvider, price: Price | None = None) -> ModelProvider: ...

    def embeddings(self, provider: EmbeddingProvider, price: Price | None = None) -> EmbeddingProvider: ...


class Unmetered:
    """Charges nothing: for what runs without a store."""

    def model(self, provider: ModelProvider, price: Price | None = None) -> ModelProvider:
        return provider

    def embeddings(self, provider: EmbeddingProvider, price: Price | None = None) -> EmbeddingProvider:
        return provider

"""What a call costs: by the configuration; else as its provider says; else by the list of prices that genai-prices ships; else unknown."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from assistant.contracts.ledger import NANO, CostSource
from assistant.contracts.messages import BilledUsage, Usage
from assistant.contracts.models import ModelInfo, Price
from assistant.contracts.records import record
from assistant.providers.presets import preset_of
from assistant.providers.settings import RegisteredModel

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

_LISTED: Final = {
    **{name: name for name in ("openai", "anthropic", "openrouter", "groq", "deepseek", "mistral", "minimax", "together", "azure")},
    "gemini": "google",
    "xai": "x-ai",
    "moonshot": "moonshotai",
    "zhipu": "zhipuai",
    "zai_coding_plan": "zai",
}
"""Providers with prices in the list: our name, its name there."""
_ON_THIS_MACHINE: Final = frozenset({"offline", "local"})
_PER_TOKEN: Final = NANO // 1_000_000
"""Nanodollars a token, of a dollar for a million of them."""


@record
class Tariff:
    """The price of one model. `each`: nanodollars of a usage; None: unknown."""

    source: CostSource
    each: Callable[[Usage], int] | None = None

    def cost(self, usage: Usage) -> tuple[int | None, CostSource]:
        """Nanodollars, and who says so."""
        if isinstance(usage, BilledUsage) and self.source != "configuration":
            return usage.billed, "provider"
        return (None if self.each is None else self.each(usage)), self.source


def flat(prompt: float, completion: float, cached: float | None = None) -> Callable[[Usage], int]:
    """By US dollars a million tokens; `cached`: of a prompt's tokens that came from a cache, None: as any other."""
    of_cached = prompt if cached is None else cached

    def each(usage: Usage) -> int:
        fresh = usage.prompt_tokens - usage.cached_tokens
        return round(_PER_TOKEN * (fresh * prompt + usage.cached_tokens * of_cached + usage.completion_tokens * completion))

    return each


class Prices:
    """Finds the price of a model."""

    def __init__(self, models: Mapping[str, RegisteredModel]) -> None:
        """`models`: those of the configuration, whose prices hold for agents that use the same model, too."""
        self._configured = [
            (settings.provider, settings.model or name, Price(prompt=settings.price.prompt, completion=settings.price.completion))
            for name, settings in models.items()
            if settings.price is not None
        ]

    async def tariff(self, info: ModelInfo, price: Price | None) -> Tariff:
        """`price`: the configured one of this very model. The list is loaded in a thread, for it takes 0.4 s."""
        price = price or self._of(info)
        if price is not None:
            return Tariff(source="configuration", each=flat(price.prompt, price.completion))
        if info.provider in _ON_THIS_MACHINE or preset_of(info.provider).port is not None:
            return Tariff(source="local", each=lambda _: 0)
        if info.provider not in _LISTED:
            return Tariff(source="unknown")
        return await asyncio.to_thread(listed, _LISTED[info.provider], info.id)

    def _of(self, info: ModelInfo) -> Price | None:
        named = [price for provider, model, price in self._configured if model == info.id and provider in ("auto", info.provider)]
        return named[0] if named else None


def listed(provider: str, model: str) -> Tariff:
    """As of today. `provider`: by the list's name. Blocks."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - 3 MB of prices, for those who pay any

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
        price = found.get_prices(datetime.now(UTC))
    except LookupError:
        return Tariff(source="unknown")
    parts = price.input_mtok, price.output_mtok, price.cache_read_mtok
    if isinstance(parts[0], Decimal) and all(part is None or isinstance(part, Decimal) for part in parts):
        cached = parts[2]
        return Tariff(
            source="price list",
            each=flat(float(parts[0]), float(parts[1] or 0), None if cached is None else float(cached)),  # pyright: ignore[reportArgumentType]
        )
    return Tariff(source="price list", each=lambda usage: _tiered(price, usage))


def _tiered(price: "ModelPrice", usage: Usage) -> int:
    """By a price that depends on the length of the prompt."""
    from genai_prices import Usage as Counted  # noqa: PLC0415 - as above

    counted = Counted(input_tokens=usage.prompt_tokens, cache_read_tokens=usage.cached_tokens, output_tokens=usage.completion_tokens)
    return round(price.calc_price(counted)["total_price"] * NANO)

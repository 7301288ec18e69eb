"""The meter in front of what hears and what speaks: charged by the minute and by the character, under the cause `voice`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from assistant.contracts.causes import Cause, Payer
from assistant.contracts.errors import NanobotError
from assistant.contracts.ledger import NANO, CostSource, ModelCall, Operation
from assistant.contracts.messages import Usage
from assistant.contracts.records import record
from assistant.contracts.util import estimate_tokens, new_id
from assistant.contracts.voice import Heard, Sound, Speaker, Transcriber
from assistant.ledger.meter import Meter

T = TypeVar("T")
_TOKENS_A_SECOND: Final = 10
"""Of sound, in models that count tokens; only for what is reserved."""


@record
class VoiceTariff:
    """`price`: US dollars of one unit, a minute or a million characters; None: unknown. `free`: it runs on this machine."""

    price: float | None
    free: bool = False

    def cost(self, units: float) -> tuple[int | None, CostSource]:
        if self.price is not None:
            return round(self.price * units * NANO), "configuration"
        return (0, "local") if self.free else (None, "unknown")


class MeteredVoice:
    """What both share: a reservation before the call, a row behind it."""

    def __init__(self, meter: Meter, names: tuple[str, str], operation: Operation, tariff: VoiceTariff) -> None:
        self.names = names
        self._meter, self._tariff = meter, tariff
        self._call = partial(ModelCall, operation=operation, provider=names[0], model=names[1])

    async def _metered(
        self,
        payer: Payer,
        units: float | None,
        wanted: Usage,
        ask: Callable[[], Awaitable[T]],
        took: Callable[[T], tuple[float | None, Usage]],
    ) -> T:
        """`units`, `wanted`: what it is expected to take, `took`: what it took; None: not known. Raises BudgetUsedUp."""
        meter, id, began = self._meter, new_id("use"), time.monotonic()
        call = partial(self._call, id=id, payer=replace(payer, cause=Cause(kind="voice", id=payer.cause.id)))

        def charged(units: float | None, usage: Usage) -> ModelCall:
            cost, source = (None, "unknown") if units is None else self._tariff.cost(units)
            return call(usage=usage, cost=cost, source=source)

        windows = await meter.budgets.windows(charged(units, wanted).payer)
        held = await meter.reserve(charged(units, wanted), windows) if windows else None
        try:
            answer = await ask()
        except BaseException as error:
            meter.count(charged(units, Usage()), error.code if isinstance(error, NanobotError) else "cancelled", time.monotonic() - began)
            # One that was broken off may have been done, and is billed; what was refused is not.
            cut = replace(charged(units, wanted), state="cut") if isinstance(error, asyncio.CancelledError) else None
            if cut is not None or held is not None:
                meter.store.keep(cut, held)
            raise
        made = charged(*took(answer))
        meter.count(made, "ok", time.monotonic() - began)
        await meter.store.keep_now(made, held)
        return answer


class MeteredTranscriber(MeteredVoice):
    """Implements Transcriber."""

    def __init__(self, meter: Meter, transcriber: Transcriber, tariff: VoiceTariff) -> None:
        super().__init__(meter, transcriber.names, "transcription", tariff)
        self._inner = transcriber

    async def transcribe(self, recording: Sound, payer: Payer) -> Heard:
        seconds = recording.seconds
        wanted = Usage(prompt_tokens=max(1, round((seconds or 0) * _TOKENS_A_SECOND)))

        def took(heard: Heard) -> tuple[float | None, Usage]:
            known = heard.seconds or seconds
            return None if known is None else known / 60, heard.usage

        ask = partial(self._inner.transcribe, recording, payer)
        return await self._metered(payer, None if seconds is None else seconds / 60, wanted, ask, took)

    async def close(self) -> None:
        await self._inner.close()


class MeteredSpeaker(MeteredVoice):
    """Implements Speaker."""

    def __init__(self, meter: Meter, speaker: Speaker, tariff: VoiceTariff) -> None:
        super().__init__(meter, speaker.names, "speech", tariff)
        self._inner = speaker

    async def speak(self, text: str, payer: Payer) -> bytes:
        millions = len(text) / 1_000_000
        wanted = Usage(prompt_tokens=max(1, estimate_tokens(len(text))))
        return await self._metered(payer, millions, wanted, partial(self._inner.speak, text, payer), lambda _: (millions, Usage()))

    async def close(self) -> None:
        await self._inner.close()

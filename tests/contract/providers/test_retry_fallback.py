"""The providers around a provider: when they ask again, whom they ask next, and when they must not."""

import time
from collections.abc import Callable

import pytest

from assistant.contracts.errors import ContextLengthExceeded, ProviderFailed, ProviderOverloaded, ProviderTimeout
from assistant.providers.chain import ModelChain, RetryPolicy
from tests.doubles.model_server import ModelServer

from .samples import ScriptedProvider, into, request, unheard, wire_provider

FAULT = ProviderFailed("broken")


class Waits:
    """Takes the place of time: notes each wait and does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, delay: float) -> None:
        self.seconds.append(delay)


def retrying(inner: ScriptedProvider, waits: Waits, *, jitter: float = 1.0) -> ModelChain:
    return ModelChain([inner], RetryPolicy(sleep=waits, jitter=lambda: jitter))


def falling_back(*providers: ScriptedProvider, clock: Callable[[], float] = time.monotonic) -> ModelChain:
    return ModelChain(providers, RetryPolicy(repeats=0), clock=clock)


async def test_a_failure_that_may_pass_is_repeated_after_growing_waits() -> None:
    waits = Waits()
    message = await retrying(ScriptedProvider(FAULT, FAULT, "at last"), waits).complete(request(), unheard)
    assert message.text == "at last"
    assert waits.seconds == [0.5, 1.0]


async def test_the_third_failure_is_the_answer() -> None:
    inner = ScriptedProvider(FAULT, FAULT, FAULT, "too late")
    with pytest.raises(ProviderFailed, match="broken"):
        await retrying(inner, Waits()).complete(request(), unheard)
    assert inner.calls == 3


async def test_waits_are_spread_from_nothing_on() -> None:
    waits = Waits()
    await retrying(ScriptedProvider(FAULT, "yes"), waits, jitter=0.0).complete(request(), unheard)
    assert waits.seconds == [0.0]


async def test_retry_after_is_obeyed_to_the_second() -> None:
    waits = Waits()
    await retrying(ScriptedProvider(ProviderOverloaded(retry_after=7.0), "yes"), waits).complete(request(), unheard)
    assert waits.seconds == [7.0]


@pytest.mark.parametrize(
    "error",
    [
        ProviderFailed("key", retryable=False),
        ProviderTimeout("slow"),
        ProviderOverloaded("later", retry_after=600.0),
        ContextLengthExceeded(),
    ],
)
async def test_what_will_not_pass_soon_is_not_repeated(error: Exception) -> None:
    inner, waits = ScriptedProvider(error, "never"), Waits()
    with pytest.raises(type(error)):
        await retrying(inner, waits).complete(request(), unheard)
    assert inner.calls == 1
    assert waits.seconds == []


async def test_nothing_is_repeated_after_the_first_words() -> None:
    inner, heard = ScriptedProvider(("half", FAULT), "again"), list[str]()
    with pytest.raises(ProviderFailed):
        await retrying(inner, Waits()).complete(request(stream=True), into(heard))
    assert heard == ["half"]
    assert inner.calls == 1


async def test_a_real_overload_that_passes_is_not_noticed(server: ModelServer) -> None:
    server.configure(mode="529", fail_first=2)
    provider = ModelChain([wire_provider(server)], RetryPolicy(sleep=Waits()))
    assert (await provider.complete(request("ECHO fine", stream=True), unheard)).text == "fine"
    assert server.stats.requests == 3
    await provider.close()


async def test_the_next_model_answers_for_one_that_fails() -> None:
    message = await falling_back(ScriptedProvider(FAULT), ScriptedProvider("me", name="second")).complete(request(), unheard)
    assert (message.text, message.model) == ("me", "second")


async def test_a_refused_key_goes_to_the_next_model_too() -> None:
    first = ScriptedProvider(ProviderFailed("refused", retryable=False))
    assert (await falling_back(first, ScriptedProvider("me")).complete(request(), unheard)).text == "me"


async def test_no_other_model_goes_on_where_one_broke_off() -> None:
    second, heard = ScriptedProvider("other words"), list[str]()
    with pytest.raises(ProviderFailed):
        await falling_back(ScriptedProvider(("half", FAULT)), second).complete(request(stream=True), into(heard))
    assert heard == ["half"]
    assert second.calls == 0


async def test_if_all_fail_the_error_is_that_of_the_first() -> None:
    providers = [ScriptedProvider(ProviderOverloaded("first")), ScriptedProvider(ProviderFailed("second"))]
    with pytest.raises(ProviderOverloaded, match="first"):
        await falling_back(*providers).complete(request(), unheard)


async def test_a_conversation_too_long_for_one_is_asked_of_another_though_its_context_seems_no_larger() -> None:
    small, same = ScriptedProvider(ContextLengthExceeded()), ScriptedProvider("room")
    assert (await falling_back(small, same).complete(request(), unheard)).text == "room"


async def test_a_provider_that_keeps_failing_is_asked_last_for_a_minute() -> None:
    now = 0.0
    first, second = ScriptedProvider(FAULT, FAULT, FAULT, "well again"), ScriptedProvider("a", "b", "c", "d")
    provider = falling_back(first, second, clock=lambda: now)
    for _ in range(4):
        await provider.complete(request(), unheard)
    assert (first.calls, second.calls) == (3, 4)
    now = 61.0
    assert (await provider.complete(request(), unheard)).text == "well again"


async def test_the_only_provider_is_asked_however_often_it_failed() -> None:
    inner = ScriptedProvider(*[FAULT] * 5, "well again")
    provider = falling_back(inner, clock=lambda: 0.0)
    for _ in range(5):
        with pytest.raises(ProviderFailed):
            await provider.complete(request(), unheard)
    assert (await provider.complete(request(), unheard)).text == "well again"


async def test_a_probe_is_well_if_any_of_them_is() -> None:
    await falling_back(ScriptedProvider(FAULT), ScriptedProvider("fine")).probe()
    with pytest.raises(ProviderFailed):
        await falling_back(ScriptedProvider(FAULT), ScriptedProvider(FAULT)).probe()

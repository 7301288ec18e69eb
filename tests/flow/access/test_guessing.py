"""Wrong secrets are slowed down by address, and an address is what the connection says."""

import asyncio

import pytest

from assistant.access.authenticator import FailedAttempts, counted_as
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import RateLimited
from tests.flow.api_rig import error_of

from .conftest import SHARED, Keyed, Opener, TurnedSeconds, bearer

pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


async def status(keyed: Keyed, secret: str | None, **more: str) -> int:
    headers = {**(bearer(secret) if secret else {}), **more}
    return (await keyed.api.client.get("/v1/models", headers=headers)).status_code


async def test_the_tenth_wrong_key_within_a_minute_closes_the_door_for_five_minutes(keyed: Keyed) -> None:
    assert [await status(keyed, f"guess-{number}") for number in range(10)] == [401] * 10
    refused = await keyed.api.client.get("/v1/models", headers=bearer(SHARED))
    assert refused.status_code == 429
    assert error_of(refused)["code"] == "rate_limit_exceeded"
    assert refused.headers["retry-after"] == "300"
    _, minted = await keyed.key()
    assert (await keyed.chat(minted)).status_code == 429
    assert await status(keyed, None) == 429
    assert (await keyed.api.client.get("/health")).status_code == 200
    keyed.seconds.now += 299.9
    assert await status(keyed, SHARED) == 429
    keyed.seconds.now += 0.1
    assert await status(keyed, SHARED) == 200
    assert await status(keyed, "guess") == 401


async def test_wrong_keys_that_come_slowly_and_right_ones_and_none_do_not_add_up(keyed: Keyed) -> None:
    for number in range(30):
        assert await status(keyed, f"guess-{number}") == 401
        assert await status(keyed, SHARED) == 200
        assert await status(keyed, None) == 401
        keyed.seconds.now += 60 / 9 + 0.01


async def test_of_many_guesses_at_once_ten_are_answered(keyed: Keyed) -> None:
    found = await asyncio.gather(*[status(keyed, f"nbk_{number:043d}") for number in range(60)])
    assert sorted(found) == [401] * 10 + [429] * 50


async def test_what_a_header_says_of_the_address_is_not_believed(keyed: Keyed) -> None:
    for number in range(10):
        await status(keyed, "guess", **{"x-forwarded-for": f"10.0.0.{number}"})
    assert await status(keyed, SHARED, **{"x-forwarded-for": "10.9.9.9"}) == 429


async def test_a_trusted_proxys_word_is_believed_and_what_its_client_wrote_before_is_not(opened: Opener) -> None:
    settings = ApiSettings.model_validate({"apiKey": SHARED, "trustedProxies": ["127.0.0.0/8", "10.0.0.1"]})
    async with opened(settings) as keyed:
        for number in range(10):
            assert await status(keyed, "guess", **{"x-forwarded-for": f"1.1.1.{number}, 203.0.113.7, 10.0.0.1"}) == 401
        assert await status(keyed, SHARED, **{"x-forwarded-for": "203.0.113.7"}) == 429
        assert await status(keyed, SHARED, **{"x-forwarded-for": "203.0.113.7, nonsense"}) == 200
        assert await status(keyed, SHARED, **{"x-forwarded-for": "203.0.113.8"}) == 200
        assert await status(keyed, SHARED) == 200


async def test_a_malformed_proxy_is_an_error_at_start(opened: Opener) -> None:
    with pytest.raises(ValueError, match="trustedProxies"):
        await opened(ApiSettings(trusted_proxies=("nas.example",))).__aenter__()


async def test_addresses_are_forgotten_before_they_fill_the_memory(keyed: Keyed) -> None:
    attempts = FailedAttempts(TurnedSeconds())
    for _ in range(10):
        attempts.failed("192.0.2.1")
    with pytest.raises(RateLimited):
        attempts.check("192.0.2.1")
    for number in range(20_000):
        attempts.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    attempts.check("192.0.2.1")
    assert len(attempts._failures) == 10_000  # pyright: ignore[reportPrivateUsage] - what is bounded is inside


async def test_one_machines_many_addresses_count_as_one(keyed: Keyed) -> None:
    assert counted_as("2001:db8:1:2::1") == counted_as("2001:db8:1:2:ffff::9") != counted_as("2001:db8:1:3::1")
    assert counted_as("::ffff:192.0.2.1") == counted_as("192.0.2.1")


@pytest.mark.parametrize(
    "value", [b"Bearer " + b"x" * 16_000, "Bearer Schlüssel-日本".encode(), b"Bearer \xff\xfe\x80", b"Basic abc", b"Bearer", b"nbk_"]
)
async def test_odd_headers_are_401_and_never_500(keyed: Keyed, value: bytes) -> None:
    response = await keyed.api.client.get("/v1/models", headers=[(b"authorization", value)])
    assert response.status_code == 401
    assert error_of(response)["code"] == "invalid_api_key"


async def test_several_authorization_headers_are_401(keyed: Keyed) -> None:
    _, right = await keyed.key()
    for values in ([right["authorization"]] * 2, [right["authorization"], "Bearer guess"]):
        response = await keyed.api.client.get("/v1/models", headers=[("authorization", value) for value in values])
        assert response.status_code == 401

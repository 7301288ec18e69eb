"""The keys of a platform's calls: anyone may call with a token that names any key."""

import asyncio
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from channels.kit.http import Unanswered, Unreached
from channels.kit.jwt_keys import SigningKeys

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def token(kid: str) -> str:
    claims = {"iss": "i", "aud": "a", "exp": int(time.time()) + 600}
    return f"Bearer {jwt.encode(claims, KEY, algorithm='RS256', headers={'kid': kid})}"


class KeyServer:
    """Answers once it is let; fails where it is down."""

    def __init__(self) -> None:
        self.asked, self.down = 0, False
        self.free, self.called = asyncio.Event(), asyncio.Event()
        self.free.set()
        self.answer: Any = {"keys": [{**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "known"}]}

    async def fetch(self) -> Any:
        self.asked += 1
        self.called.set()
        await self.free.wait()
        if self.down:
            raise Unreached("down")
        return self.answer


async def test_a_strangers_key_holds_up_no_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    server = KeyServer()
    keys = SigningKeys(server.fetch)
    assert await keys.claims(token("known"), audience="a", issuer="i") is not None
    assert await keys.claims(token("other"), audience="a", issuer="i") is None
    assert server.asked == 1
    monkeypatch.setattr("channels.kit.jwt_keys._ASK_AGAIN", -1.0)
    server.free.clear()
    server.called.clear()
    stranger = asyncio.create_task(keys.claims(token("other"), audience="a", issuer="i"))
    await server.called.wait()
    assert await keys.claims(token("known"), audience="a", issuer="i") is not None
    server.free.set()
    assert await stranger is None


async def test_calls_ask_a_server_that_is_down_once() -> None:
    server = KeyServer()
    server.down = True
    keys = SigningKeys(server.fetch)
    for _ in range(5):
        with pytest.raises(Unreached):
            await keys.claims(token("known"), audience="a", issuer="i")
    assert server.asked == 1


@pytest.mark.parametrize(
    "answer",
    [{}, {"keys": []}, {"keys": 7}, {"keys": {"kid": "known"}}, {"keys": [7, {"kid": "known"}, {"kid": ["x"], "n": 7}]}, [], None, "keys"],
    ids=["empty", "no keys", "a number", "an object", "broken ones", "a list", "nothing", "words"],
)
async def test_an_answer_without_keys_takes_none_away(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    """Such as a proxy's page: 200, and nothing in it."""
    monkeypatch.setattr("channels.kit.jwt_keys._ASK_AGAIN", -1.0)
    server = KeyServer()
    keys = SigningKeys(server.fetch)
    assert await keys.claims(token("known"), audience="a", issuer="i") is not None
    server.answer = answer
    with pytest.raises(Unanswered):
        await keys.claims(token("other"), audience="a", issuer="i")
    assert await keys.claims(token("known"), audience="a", issuer="i") is not None


@pytest.mark.parametrize("authorization", ["Bearer é.é.é", "Bearer \ud800.a.b", "Bearer " + "[" * 5000, "Basic x", "", "Bearer"])
async def test_what_is_no_token_asks_for_no_key(authorization: str) -> None:
    server = KeyServer()
    assert await SigningKeys(server.fetch).claims(authorization, audience="a", issuer="i") is None
    assert server.asked == 0

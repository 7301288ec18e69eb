"""Users of a Supabase project come in by its tokens, and by nothing that only looks like them."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from assistant.access.settings import AuthSettings
from assistant.access.supabase import Supabase
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import AccessUnavailable, Unauthenticated
from assistant.contracts.turns import TurnRequest
from assistant.turns.handle import RunningTurn
from tests.flow.api_rig import error_of
from tests.flow.socket_client import talking
from tests.flow.socket_rig import closed

from .conftest import Opener, TurnedSeconds, bearer
from .supabase_project import SECRET, USER, Project


class Clocks:
    def __init__(self) -> None:
        self.seconds = TurnedSeconds()
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def turn(self, by: float) -> None:
        self.ahead += by
        self.seconds.now += by


@pytest.fixture
async def project() -> AsyncGenerator[Project]:
    project = Project()
    project.add_ec("ec-1")
    project.add_rsa("rsa-1")
    runner = await project.start()
    yield project
    await runner.cleanup()


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def supabase(project: Project, clocks: Clocks) -> Supabase:
    return Supabase(project.url + "/", "publishable", clock=clocks.now, monotonic=clocks.seconds)


async def user_of(supabase: Supabase, token: str | bytes) -> str:
    raw = token if isinstance(token, bytes) else token.encode()
    return (await supabase.identify(b"Bearer " + raw)).id


async def is_refused(supabase: Supabase, token: str | bytes) -> bool:
    try:
        await user_of(supabase, token)
    except Unauthenticated:
        return True
    return False


@pytest.mark.parametrize("key_id", ["ec-1", "rsa-1"])
async def test_a_user_comes_in_by_a_token_of_either_kind(supabase: Supabase, project: Project, key_id: str) -> None:
    who = await supabase.identify(f"Bearer {project.token(key_id)}".encode())
    assert who.id == f"supabase:{USER}"
    assert who.may("chat")
    assert not who.may("admin")
    assert await user_of(supabase, project.token(key_id, aud=["other", "authenticated"])) == who.id
    assert (project.fetched, project.asked) == (1, 0)


@pytest.mark.parametrize("key_id", ["ec-1", "rsa-1"])
@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1}, {"exp": None}, {"exp": "tomorrow"}, {"exp": True}, {"exp": [2**40]},
        {"aud": "anon"}, {"aud": None}, {"aud": ["anon"]}, {"aud": "authenticated "},
        {"iss": "https://evil.example/auth/v1"}, {"iss": None}, {"iss": ""},
        {"sub": None}, {"sub": ""}, {"sub": "../admin"}, {"sub": "x" * 500}, {"sub": "a:b"},
        {"nbf": 2**40},
    ],
    ids=str,
)  # fmt: skip
async def test_wrong_claims_are_refused(supabase: Supabase, project: Project, key_id: str, claims: dict[str, Any]) -> None:
    assert await is_refused(supabase, project.token(key_id, **claims))
    assert await is_refused(supabase, project.secret_token(**claims))
    assert project.asked == (1 if "nbf" in claims else 0)


async def test_a_token_holds_to_the_second(supabase: Supabase, project: Project, clocks: Clocks) -> None:
    for token in (project.token("ec-1", exp=time.time() + 100), project.secret_token(exp=time.time() + 100)):
        clocks.ahead = 0
        assert await user_of(supabase, token)
        clocks.ahead = 98
        assert await user_of(supabase, token)
        clocks.ahead = 101
        assert await is_refused(supabase, token)


def unsigned(header: object, claims: object, signature: bytes = b"") -> str:
    pieces = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join([base64.urlsafe_b64encode(piece).rstrip(b"=").decode() for piece in pieces])


async def test_forged_tokens_are_refused(supabase: Supabase, project: Project) -> None:
    claims = project.claims()
    other = Project(url=project.url)
    other.add_ec("ec-1")
    good = project.token("ec-1")
    head, body, signature = good.split(".")
    pem = project.keys["rsa-1"].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed_with_public = unsigned({"alg": "HS256", "kid": "rsa-1"}, claims)[:-1]
    mac = base64.urlsafe_b64encode(hmac.new(pem, signed_with_public.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    forged = [
        unsigned({"alg": "none"}, claims),
        unsigned({"alg": "none", "kid": "ec-1"}, claims, b"x"),
        unsigned({"alg": "None", "kid": "ec-1"}, claims, b"x"),
        unsigned({"alg": "nOnE"}, claims, b"x"),
        unsigned({"kid": "ec-1"}, claims, b"x"),
        unsigned({"alg": ["ES256"], "kid": "ec-1"}, claims, b"x"),
        unsigned({"alg": "RS256", "kid": "ec-1"}, claims, b"x"),
        unsigned({"alg": "ES256", "kid": "rsa-1"}, claims, b"x"),
        unsigned({"alg": "ES256", "kid": ["ec-1"]}, claims, b"x"),
        unsigned({"alg": "ES256", "kid": "../../ec-1"}, claims, b"x"),
        unsigned({"alg": "ES256"}, claims, b"x"),
        unsigned([], claims, b"x"),
        unsigned({"alg": "ES256", "kid": "ec-1"}, [], b"x"),
        f"{signed_with_public}.{mac}",
        other.token("ec-1"),
        other.token("ec-1", headers={"jku": f"{project.url}/evil", "jwk": {"kty": "oct", "k": "eA"}}),
        project.token("ec-1", headers={"crit": ["b64"], "b64": False}),
        project.token("ec-1", headers={"crit": ["unheard-of"], "unheard-of": 1}),
        jwt.encode(claims, SECRET, "HS384"),
        jwt.encode(claims, SECRET, "HS512", headers={"kid": "ec-1"}),
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature}.{signature}",
        f"{head}.{base64.urlsafe_b64encode(json.dumps({**claims, 'sub': 'somebody-else'}).encode()).rstrip(b'=').decode()}.{signature}",
        "a.b.c",
        "....",
        good + "\n",
        "é" + good,
        "A" * 100_000,
        good + "A" * 100_000,
        project.token("ec-1", padding="x" * 100_000),
    ]
    for token in forged:
        assert await is_refused(supabase, token), token[:100]
    assert await user_of(supabase, good)


async def test_nesting_that_overflows_a_parser_is_refused(supabase: Supabase) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 2_900).rstrip(b"=").decode()
    for token in (f"{deep}.{deep}.x", f"{unsigned({'alg': 'HS256'}, {}).split('.')[0]}.{deep}.x"):
        assert await is_refused(supabase, token)


async def test_keys_rotate_and_unknown_ones_make_us_ask_at_most_every_30_seconds(
    supabase: Supabase, project: Project, clocks: Clocks
) -> None:
    assert await user_of(supabase, project.token("ec-1"))
    project.add_ec("ec-2")
    assert await is_refused(supabase, project.token("ec-2"))
    clocks.turn(30)
    assert await user_of(supabase, project.token("ec-2"))
    assert project.fetched == 2
    stranger = Project(url=project.url)
    stranger.add_ec("ec-9")
    clocks.turn(30)
    for _ in range(20):
        assert await is_refused(supabase, stranger.token("ec-9"))
    assert project.fetched == 3
    old = project.token("ec-1", exp=time.time() + 10_000)
    del project.keys["ec-1"]
    clocks.turn(601)
    assert await is_refused(supabase, old)


async def test_while_the_project_does_not_answer_known_keys_hold_for_an_hour(supabase: Supabase, project: Project, clocks: Clocks) -> None:
    project.broken = True
    with pytest.raises(AccessUnavailable):
        await user_of(supabase, project.token("ec-1"))
    project.broken = False
    clocks.turn(5)
    token = project.token("ec-1", exp=time.time() + 10_000)
    assert await user_of(supabase, token)
    project.broken = True
    clocks.turn(3_599)
    assert await user_of(supabase, token)
    clocks.turn(2)
    with pytest.raises(AccessUnavailable):
        await user_of(supabase, token)


async def test_of_many_who_come_first_all_wait_for_the_keys(supabase: Supabase, project: Project) -> None:
    users = await asyncio.gather(*[user_of(supabase, project.token(key_id)) for key_id in ("ec-1", "rsa-1") * 5])
    assert set(users) == {f"supabase:{USER}"}
    assert project.fetched == 1


async def test_a_key_made_while_the_project_does_not_answer_is_no_wrong_key(supabase: Supabase, project: Project, clocks: Clocks) -> None:
    """It would count as a guess, and ten of them close the door to whole offices."""
    assert await user_of(supabase, project.token("ec-1"))
    project.add_ec("ec-2")
    project.broken = True
    clocks.turn(31)
    for _ in range(2):
        with pytest.raises(AccessUnavailable):
            await user_of(supabase, project.token("ec-2"))
        assert await user_of(supabase, project.token("ec-1"))
    project.broken = False
    clocks.turn(5)
    assert await user_of(supabase, project.token("ec-2"))


async def test_keys_that_can_not_be_used_are_left_out(supabase: Supabase, project: Project) -> None:
    project.add_rsa("small", 1024)
    project.published = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "oct", "alg": "HS256"},
        {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "p384"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "broken"},
        {"kty": "RSA"}, {}, {"kid": 7},
    ]  # fmt: skip
    assert await is_refused(supabase, jwt.encode(project.claims(), b"secret" * 8, "HS256", headers={"kid": "oct"}))
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        small = project.token("small")
    assert await is_refused(supabase, small)
    assert await user_of(supabase, project.token("rsa-1"))


async def test_a_token_that_only_the_project_can_check_is_asked_about_once_a_minute(
    supabase: Supabase, project: Project, clocks: Clocks
) -> None:
    token = project.secret_token(exp=time.time() + 10_000)
    for _ in range(5):
        assert await user_of(supabase, token) == f"supabase:{USER}"
    assert project.asked == 1
    assert await user_of(supabase, project.secret_token(sub="other", exp=time.time() + 10_000)) == "supabase:other"
    assert project.asked == 2
    project.revoked.add(token)
    clocks.turn(61)
    assert await is_refused(supabase, token)
    project.broken = True
    with pytest.raises(AccessUnavailable):
        await user_of(supabase, token)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_at_the_front_door_users_have_their_own_sessions_and_the_owner_keeps_a_key(opened: Opener, project: Project) -> None:
    auth = AuthSettings.model_validate({"mode": "supabase", "supabase": {"url": project.url, "key": "publishable"}})
    async with opened(ApiSettings.model_validate({"apiKey": "owners"}), auth) as keyed:
        _, minted = await keyed.key()
        assert (await keyed.chat(bearer(project.token("ec-1")))).status_code == 200
        assert (await keyed.chat(bearer(project.secret_token(sub="anna")))).status_code == 200
        assert (await keyed.chat(bearer("owners"))).status_code == 200
        assert (await keyed.chat(minted)).status_code == 200
        assert [request.owner for request in keyed.api.turns.requests][:3] == [f"supabase:{USER}", "supabase:anna", "local"]
        assert (await keyed.chat({})).status_code == 401
        assert (await keyed.chat(bearer(unsigned({"alg": "none"}, project.claims())))).status_code == 401
        project.broken = True
        response = await keyed.chat(bearer(project.secret_token(sub="berta")))
        assert response.status_code == 503
        assert error_of(response)["code"] == "access_unavailable"
        assert response.headers["retry-after"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_browser_that_came_by_a_token_is_its_users_until_the_token_ends(opened: Opener, project: Project) -> None:
    auth = AuthSettings.model_validate({"mode": "supabase", "supabase": {"url": project.url, "key": "publishable"}})
    async with opened(ApiSettings.model_validate({"apiKey": "owners"}), auth) as keyed:
        ends = int(time.time()) + 1_800
        origin = {"origin": f"http://127.0.0.1:{keyed.api.port}"}
        made = await keyed.api.client.post("/v1/login", json={"key": project.secret_token(sub="anna", exp=ends)}, headers=origin)
        assert made.status_code == 201, made.text
        assert datetime.fromisoformat(made.json()["expires_at"]).timestamp() == ends
        assert (await keyed.chat(origin)).status_code == 200, "the client sends the cookie"
        assert keyed.api.turns.only.owner == "supabase:anna"
        expired = project.secret_token(sub="anna", exp=ends - 3_600)
        assert (await keyed.api.client.post("/v1/login", json={"key": expired}, headers=origin)).status_code == 401


async def waits(turn: RunningTurn, request: TurnRequest) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_what_a_token_opened_is_closed_when_the_token_ends(opened: Opener, project: Project) -> None:
    auth = AuthSettings.model_validate({"mode": "supabase", "supabase": {"url": project.url, "key": "publishable"}})
    ahead = 0.0
    async with opened(ApiSettings(), auth, play=waits, wall=lambda: time.time() + ahead) as keyed:
        for token in (project.token("ec-1"), project.secret_token()):
            ahead = 3_000.0
            async with talking(keyed.api.port, additional_headers=bearer(token)) as talk:
                await talk.say({"type": "ping"})
                assert (await talk.hear())["type"] == "pong"
            ahead = 3_601.0
            async with talking(keyed.api.port, additional_headers=bearer(token)) as talk:
                assert await closed(talk.socket) == (1008, "invalid_api_key")
            async with asyncio.timeout(30):
                assert (await keyed.chat(bearer(token))).status_code == 401

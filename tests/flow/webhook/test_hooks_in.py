"""POST /hooks/{name}: what is signed is kept once; everything else stays out."""

import hmac
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from assistant.api.settings import ApiSettings
from tests.flow.api_rig import Running, error_of, serving
from tests.flow.openapi_check import check

from .conftest import KeptLink, linked, webhook

SECRET = "s" * 32
BEARER = "b" * 32


@dataclass
class House:
    api: Running
    link: KeptLink

    async def post(
        self, name: str = "build", body: object = None, *, secret: str = SECRET, age: int = 0, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body or {"text": "done"}).encode()
        stamp = str(int(time.time()) - age)
        signature = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, sha256).hexdigest()
        signed = {"X-Nanobot-Timestamp": stamp, "X-Nanobot-Signature": f"sha256={signature}"}
        return await self.api.client.post(f"/hooks/{name}", content=raw, headers=signed if headers is None else headers)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    hooks = {"build": {"secret": SECRET}, "door": {"bearer": BEARER}, "out": {"url": "http://127.0.0.1:9/"}, "blank": {"secret": "  "}}
    link = KeptLink()
    async with (
        webhook(tmp_path, hooks) as channel,
        linked(channel, link),
        serving(tmp_path, ApiSettings(api_key=SecretStr("api-key-of-the-server")), hooks=channel) as api,
    ):
        yield House(api, link)


async def test_a_signed_message_is_kept_and_answered_with_its_id(house: House) -> None:
    answer = await house.post(body={"text": "Build 7 failed", "sender": "CI", "thread_id": "main", "external_id": "run-7"})
    assert answer.status_code == 202
    assert answer.json() == {"id": "inb_0", "status": "accepted"}
    (message,) = house.link.messages.values()
    assert (message.text, message.sender.id, message.sender.name) == ("Build 7 failed", "build", "CI")
    assert str(message.address) == "webhook:build:main"
    assert (message.trusted, message.private, message.external_id) == (False, True, "build/run-7")


async def test_a_repeat_has_the_same_id(house: House) -> None:
    raw = b'{"text": "once", "external_id": "run-8"}'
    assert [(await house.post(body=raw)).json() for _ in range(2)] == [
        {"id": "inb_0", "status": "accepted"},
        {"id": "inb_0", "status": "repeated"},
    ]


async def test_the_same_bytes_with_the_same_signature_are_a_repeat_without_an_id(house: House) -> None:
    stamp = str(int(time.time()))
    signature = hmac.new(SECRET.encode(), f'{stamp}.{{"text":"x"}}'.encode(), sha256).hexdigest()
    headers = {"x-nanobot-timestamp": stamp, "x-nanobot-signature": f"sha256={signature}"}
    answers = [await house.post(body=b'{"text":"x"}', headers=headers) for _ in range(2)]
    assert [answer.json()["status"] for answer in answers] == ["accepted", "repeated"]
    assert len(house.link.messages) == 1


async def test_hooks_of_other_names_have_ids_of_their_own(house: House) -> None:
    await house.post(body={"text": "a", "external_id": "1"})
    await house.post("door", {"text": "b", "external_id": "1"}, headers={"Authorization": f"Bearer {BEARER}"})
    assert sorted(house.link.messages) == ["build/1", "door/1"]


async def test_two_messages_of_the_same_words_by_bearer_are_two(house: House) -> None:
    for _ in range(2):
        assert (await house.post("door", headers={"Authorization": f"Bearer {BEARER}"})).status_code == 202
    assert len(house.link.messages) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer api-key-of-the-server"},
        {"Authorization": f"Bearer {BEARER}"},
        {"X-Nanobot-Signature": "sha256=" + "0" * 64, "X-Nanobot-Timestamp": "1"},
        {"X-Nanobot-Signature": "sha256=" + "0" * 64},
        {"X-Nanobot-Signature": "", "X-Nanobot-Timestamp": ""},
    ],
)
async def test_what_is_not_signed_stays_out(house: House, headers: dict[str, str]) -> None:
    answer = await house.post(headers=headers)
    assert answer.status_code == 401
    assert error_of(answer)["message"] == (
        "The signature does not fit the timestamp, the body and this hook's secret."
        if "X-Nanobot-Signature" in headers
        else "Messages to this hook must be signed (X-Nanobot-Timestamp and X-Nanobot-Signature)."
    )
    assert not house.link.messages


async def test_another_secret_an_old_or_a_future_timestamp_stay_out(house: House) -> None:
    for answer in (await house.post(secret="t" * 32), await house.post(age=301), await house.post(age=-310)):
        assert answer.status_code == 401
    assert (await house.post(age=290)).status_code == 202


@pytest.mark.parametrize("value", [f"Bearer {SECRET}".encode(), b"Bearer", BEARER.encode(), b"Bearer \xff", f"Basic {BEARER}".encode()])
async def test_a_wrong_bearer_stays_out(house: House, value: bytes) -> None:
    answer = await house.api.client.post("/hooks/door", content=b'{"text":"x"}', headers=[(b"Authorization", value)])
    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["nothing", "out", "blank", "BUILD", "build/x", "%2e%2e"])
async def test_without_a_secret_there_is_no_such_hook(house: House, name: str) -> None:
    assert error_of(await house.post(name, secret="")) | {"message": ""} == {
        "message": "",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_found",
    }


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b'"text"', 400, None),
        (b"[" * 100_000, 400, None),
        (b'{"text": ""}', 400, "text"),
        (b'{"text": "  "}', 400, "text"),
        (b'{"text": 1}', 400, "text"),
        (b'{"text": null}', 400, "text"),
        (b'{"text": {"a": {}}}', 400, "text"),
        (b'{"text": "a", "role": "system"}', 400, "role"),
        (b'{"text": "a", "sender": ["x"]}', 400, "sender"),
        (b'{"text": "a", "thread_id": "a\\u0000b"}', 400, "thread_id"),
        (b'{"text": "a", "external_id": ""}', 400, "external_id"),
        (b'{"text": "a", "external_id": "a b"}', 400, "external_id"),
        (b'{"text": "a\\ud800"}', 400, None),
        (b'{"text": "\xff"}', 400, None),
        (b'{"text": NaN}', 400, None),
        (b'{"text": "' + b"a" * 262_144 + b'"}', 413, None),
    ],
)
async def test_a_bad_body_is_refused_with_the_field_that_is_wrong(house: House, body: bytes, status: int, param: str | None) -> None:
    answer = await house.post(body=body)
    assert answer.status_code == status
    assert error_of(answer)["param"] == param
    assert not house.link.messages


async def test_hosts_and_web_pages_are_checked_as_everywhere(house: House) -> None:
    assert (await house.post(headers={"Origin": "https://evil.example"})).status_code == 403
    assert (await house.post(headers={"Host": "evil.example"})).status_code == 421


async def test_what_the_store_can_not_keep_is_to_come_again(house: House) -> None:
    house.link.full = True
    assert (await house.post()).status_code == 503


async def test_before_the_channel_runs_nothing_is_accepted(tmp_path: Path) -> None:
    async with webhook(tmp_path, {"build": {"secret": SECRET}}) as channel, serving(tmp_path, hooks=channel) as api:
        answer = await House(api, KeptLink()).post()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


async def test_where_the_channel_is_off_there_is_no_such_path(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        assert (await api.client.post("/hooks/build", json={"text": "x"})).status_code == 404
        assert "/hooks/{name}" not in (await api.client.get("/openapi.json")).json()["paths"]


async def test_the_path_is_described_as_it_is(house: House) -> None:
    document = (await house.api.client.get("/openapi.json", headers={"Authorization": "Bearer api-key-of-the-server"})).json()
    operation = document["paths"]["/hooks/{name}"]["post"]
    answer = await house.post()
    check(answer.json(), operation["responses"]["202"]["content"]["application/json"]["schema"], document)
    check({"text": "x", "sender": "y"}, operation["requestBody"]["content"]["application/json"]["schema"], document)
    assert {"400", "401", "404", "413", "503"} <= set(operation["responses"])
    assert (await house.api.client.get("/hooks/build")).status_code == 405

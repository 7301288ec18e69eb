"""/v1/deliveries: accepted messages are stored once, and their state is shown."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.config.extensions import ChannelsSettings, ConfiguredChannels
from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.outbox import DeliveryError, Origin, OutboundEvent, Settlement, ToPerson
from channels.telegram.settings import TelegramSettings

from .api_rig import Running, error_of, serving
from .openapi_check import check
from .outgoing import Outbox, open_outbox

PATH = "/v1/deliveries"
HELLO = {"channel": "telegram", "chat_id": "123456789", "text": "Build finished."}


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncGenerator[Outbox]:
    async with open_outbox(tmp_path) as outbox:
        yield outbox


@pytest.fixture
async def api(tmp_path: Path, outbox: Outbox) -> AsyncGenerator[Running]:
    async with serving(tmp_path, outgoing=outbox.outgoing) as running:
        yield running


async def send(api: Running, key: str | None = None, **changed: object) -> httpx2.Response:
    body = {name: value for name, value in {**HELLO, **changed}.items() if value is not None}
    return await api.client.post(PATH, json=body, headers={} if key is None else {"idempotency-key": key})


async def test_what_is_accepted_is_kept_and_says_that_nothing_is_delivered_while_its_channel_is_off(api: Running, outbox: Outbox) -> None:
    response = await send(api)
    body = response.json()
    assert response.status_code == 202
    assert (body["state"], body["channel"], body["chat_id"], body["text"]) == ("queued", "telegram", "123456789", "Build finished.")
    assert "the telegram channel is not enabled: nothing will be delivered until it is" in body["detail"]
    kept = await outbox.store.outbox.get("local", body["id"])
    assert kept is not None
    assert kept.event.origin == Origin(kind="api", owner="local")
    assert kept.event.expires_at - kept.created == pytest.approx(timedelta(hours=24), abs=timedelta(seconds=5))


async def test_nanobots_own_words_are_understood(api: Running) -> None:
    response = await send(api, text=None, content="Build finished.", chat_id=123456789)
    assert (response.status_code, response.json()["chat_id"]) == (202, "123456789")


async def test_what_was_sent_says_so_with_its_receipts(api: Running, outbox: Outbox) -> None:
    outbox.enabled.add("telegram")
    sent = (await send(api)).json()
    await outbox.settle("telegram:123456789")
    shown = (await api.client.get(f"{PATH}/{sent['id']}")).json()
    assert (shown["state"], shown["detail"], shown["attempts"]) == ("sent", "sent (message 42)", 1)
    assert shown["parts"][0]["message_id"] == "42"
    assert shown["due"] is None
    assert shown["ended_at"] is not None


async def test_a_failed_one_says_why_and_can_be_tried_again(api: Running, outbox: Outbox) -> None:
    outbox.enabled.add("telegram")
    sent = (await send(api)).json()
    trouble = DeliveryError(code="chat_not_found", words="Telegram knows no such chat.")
    await outbox.settle("telegram:123456789", Settlement(state="failed", trouble=trouble))
    shown = (await api.client.get(f"{PATH}/{sent['id']}")).json()
    assert (shown["state"], shown["error"]) == ("failed", {"code": "chat_not_found", "message": "Telegram knows no such chat."})
    again = await api.client.post(f"{PATH}/{sent['id']}/retry")
    assert (again.status_code, again.json()["state"], again.json()["error"]) == (200, "queued", None)


async def test_what_waits_can_be_cancelled_and_what_was_cancelled_can_not(api: Running) -> None:
    sent = (await send(api)).json()
    cancelled = await api.client.post(f"{PATH}/{sent['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    again = await api.client.post(f"{PATH}/{sent['id']}/cancel")
    assert (again.status_code, error_of(again)["code"]) == (409, "delivery_conflict")


async def test_a_repeat_with_the_same_key_sends_nothing_new(api: Running, outbox: Outbox) -> None:
    first, second = await send(api, key="build-17"), await send(api, key="build-17")
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert len(await outbox.store.outbox.list(None)) == 1
    assert (await send(api, key="build-18")).json()["id"] != first.json()["id"]
    assert (await send(api)).json()["id"] != (await send(api)).json()["id"]


@pytest.mark.parametrize(
    "changed", [{"text": "Something else."}, {"chat_id": "5"}, {"thread_id": "7"}, {"buttons": [["Yes"]]}, {"at": "2999-01-01T00:00:00Z"}]
)
async def test_a_key_used_for_another_message_is_refused(api: Running, outbox: Outbox, changed: dict[str, object]) -> None:
    await send(api, key="k")
    response = await send(api, "k", **changed)
    assert (response.status_code, error_of(response)["code"]) == (422, "idempotency_key_reused")
    assert len(await outbox.store.outbox.list(None)) == 1


async def test_a_repeat_of_a_message_whose_time_has_passed_meanwhile_gets_the_first(api: Running, outbox: Outbox) -> None:
    at = datetime.now(UTC) + timedelta(milliseconds=300)
    assert (await send(api, key="k", at=at.isoformat())).status_code == 202
    repeated = await send(api, key="k", at=at.isoformat())
    while datetime.now(UTC) <= at:
        repeated = await send(api, key="k", at=at.isoformat())
    assert (await send(api, key="k", at=at.isoformat())).status_code == repeated.status_code == 200


async def test_a_message_for_later_is_scheduled(api: Running, outbox: Outbox) -> None:
    outbox.enabled.add("telegram")
    at = datetime.now(UTC) + timedelta(hours=3)
    body = (await send(api, at=at.isoformat())).json()
    assert body["state"] == "queued"
    assert body["detail"] == "scheduled: it will be sent in 3 h"
    assert datetime.fromisoformat(body["expires_at"]) - at == pytest.approx(timedelta(hours=24), abs=timedelta(seconds=1))


@pytest.mark.parametrize(
    ("changed", "param", "words"),
    [
        ({"channel": "pigeon"}, "channel", 'There is no channel "pigeon". There are: telegram, discord, webhook, apprise.'),
        ({"channel": "api"}, "channel", 'There is no channel "api"'),
        ({"channel": "Not a name"}, "channel", "The name of a channel"),
        ({"chat_id": "my mother"}, "chat_id", "A Telegram chat_id is a number"),
        ({"chat_id": ""}, "chat_id", "'chat_id' is empty."),
        ({"thread_id": "x"}, "thread_id", "thread_id"),
        ({"text": " \n"}, "text", "The message is empty"),
        ({"text": None}, "text", "The message is empty"),
        ({"text": "x" * 100_001}, "text", "'text' is longer than 100000 characters."),
        ({"content": "as well"}, "content", "send one of them"),
        ({"text": 5}, "text", "'text' must be a string."),
        ({"thread": "7"}, "thread", "'thread' is not a field of this request."),
        ({"buttons": [["a"] * 9]}, "buttons.0", "holds more than 8 entries"),
        ({"buttons": [[{"text": "a", "url": "javascript:alert(1)"}]]}, "buttons.0.0.url", "must match"),
        ({"at": "tomorrow"}, "at", "ISO 8601"),
        ({"at": "2999-01-01T00:00:00"}, "at", "does not say where it holds"),
        ({"at": "2999-01-01T00:00:00Z"}, "at", "more than a year away"),
        ({"at": "2020-01-01T00:00:00Z"}, "at", "is past"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at", "ISO 8601"),
    ],
)
async def test_what_can_not_be_sent_is_refused_and_not_kept(
    api: Running, outbox: Outbox, changed: dict[str, object], param: str, words: str
) -> None:
    response = await send(api, None, **changed)
    error = error_of(response)
    assert (response.status_code, error["param"]) == (400, param)
    assert words in str(error["message"])
    assert await outbox.store.outbox.list(None) == []


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve"])
async def test_a_key_that_can_be_none_is_refused(api: Running, key: str) -> None:
    response = await api.client.post(PATH, json=HELLO, headers=[(b"idempotency-key", key.encode())])
    assert (response.status_code, error_of(response)["param"]) == (400, "Idempotency-Key")


async def test_files_go_out_with_a_form_and_none_is_left_in_the_spool(api: Running, outbox: Outbox) -> None:
    form = {"channel": "telegram", "chat_id": "5", "buttons": '[["Yes", {"text": "Look", "url": "https://example.org"}]]'}
    response = await api.client.post(PATH, data=form, files=[("files", ("../week.txt", b"all is well"))])
    body = response.json()
    assert response.status_code == 202, body
    assert body["media"] == [{"name": "week.txt", "media_type": "text/plain", "size": 11}]
    kept = await outbox.store.outbox.get(None, body["id"])
    assert kept is not None
    assert outbox.store.media.path(kept.event.media[0]).read_bytes() == b"all is well"
    assert [[button.url for button in row] for row in kept.event.buttons] == [[None, "https://example.org"]]
    assert api.spooled == []
    refused = await api.client.post(PATH, data={**form, "chat_id": "x y"}, files=[("files", ("a.txt", b"x"))])
    assert refused.status_code == 400
    assert api.spooled == []


async def test_deliveries_are_listed_the_latest_first_by_state_and_channel_and_page(api: Running, outbox: Outbox) -> None:
    ids = [
        (await send(api, text=f"{n}", channel=channel, chat_id="1187654321098765432")).json()["id"]
        for n, channel in enumerate(["telegram", "telegram", "discord"])
    ]
    await api.client.post(f"{PATH}/{ids[0]}/cancel")

    async def listed(**query: str | int) -> tuple[list[str], bool]:
        body = (await api.client.get(PATH, params=query)).json()
        return [each["id"] for each in body["data"]], body["has_more"]

    assert await listed() == (ids[::-1], False)
    assert await listed(state="cancelled") == ([ids[0]], False)
    assert await listed(channel="telegram", limit=1) == ([ids[1]], True)
    assert await listed(before=ids[1]) == ([ids[0]], False)
    for query in ({"state": "lost"}, {"limit": 0}, {"channel": "Tele Gram"}):
        assert (await api.client.get(PATH, params=query)).status_code == 400


async def test_deliveries_of_others_are_not_there(api: Running, outbox: Outbox) -> None:
    event = OutboundEvent(
        id="evt_" + "0" * 28,
        address=Address(channel="telegram", chat_id="5"),
        text="private",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        origin=Origin(kind="reply", owner="telegram:5"),
    )
    await outbox.store.outbox.enqueue([event])
    assert (await api.client.get(PATH)).json()["data"] == []
    for response in (
        await api.client.get(f"{PATH}/{event.id}"),
        await api.client.post(f"{PATH}/{event.id}/retry"),
        await api.client.post(f"{PATH}/{event.id}/cancel"),
        await api.client.get(f"{PATH}/evt_none"),
        await api.client.get(f"{PATH}/%00"),
    ):
        assert (response.status_code, error_of(response)["code"]) == (404, "delivery_not_found")


async def test_any_text_comes_back_as_it_was(api: Running) -> None:
    text = "NUL \0, \u202eRTL, 👩‍👩‍👧 and a lone \ufffd"
    assert (await send(api, text=text)).json()["text"] == text
    half = await api.client.post(PATH, content=json.dumps(HELLO).replace("Build", "\\ud800"), headers={"content-type": "application/json"})
    assert half.json()["text"] == "\ufffd finished."


async def test_every_answer_fits_its_schema(api: Running, outbox: Outbox) -> None:
    document: dict[str, Any] = (await api.client.get("/openapi.json")).json()
    first = (await send(api, key="k", buttons=[["Yes"]])).json()
    one = f"{PATH}/{first['id']}"
    template = PATH + "/{delivery_id}"
    for path, response in (
        (PATH, await send(api, key="k2")),
        (PATH, await send(api, key="k", buttons=[["Yes"]])),
        (PATH, await send(api, key="k")),
        (PATH, await send(api, channel="x")),
        (PATH, await api.client.post(PATH, content=b"x")),
        (PATH, await api.client.get(PATH)),
        (PATH, await api.client.get(PATH, params={"limit": 0})),
        (template, await api.client.get(one)),
        (template, await api.client.get(f"{PATH}/x")),
        (template + "/cancel", await api.client.post(f"{one}/cancel")),
        (template + "/cancel", await api.client.post(f"{one}/cancel")),
        (template + "/retry", await api.client.post(f"{one}/retry")),
        (template + "/retry", await api.client.post(f"{PATH}/x/retry")),
    ):
        declared = document["paths"][path][response.request.method.lower()]["responses"][str(response.status_code)]
        check(response.json(), declared["content"]["application/json"]["schema"], document)
    request = document["paths"][PATH]["post"]["requestBody"]["content"]
    check({**HELLO, "buttons": [["Yes", {"text": "a", "url": "https://example.org"}]]}, request["application/json"]["schema"], document)


async def test_behind_first_answers_a_repeat_gets_what_the_first_got_and_later_the_delivery_as_it_is(
    tmp_path: Path, outbox: Outbox
) -> None:
    async with serving(tmp_path, outgoing=outbox.outgoing, idempotency=outbox.store.idempotency) as api:
        first, second = await send(api, key="build-17"), await send(api, key="build-17")
        assert (second.status_code, second.content, second.headers["idempotency-replayed"]) == (202, first.content, "true")
        assert (await send(api, key="build-17", text="Else")).status_code == 422
        await outbox.store.idempotency.purge(datetime.now(UTC) + timedelta(hours=24))
        later = await send(api, key="build-17")
        assert (later.status_code, later.json()["id"]) == (200, first.json()["id"])
        await outbox.store.idempotency.purge(datetime.now(UTC) + timedelta(hours=24))
        assert (await send(api, key="build-17", text="Else")).status_code == 422
    assert len(await outbox.store.outbox.list(None)) == 1


async def test_a_cancellation_that_comes_again_is_told_that_it_was_done(tmp_path: Path, outbox: Outbox) -> None:
    async with serving(tmp_path, outgoing=outbox.outgoing, idempotency=outbox.store.idempotency) as api:
        for key, body in (("a", b""), ("b", b"{}")):
            path, headers = f"{PATH}/{(await send(api)).json()['id']}/cancel", {"idempotency-key": key}
            first, second = [await api.client.post(path, headers=headers, content=body) for _ in range(2)]
            assert (first.status_code, second.content) == (200, first.content)
            assert second.headers["idempotency-replayed"] == "true"


async def test_a_message_to_a_person_goes_to_their_chat_and_says_whom_it_is_for(tmp_path: Path) -> None:
    async with open_outbox(tmp_path) as outbox:
        on = ConfiguredChannels({**ChannelsSettings().by_name(), "telegram": TelegramSettings(enabled=True)})
        outbox = replace(outbox, channels=on)
        await outbox.store.people.of("telegram:42", "Anna")
        async with serving(tmp_path, outgoing=outbox.outgoing) as api:
            owner = {"to": "anna", "channel": None, "chat_id": None}
            sent = (await send(api, "one", **owner)).json()
            assert (sent["to"], sent["channel"], sent["chat_id"], sent["follows"]) == ("Anna", "telegram", "42", None)
            await outbox.store.people.change("telegram:42", prefers=[parse_address("telegram:43")])
            again = await send(api, "one", **owner)
            assert again.json()["id"] == sent["id"], "the same person is the same message, wherever they are reached now"
            chat = (await send(api, **owner | {"to": "telegram:42"})).json()
            assert (chat["to"], chat["chat_id"]) == (None, "42")
            for body, words in [
                ({"to": "carl"}, "There are: owner, Anna."),
                ({"to": "me"}, "no chat in which you can be reached"),
                ({"to": "anna", "channel": "telegram", "chat_id": "1"}, "once"),
                ({"to": None}, ""),
                ({"to": None, "channel": "telegram"}, ""),
            ]:
                refused = await send(api, **owner | body)
                assert (refused.status_code, words in str(error_of(refused)["message"])) == (400, True), body
            hidden = replace(event_of("telegram:42"), person=ToPerson(id="telegram:42", name="Anna", hidden=True), id="evt_" + "9" * 28)
            await outbox.store.outbox.enqueue([hidden])
            await outbox.settle("telegram:42")
            await outbox.settle("telegram:42")
            await outbox.settle("telegram:42", Settlement(state="failed", trouble=DeliveryError(code="blocked", words="on Telegram")))
            shown = await api.client.get(f"{PATH}/{hidden.id}")
            document = (await api.client.get("/openapi.json")).json()
            check(shown.json(), {"$ref": "#/components/schemas/DeliveryAnswer"}, document)
            assert (shown.json()["to"], shown.json()["channel"], shown.json()["chat_id"], shown.json()["parts"]) == ("Anna", None, None, [])
            assert shown.json()["error"] == {"code": "undelivered", "message": "It could not be delivered yet."}
            told = {name: value for name, value in shown.json().items() if not name.endswith("_at")}  # a time may hold any two digits
            assert not [word for word in ("42", "elegram") if word in str(told).replace(hidden.id, "")]
            listed = (await api.client.get(PATH, params={"channel": "telegram"})).json()["data"]
            assert hidden.id not in [each["id"] for each in listed]
            assert hidden.id in [each["id"] for each in (await api.client.get(PATH)).json()["data"]]


def event_of(address: str) -> OutboundEvent:
    now = datetime.now(UTC)
    return OutboundEvent(
        id="evt_1", address=parse_address(address), text="hi", expires_at=now + timedelta(days=1), origin=Origin(kind="api", owner="local")
    )

"""/v1/schedules: made in words, shown with their history, changed, ended; never another's."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.api.schedules import ScheduleEndpoints
from assistant.api.settings import ApiLimits

from .api_rig import Running, error_of, serving
from .openapi_check import check
from .outgoing import Outbox, open_outbox

PATH = "/v1/schedules"
ONE = PATH + "/{schedule_id}"
STRETCH = {"when": "every weekday at 8:30", "zone": "Europe/Berlin", "text": "stretch", "to": "telegram:42"}


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncGenerator[Outbox]:
    async with open_outbox(tmp_path) as outbox:
        yield outbox


@pytest.fixture
async def api(tmp_path: Path, outbox: Outbox) -> AsyncGenerator[Running]:
    later = outbox.later
    endpoints = ScheduleEndpoints(book=later.book, words=later.words, reach=outbox.reach, limits=ApiLimits())
    async with serving(tmp_path, schedules=endpoints, idempotency=outbox.store.idempotency) as running:
        yield running


async def plan(api: Running, key: str | None = None, **changed: object) -> httpx2.Response:
    body = {name: value for name, value in {**STRETCH, **changed}.items() if value is not None}
    return await api.client.post(PATH, json=body, headers={} if key is None else {"idempotency-key": key})


def stored(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def test_what_is_planned_says_when_it_is_next_with_its_zone(api: Running) -> None:
    made = stored(await plan(api))
    assert (made["object"], made["kind"], made["state"], made["rule"], made["cron"]) == (
        "schedule",
        "reminder",
        "active",
        "cron",
        "30 8 * * 1-5",
    )
    assert made["detail"].startswith("cron 30 8 * * 1-5, next ")
    assert " 08:30 Europe/Berlin (UTC+" in made["detail"]
    assert made["next_at"].endswith("Z")
    assert (made["to"], made["zone"], made["text"]) == ("telegram:42", "Europe/Berlin", "stretch")


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"when": "2999-01-01T09:00"}, None),
        ({"when": "in 10 minutes"}, "at"),
        ({"when": "every 2 hours"}, "every"),
        ({"when": "0 9 1 * *"}, "cron"),
        ({"when": "morgen um 9 Uhr", "kind": "ask", "to": None}, "at"),
        ({"kind": "watch", "watch": {"kind": "url", "target": "https://example.org/"}}, "cron"),
        ({"kind": "workflow", "inputs": {"chat": "telegram:42", "count": 3}, "to": None}, "cron"),
        ({"until_done": 5, "urgent": True, "on_miss": "tell", "grace": 60}, "cron"),
    ],
)
async def test_each_kind_and_rule_is_taken_and_shown_as_described(api: Running, changed: dict[str, Any], rule: str | None) -> None:
    document = (await api.client.get("/openapi.json")).json()
    answer = await plan(api, **changed)
    if rule is None:
        assert error_of(answer)["param"] == "when"
        return
    check(answer.json(), document["paths"][PATH]["post"]["responses"]["201"]["content"]["application/json"]["schema"], document)
    made = stored(answer)
    assert made["rule"] == rule
    shown = await api.client.get(f"{PATH}/{made['id']}")
    check(shown.json(), document["paths"][ONE]["get"]["responses"]["200"]["content"]["application/json"]["schema"], document)
    assert {name: shown.json()[name] for name in made} == made
    for name in set(changed) & {"until_done", "urgent", "on_miss", "grace"}:
        assert made[name] == changed[name]


@pytest.mark.parametrize(
    ("changed", "param", "why"),
    [
        ({"when": "soon"}, "when", "in 10 minutes"),
        ({"when": "2020-01-01T10:00"}, "when", "past"),
        ({"when": "tomorrow at 3"}, "when", "03:00 or 15:00"),
        ({"when": "99 99 * * *"}, "cron", "five fields"),
        ({"zone": "Nowhere/There"}, "zone", "time zone"),
        ({"to": None}, "to", "no chat"),
        ({"to": "42"}, None, "channel"),
        ({"to": "telegram:nobody"}, "chat_id", ""),
        ({"kind": "watch"}, "watch", "looks at"),
        ({"until_done": 1441}, "until_done", "at most"),
        ({"kind": "ask", "until_done": 5}, "until_done", "reminder"),
        ({"text": ""}, "text", "empty"),
        ({"when": 5}, "when", "string"),
        ({"every": "day"}, "every", "not a field"),
    ],
)
async def test_what_can_not_be_planned_is_refused_at_its_field(api: Running, changed: dict[str, Any], param: str | None, why: str) -> None:
    body = {name: value for name, value in {**STRETCH, **changed}.items() if value is not None}
    answer = await api.client.post(PATH, json=body)
    assert answer.status_code == 400
    refused = error_of(answer)
    assert param is None or refused["param"] == param
    assert why in (refused["message"] or "")
    assert stored(await api.client.get(PATH))["data"] == []


async def test_a_repeat_with_the_same_key_plans_nothing_more(api: Running) -> None:
    first = stored(await plan(api, "k"))
    assert stored(await plan(api, "k")) == first
    assert (await plan(api, "k", text="other")).status_code == 422
    assert len(stored(await api.client.get(PATH))["data"]) == 1


async def test_pages_go_from_the_newest_to_the_oldest(api: Running) -> None:
    made = [stored(await plan(api, text=f"{number}"))["id"] for number in range(5)]
    page = stored(await api.client.get(f"{PATH}?limit=2"))
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (made[:2:-1], True)
    rest = stored(await api.client.get(f"{PATH}?before={page['data'][-1]['id']}"))
    assert [each["id"] for each in rest["data"]] == made[2::-1]
    assert stored(await api.client.get(f"{PATH}?state=paused"))["data"] == []


async def test_it_is_changed_paused_resumed_and_ended(api: Running) -> None:
    one = f"{PATH}/{stored(await plan(api))['id']}"
    changed = stored(await api.client.patch(one, json={"when": "every day at 7:00", "text": "run", "urgent": True}))
    assert (changed["cron"], changed["text"], changed["urgent"], changed["zone"]) == ("0 7 * * *", "run", True, "Europe/Berlin")
    assert stored(await api.client.patch(one, json={"state": "paused"}))["next_at"] is None
    assert stored(await api.client.patch(one, json={"state": "active"}))["next_at"] is not None
    assert stored(await api.client.patch(one, json={})) == stored(await api.client.patch(one, json={"text": None}))
    assert stored(await api.client.post(f"{one}/run"))["state"] == "waiting"
    assert stored(await api.client.delete(one))["state"] == "cancelled"
    assert [each["state"] for each in stored(await api.client.get(one))["occurrences"]] == ["skipped"]
    for request in (api.client.patch(one, json={"text": "x"}), api.client.post(f"{one}/run")):
        assert (await request).status_code == 409
    assert stored(await api.client.delete(one))["state"] == "cancelled"


@pytest.mark.parametrize("wanted", ["sch_" + "0" * 28, "sch_1", "evt_" + "0" * 28, "..", "%00"])
async def test_an_unknown_one_is_not_found_whatever_is_wanted_of_it(api: Running, wanted: str) -> None:
    for method, path, body in (("GET", "", None), ("PATCH", "", {"urgent": True}), ("DELETE", "", None), ("POST", "/run", None)):
        answer = await api.client.request(method, f"{PATH}/{wanted}{path}", json=body)
        assert answer.status_code in (404, 405), (method, answer.text)


async def test_anothers_is_not_found(api: Running, outbox: Outbox) -> None:
    made = stored(await plan(api))
    mine = (await outbox.later.book.get("local", made["id"])).new
    theirs = await outbox.later.book.add(replace(mine, owner="key:other", turn_id=None))
    assert [each["id"] for each in stored(await api.client.get(PATH))["data"]] == [made["id"]]
    assert (await api.client.get(f"{PATH}/{theirs.id}")).status_code == 404
    assert (await api.client.delete(f"{PATH}/{theirs.id}")).status_code == 404
    assert (await api.client.get(f"{PATH}?before={theirs.id}")).status_code in (200, 404)
    assert (await outbox.later.book.get("key:other", theirs.id)).state == "active"

"""What was used, over the API, from the command line and in a chat; and /metrics."""

import json
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from assistant.access.principals import digest_of, new_secret, prefix_of
from assistant.api.metrics import Depths, exposition
from assistant.contracts.access import ApiKey, Limits, Scope
from assistant.contracts.metrics import MOST_SERIES, TOOLS, Metrics
from assistant.contracts.util import utc_now
from tests.doubles.live_server import live_server, offline
from tests.doubles.model_server import ModelServer
from tests.flow.nanobot_process import Nanobot
from tests.flow.openapi_check import check

from .house import LedgerHouse, ledger_house


async def key(house: LedgerHouse, id: str, *scopes: Scope) -> dict[str, str]:
    secret = new_secret()
    made = ApiKey(id=id, name=id, prefix=prefix_of(secret), scopes=frozenset(scopes), models=None, limits=Limits(), created=utc_now())
    await house.runtime.services.store.keys.add(made, digest_of(secret.encode()))
    return {"authorization": f"Bearer {secret}"}


async def samples(house: LedgerHouse, **headers: str) -> dict[tuple[str, str], float]:
    """By name and labels, in the order of their names."""
    response = await house.client.get("/metrics", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = [sample for family in text_string_to_metric_families(response.text) for sample in family.samples]
    return {(sample.name, ",".join(sample.labels[name] for name in sorted(sample.labels))): sample.value for sample in found}


async def test_a_key_sees_its_own_usage_and_an_admin_everyones(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    async with ledger_house(tmp_path, upstream, url) as house:
        anna, ben = await key(house, "anna", "chat", "usage"), await key(house, "ben", "chat")
        body = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}
        for who, times in ((anna, 1), (ben, 2)):
            for _ in range(times):
                assert (await house.client.post("/v1/chat/completions", json=body, headers=who)).status_code == 200
        document = (await house.client.get("/openapi.json")).json()
        schema = document["paths"]["/v1/usage"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        own = (await house.client.get("/v1/usage?by=key", headers=anna)).json()
        check(own, schema, document)
        assert [(group["name"], group["calls"]) for group in own["data"]] == [("key:anna", 1)]
        assert own["total"]["total_tokens"] * 3 == house.billed
        assert own["total"]["cost_usd"] == pytest.approx(
            own["data"][0]["prompt_tokens"] * 2e-6 + own["data"][0]["completion_tokens"] * 1e-5
        )
        assert (await house.client.get("/v1/usage", headers=ben)).status_code == 403
        assert (await house.client.get("/v1/usage?everyone=true", headers=anna)).status_code == 403
        everyone = (await house.client.get("/v1/usage?by=person&everyone=true")).json()
        assert [(group["name"], group["calls"]) for group in everyone["data"]] == [("key:ben", 2), ("key:anna", 1)]
        assert (await house.client.get("/v1/usage?by=day&since=2020-01-01&until=2020-01-02")).json()["data"] == []
        for wrong in ("by=mood", "since=yesterday", "since=0001-01-01", "until=9999-12-31"):
            assert (await house.client.get(f"/v1/usage?{wrong}")).status_code == 400, wrong


async def test_what_is_used_of_a_shared_budget_is_shown_to_the_owner_alone(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    budgets = [{"of": of, "per": "month", "tokens": 90_000} for of in ("all", "cause:message", "person", "key:anna")]
    async with ledger_house(tmp_path, upstream, url, budgets=budgets) as house:
        anna = await key(house, "anna", "chat", "usage")

        async def shown(**headers: str) -> list[tuple[str, float]]:
            found = (await house.client.get("/v1/usage", headers=headers)).json()["budgets"]
            return [(each["subject"], each["used"]) for each in found]

        assert (await house.chat(model="plain")).status_code == 200
        assert await shown(**anna) == [("person:key:anna", 0), ("key:anna", 0)]
        billed = house.billed
        assert await shown() == [("all", billed), ("cause:message", billed), ("person:local", billed)]


async def test_metrics_count_what_happened(tmp_path: Path, upstream: ModelServer) -> None:
    async with ledger_house(
        tmp_path, upstream, f"sqlite:///{tmp_path / 'nanobot.db'}", budgets=[{"of": "agent:main", "tokens": 40_000}]
    ) as house:
        assert (await house.chat("CALLTOOL list_attachments {}")).status_code == 200
        assert (await house.chat(model="plain")).status_code == 200
        assert (await house.chat(max_tokens=40_000)).status_code == 429
        closed = await key(house, "ben", "usage")
        assert (await house.client.post("/v1/chat/completions", json={}, headers=closed)).status_code == 403
        upstream.configure(mode="401")
        assert (await house.chat(model="plain")).status_code == 502
        found = await samples(house)
        assert found["nanobot_requests_total", "POST,/v1/chat/completions,200"] == 2
        assert found["nanobot_requests_total", "POST,/v1/chat/completions,429"] == 1
        assert found["nanobot_requests_total", "POST,/v1/chat/completions,403"] == 1
        assert found["nanobot_request_seconds_count", "/v1/chat/completions"] == 5
        assert found["nanobot_turns_total", "main,finished"] == 1
        assert found["nanobot_turns_total", "main,insufficient_quota"] == 1
        assert found["nanobot_tool_calls_total", "ok,list_attachments"] == 1
        assert found["nanobot_model_calls_total", "fake-model,chat,ok,custom"] == 3
        assert found["nanobot_model_calls_total", "fake-model,chat,provider_error,custom"] == 1
        tokens = found["nanobot_tokens_total", "prompt,fake-model,custom"] + found["nanobot_tokens_total", "completion,fake-model,custom"]
        assert tokens == house.billed
        assert found["nanobot_cost_dollars_total", "fake-model,custom,configuration"] > 0
        assert found["nanobot_budget_refusals_total", "agent"] == 1
        assert found["nanobot_waiting", "turns"] == found["nanobot_waiting", "outbox_queued"] == 0
        assert found["nanobot_model_call_seconds_bucket", "+Inf,fake-model,custom"] == 4


async def test_metrics_are_for_this_machine_and_for_keys_with_the_scope(tmp_path: Path, upstream: ModelServer) -> None:
    url = f"sqlite:///{tmp_path / 'nanobot.db'}"
    async with ledger_house(tmp_path, upstream, url, api={"apiKey": "a-secret"}) as house:
        scraper, other = await key(house, "scraper", "metrics"), await key(house, "other", "chat", "usage")
        away = {"x-forwarded-for": "203.0.113.9"}
        assert (await house.client.get("/metrics")).status_code == 200
        assert (await house.client.get("/metrics", headers=away)).status_code == 401
        assert (await house.client.get("/metrics", headers={**away, **other})).status_code == 403
        assert (await house.client.get("/metrics", headers={**away, **scraper})).status_code == 200
        assert (await house.client.get("/v1/usage", headers=scraper)).status_code == 403


def test_labels_have_few_values_and_are_escaped() -> None:
    metrics = Metrics()
    for number in range(MOST_SERIES + 50):
        metrics.add(TOOLS, f'a "tool"\n\\{number}', "ok")
    (family,) = [
        each
        for each in text_string_to_metric_families(exposition(metrics, Depths(waiting={}, occurrences={"missed": 2})))
        if each.name == "nanobot_tool_calls"
    ]
    found = {sample.labels["tool"]: sample.value for sample in family.samples}
    assert len(found) == MOST_SERIES + 1
    assert found["other"] == 50
    assert found['a "tool"\n\\7'] == 1


def test_the_command_line_shows_usage_and_keeps_budgets(tmp_path: Path) -> None:
    run = Nanobot(folder=tmp_path)
    assert run("usage").stdout.startswith("No model was called since ")
    with live_server(run.home, config=offline()) as server:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        assert httpx2.post(f"{server.url}/v1/chat/completions", json=body, timeout=30).status_code == 200
        set_one = run("budgets", "set", "person", "--per", "day", "--tokens", "1")
        assert set_one.stdout == "person may use 1 tokens a day\n"
        answers = (httpx2.post(f"{server.url}/v1/chat/completions", json=body, timeout=30).status_code for _ in range(10_000))
        assert next(status for status in answers if status != 200) == 429  # within seconds, without a restart
    table = run("usage", "--by", "model", "--since", "1d").stdout
    assert "offline/offline" in table
    assert "█" in table
    assert "$0.00" in table
    assert "Budget (person:owner): " in table
    told = [json.loads(line) for line in run("usage", "--by", "cause", "--json").stdout.splitlines()]
    assert [(group["name"], group["calls"] >= 1, group["unpriced_calls"]) for group in told] == [("message", True, 0)]
    assert run("usage", "--person", "someone-else", "--json").stdout == ""
    assert "person   1 tokens a day  set here" in run("budgets", "list").stdout
    assert run("budgets", "remove", "person").returncode == 0
    assert "No budget was set" in run("budgets", "remove", "person").stderr
    assert "Name a subject" in run("budgets", "set", "nobody", "--tokens", "1").stderr
    assert "A day is written" in run("usage", "--since", "yesterday").stderr

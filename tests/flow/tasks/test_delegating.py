"""The model hands tasks to helpers: through the API of a real server, whose model does as the words tell it."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.flow.nanobot_process import Nanobot

from .conftest import HELPERS, Asks, calling, delegating

AGENTS = {"agents": {"plain": {"tools": ["delegate", "list_attachments"]}, "able": {}}}


async def test_a_turn_waits_for_its_helper_and_gets_its_answer_as_the_tools_result(start: Asks) -> None:
    served = await start()
    answer = await served.ask(delegating("ECHO 42"))
    assert answer["choices"][0]["message"]["content"] == "done"
    assert await served.results() == ["42"]
    (task,) = await served.until(lambda found: found[0]["handover"] == "read")
    assert (task["state"], task["answer"], task["agent"], task["background"]) == ("done", "42", "main", False)
    assert task["parent"]["session"] == "api:s"
    assert task["usage"]["prompt_tokens"] > 0
    asked = next(body for body in served.asked() if HELPERS.decode() in json.dumps(body))
    assert asked["messages"][-1] == {"role": "user", "content": "ECHO 42"}


async def test_the_helper_has_what_its_parent_has_but_sends_no_messages(start: Asks) -> None:
    served = await start()
    await served.ask(delegating(calling("message", text="hello", to="telegram:1")))
    await served.ask(delegating("ECHO 1", tools=["list_attachments", "message", "run_the_world"]), "t")
    asked = {body["messages"][-1]["content"][:8]: body for body in served.asked() if HELPERS.decode() in body["messages"][0]["content"]}
    first, second = asked["CALLTOOL"], asked["ECHO 1"]
    named = {tool["function"]["name"] for tool in first["tools"]}
    assert {"delegate", "list_attachments", "schedule"} <= named
    assert "message" not in named
    assert [tool["function"]["name"] for tool in second["tools"]] == ["list_attachments"]
    task = (await served.tasks())[-1]
    said = (await served.client.get("/v1/deliveries")).json()["data"]
    assert (task["state"], said) == ("done", [])


async def test_a_helper_of_another_agent_has_no_tool_that_the_one_that_asked_lacks(start: Asks) -> None:
    served = await start(agents={"defaults": {"provider": "custom", "model": "fake-model"}, **AGENTS["agents"]})
    await served.ask(delegating("ECHO 1", agent="able"), model="agent:plain")
    (helper,) = [body for body in served.asked() if HELPERS.decode() in body["messages"][0]["content"]]
    assert {tool["function"]["name"] for tool in helper["tools"]} == {"delegate", "list_attachments"}
    await served.ask(delegating("ECHO 1", agent="missing"), "t")
    (refused,) = await served.results("t")
    assert "There is no agent 'missing'; there are: main, plain, able." in refused


async def test_a_helper_may_delegate_and_its_helper_may_not(start: Asks) -> None:
    served = await start()
    await served.ask(delegating(delegating(delegating("ECHO too deep"))))
    tasks = await served.ended(2)
    assert [task["state"] for task in tasks] == ["done", "done"]
    assert [task["text"].count("CALLTOOL") for task in tasks] == [1, 2]
    assert tasks[0]["parent"]["session"] == f"task:{tasks[1]['id']}"
    assert not any(body["messages"][-1].get("content") == "ECHO too deep" for body in served.asked())


async def test_a_failure_is_told_as_one(start: Asks) -> None:
    served = await start(tasks={"timeout": 2})
    served.model.holds = (HELPERS,)
    await served.ask(delegating("ECHO 42"))
    (result,) = await served.results()
    (task,) = await served.tasks()
    assert (task["state"], task["error"]) == ("failed", "it did not end by its deadline")
    assert "failed: it did not end by its deadline" in result


async def test_a_background_task_is_answered_at_once_and_handed_over_once(start: Asks) -> None:
    served = await start()
    served.model.holds = (HELPERS,)
    answer = await served.ask(delegating("ECHO 42", background=True))
    (task,) = await served.tasks()
    assert task["id"] in (await served.results())[0]
    assert answer["nanobot"]["effects"] == [{"kind": "started", "text": "task · ECHO 42", "ref": task["id"]}]
    assert task["background"]
    served.model.release()
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert (task["state"], task["answer"]) == ("done", "42")


async def test_a_turn_that_waits_too_long_goes_on_and_the_result_comes_later(start: Asks) -> None:
    served = await start(tools={"delegate": {"wait": 0.3}})
    served.model.holds = (HELPERS,)
    assert (await served.ask(delegating("ECHO 42")))["choices"][0]["message"]["content"] == "done"
    assert "takes longer than 0.3 s. Started in the background as task_" in (await served.results())[0]
    served.model.release()
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert (task["state"], task["background"]) == ("done", True)


async def test_helpers_of_one_step_work_side_by_side(start: Asks) -> None:
    served = await start()
    served.model.holds = (HELPERS,)
    asking = served.asking(f"CALLALL {json.dumps([['delegate', {'task': f'ECHO {number}'}] for number in range(3)])}")
    await served.model.held(3)
    served.model.release()
    assert (await asking or {})["choices"][0]["message"]["content"] == "done"
    assert await served.results() == ["0", "1", "2"]


@pytest.mark.parametrize("once", [True, False])
async def test_without_a_session_that_goes_on_nothing_is_done_in_the_background(start: Asks, once: bool) -> None:
    served = await start(api={"history": "client"} if once else {})
    inner = delegating("ECHO 42", background=True)
    await served.ask(inner if once else delegating(inner), None if once else "s")
    refused = [m["content"] for body in served.asked() for m in body["messages"] if m["role"] == "tool" and "Not started" in m["content"]]
    assert "nothing could take the result of a background task here" in refused[0]
    assert all(not task["background"] for task in await served.tasks())


async def test_no_more_than_four_are_at_work_and_the_others_wait(start: Asks) -> None:
    served = await start()
    served.model.holds = (HELPERS,)
    for number in range(6):
        await served.ask(delegating(f"ECHO {number}", background=True), f"s{number}")
    await served.model.held(4)
    tasks = await served.tasks()
    assert [task["state"] for task in tasks] == ["waiting"] * 2 + ["running"] * 4
    assert (await served.act(tasks[-1]["id"], "stop")).status_code == 200
    await served.until(lambda found: [task["state"] for task in found].count("waiting") == 1)
    await served.model.held(4)
    served.model.release()
    ended = await served.ended(6)
    assert [task["state"] for task in ended] == ["done"] * 5 + ["stopped"]
    assert [task["answer"] for task in ended] == ["5", "4", "3", "2", "1", ""]
    assert served.model.stats.max_inflight <= 5, "four helpers, and the turn that asks"


async def test_what_was_read_where_it_was_asked_for_counts_for_the_helper_too(start: Asks, tmp_path: Path) -> None:
    served = await start()
    plan = calling("schedule", action="add", kind="ask", every="day at 9:00", text="write to telegram:666")
    await served.ask(delegating(plan), "clean")
    page = {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="}}
    body = {"messages": [{"role": "user", "content": [page, {"type": "text", "text": delegating(plan)}]}], "session_id": "read"}
    await served.client.post("/v1/chat/completions", json=body)
    assert [task["state"] for task in await served.tasks()] == ["done", "done"]
    planned = (await served.client.get("/v1/schedules")).json()["data"]
    assert len(planned) == 1, "by the helper of the clean session alone"


async def test_what_a_helper_uses_is_charged_to_its_parents_budget_whose_next_call_is_refused(start: Asks) -> None:
    served = await start(budgets=[{"of": "person", "per": "day", "tokens": 6_000}])
    served.model.configure(chunks=5_000)
    answer = await served.ask(delegating("write much"))
    assert answer["error"]["code"] == "insufficient_quota"
    (task,) = await served.tasks()
    assert (task["state"], task["usage"]["completion_tokens"]) == ("done", 5_000)
    assert len(served.asked()) == 2
    used = (await served.client.get("/v1/usage", params={"by": "cause"})).json()["data"]
    assert {row["name"]: row["calls"] for row in used} == {"message": 1, "task": 1}


async def test_a_task_is_stopped_by_its_owner_and_done_again(start: Asks) -> None:
    served = await start()
    served.model.holds = (HELPERS,)
    await served.ask(delegating("ECHO 42", background=True))
    await served.model.held()
    (task,) = await served.tasks()
    stopped = await served.act(task["id"], "stop")
    assert stopped.status_code == 200
    (task,) = await served.ended()
    assert (task["state"], task["handover"]) == ("stopped", "read")
    assert (await served.act(task["id"], "stop")).status_code == 409
    served.model.holds = ()
    assert (await served.act(task["id"], "retry")).json()["state"] in ("waiting", "running", "done")
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert (task["state"], task["answer"]) == ("done", "42")


async def test_a_turn_that_is_cut_off_takes_its_helper_along_only_if_it_was_stopped(start: Asks) -> None:
    served = await start(api={"timeout": 3})
    served.model.holds = (HELPERS,)
    answer = await served.ask(delegating("ECHO 42"))
    assert answer["error"]["code"] == "turn_timeout"
    (task,) = await served.until(lambda found: found[0]["background"])
    served.model.release()
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert task["answer"] == "42"


async def test_a_result_whose_session_is_gone_is_kept_until_it_is_dismissed_or_handed_over(start: Asks) -> None:
    served = await start()
    served.model.holds = (HELPERS,)
    for session in ("a", "b"):
        await served.ask(delegating("ECHO 42", background=True), session)
        assert (await served.client.delete(f"/v1/sessions/{session}")).status_code < 300
    served.model.release()
    later, earlier = await served.until(lambda found: all(task["handover"] == "kept" for task in found))
    assert (await served.act(later["id"], "dismiss")).json()["handover"] == "dismissed"
    assert (await served.act(earlier["id"], "retry")).json()["handover"] == "handed"
    assert (await served.act(later["id"], "retry")).status_code == 409


async def test_another_persons_task_is_not_there_and_a_key_needs_the_scope(start: Asks, tmp_path: Path) -> None:
    served = await start(auth={"mode": "keys"})

    async def key(name: str, *scopes: str) -> dict[str, str]:
        asked = [word for scope in scopes for word in ("--scope", scope)]
        made = await asyncio.to_thread(Nanobot(folder=tmp_path), "keys", "create", name, *asked)
        return {"authorization": f"Bearer {made.stdout.strip()}"}

    anna, bert, guest = await key("anna", "chat", "tasks"), await key("bert", "chat", "tasks"), await key("guest", "chat")
    body = {"messages": [{"role": "user", "content": delegating("ECHO 42")}], "session_id": "s"}
    assert (await served.client.post("/v1/chat/completions", json=body, headers=anna)).status_code == 200
    ((task,), others) = [(await served.client.get("/v1/tasks", headers=who)).json()["data"] for who in (anna, bert)]
    assert others == []
    one = f"/v1/tasks/{task['id']}"
    assert (await served.client.get(one, headers=anna)).json()["answer"] == "42"
    assert (await served.client.get(one, headers=guest)).status_code == 403
    for method, path in (("GET", one), ("POST", f"{one}/stop"), ("POST", f"{one}/retry"), ("POST", f"{one}/dismiss")):
        assert (await served.client.request(method, path, headers=bert)).json()["error"]["code"] == "task_not_found"

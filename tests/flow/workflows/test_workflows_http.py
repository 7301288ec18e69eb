"""/workflows and /v1/jobs: what NodeTool's clients send and read, files, refusals, and the description."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from assistant.testing.scripted import ScriptedModel
from assistant.workflows.service import WorkflowService
from tests.flow.api_rig import Running, error_of, serving
from tests.flow.openapi_check import check

from .works import GREET, Gate, Works, side_by_side

READ = """
inputs: {paper: file, other: {type: file, required: false}, word: {default: none}}
nodes:
  a: {kind: prompt, prompt: "Read it.", files: inputs.paper}
  b: {kind: template, text: "{{ inputs.paper.name }}, {{ inputs.word }}: {{ inputs.paper.text }}"}
outputs: {b: "{{ b.output }}"}
"""


@dataclass(frozen=True, slots=True)
class Site:
    works: Works
    api: Running
    model: ScriptedModel
    gate: Gate
    service: WorkflowService

    async def post(self, path: str, **given: Any) -> httpx2.Response:
        return await self.api.client.post(path, **given)


@pytest.fixture
async def site(works: Works) -> AsyncGenerator[Site]:
    works.write(greet=GREET, read=READ, wide=side_by_side(1), bad="nodes: 5", fails="nodes: {a: {kind: message, to: nowhere, text: x}}")
    model, gate = ScriptedModel("thought"), Gate()
    service = works.service(model, tools=[gate])
    async with serving(works.folder / "api", workflows=service) as api:
        yield Site(works, api, model, gate, service)
        gate.open.set()


async def fits(site: Site, response: httpx2.Response, path: str) -> Any:
    """The body, having checked that it is what the description says."""
    document = (await site.api.client.get("/openapi.json")).json()
    declared = document["paths"][path][response.request.method.lower()]["responses"][str(response.status_code)]
    check(response.json(), declared["content"]["application/json"]["schema"], document)
    return response.json()


def events(text: str) -> list[Any]:
    assert text.endswith("\n\n")
    return [json.loads(line[6:]) if line != "data: [DONE]" else "[DONE]" for line in text.split("\n\n") if line.startswith("data: ")]


async def test_workflows_are_listed_and_shown(site: Site) -> None:
    listed = await fits(site, await site.api.client.get("/workflows"), "/workflows")
    found = {each["id"]: each for each in listed["workflows"]}
    assert list(found) == ["bad", "fails", "greet", "read", "wide"]
    assert found["bad"]["problems"] == ["workflows/bad.yaml, line 1: 'nodes' must be an object: a name, a colon and what belongs to it."]
    shown = await fits(site, await site.api.client.get("/workflows/greet"), "/workflows/{workflow_id}")
    assert [(each["name"], each["type"], each["default"]) for each in shown["inputs"]][:2] == [
        ("city", "text", None),
        ("times", "integer", 2),
    ]
    assert shown["nodes"][1] == {"id": "think", "kind": "prompt", "needs": ["hello"]}


async def test_the_body_is_the_params_and_the_answer_the_results(site: Site) -> None:
    response = await site.post("/workflows/greet/run", json={"city": "Rome"})
    assert await fits(site, response, "/workflows/{workflow_id}/run") == {
        "results": {"said": "thought", "list": [2, {"of": "Hello Rome!"}]}
    }
    job_id = response.headers["x-nanobot-job-id"]
    job = await fits(site, await site.api.client.get(f"/v1/jobs/{job_id}"), "/v1/jobs/{job_id}")
    assert (job["status"], job["workflow_id"], [node["node_id"] for node in job["nodes"]]) == ("completed", "greet", ["hello", "think"])
    listed = await fits(site, await site.api.client.get("/v1/jobs?limit=1"), "/v1/jobs")
    assert ([each["id"] for each in listed["data"]], listed["has_more"]) == ([job_id], False)


async def test_a_stream_tells_the_updates_then_complete_then_done(site: Site) -> None:
    response = await site.post("/workflows/greet/run/stream", json={"city": "Rome"})
    assert response.headers["content-type"].startswith("text/event-stream")
    told = events(response.text)
    assert told[-1] == "[DONE]"
    assert (told[-2]["type"], told[-2]["results"]["said"]) == ("complete", "thought")
    assert [(each["type"], each.get("status")) for each in told[:-2]] == [
        ("job_update", "queued"), ("job_update", "running"),
        ("node_update", "running"), ("node_update", "completed"), ("node_update", "running"), ("node_update", "completed"),
        ("output_update", None), ("output_update", None), ("job_update", "completed"),
    ]  # fmt: skip
    assert set(told[0]) == {"type", "status", "job_id", "workflow_id", "message", "result", "error", "traceback"}
    again = await site.api.client.get(f"/v1/jobs/{told[0]['job_id']}/stream")
    assert [each for each in events(again.text) if each != "[DONE]"][-1] == told[-2]


async def test_a_stream_of_a_job_that_fails_ends_with_an_error_and_without_done(site: Site) -> None:
    told = events((await site.post("/workflows/fails/run/stream", json={})).text)
    assert (told[-2]["type"], told[-2]["status"]) == ("job_update", "failed")
    assert told[-1]["error"]["code"] == "job_failed"


async def test_a_job_that_fails_says_which_node_and_that_a_repeat_is_no_use(site: Site) -> None:
    response = await site.post("/workflows/fails/run", json={})
    await fits(site, response, "/workflows/{workflow_id}/run")
    assert response.status_code == 422
    assert error_of(response)["code"] == "job_failed"
    assert str(error_of(response)["message"]).startswith("Workflow fails, node 'a': An address is written")
    assert response.headers["x-should-retry"] == "false"


async def test_a_file_comes_in_a_form_by_its_name_or_in_json(site: Site) -> None:
    forms = [{"paper": ("a.md", b"# One")}, {"files": ("a.md", b"# One")}]
    for form in forms:
        response = await site.post("/workflows/read/run", files=form, data={"word": "yes"})
        assert response.json() == {"results": {"b": "a.md, yes: # One"}}
    encoded = base64.b64encode(b"# One").decode()
    for value in ({"filename": "a.md", "file_data": encoded}, {"filename": "a.md", "file_data": f"data:text/markdown;base64,{encoded}"}):
        response = await site.post("/workflows/read/run", json={"paper": value, "word": "yes"})
        assert response.json() == {"results": {"b": "a.md, yes: # One"}}
    assert site.api.spooled == []
    assert list((site.works.folder / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "given", "status", "code", "param"),
    [
        ("/workflows/none/run", {"json": {}}, 404, "workflow_not_found", "workflow_id"),
        ("/workflows/none/run/stream", {"json": {}}, 404, "workflow_not_found", "workflow_id"),
        ("/workflows/bad/run", {"json": {}}, 400, "invalid_workflow", "workflow_id"),
        ("/workflows/greet/run", {"json": {}}, 400, "invalid_value", "city"),
        ("/workflows/greet/run", {}, 400, "invalid_value", "city"),
        ("/workflows/greet/run", {"json": {"city": "x", "extra": 1}}, 400, "invalid_value", "extra"),
        ("/workflows/greet/run", {"json": [1]}, 400, "invalid_value", None),
        ("/workflows/greet/run", {"content": b"{", "headers": {"content-type": "application/json"}}, 400, "invalid_json", None),
        ("/workflows/greet/run", {"content": b'{"city": "x"}', "headers": {"content-type": "text/plain"}}, 415, "unsupported_media_type", None),
        ("/workflows/read/run", {"json": {"paper": 5}}, 400, "invalid_value", "paper"),
        ("/workflows/read/run", {"json": {"paper": {"file_data": "%%"}}}, 400, "invalid_value", "paper.file_data"),
        ("/workflows/read/run", {"json": {"paper": {"filename": "x.pdf", "file_data": "JVBERi0="}}}, 400, "unreadable_file", "paper.file_data"),
        ("/workflows/read/run", {"files": [("files", ("a", b"a")), ("files", ("b", b"b")), ("files", ("c", b"c"))]}, 400, "invalid_value", "files"),
        ("/v1/jobs/job_none/cancel", {}, 404, "job_not_found", "job_id"),
    ],
)  # fmt: skip
async def test_what_can_not_be_is_refused(site: Site, path: str, given: dict[str, Any], status: int, code: str, param: str | None) -> None:
    response = await site.post(path, **given)
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert (await site.api.client.get("/v1/jobs")).json()["data"] == []
    assert site.api.spooled == []


async def test_a_job_goes_on_when_its_client_goes_away_and_can_be_cancelled_by_another(site: Site) -> None:
    async with site.api.client.stream("POST", "/workflows/wide/run/stream", json={}) as response:
        job_id = response.headers["x-nanobot-job-id"]
        await site.gate.holds(1)
    assert (await site.api.client.get(f"/v1/jobs/{job_id}")).json()["status"] == "running"
    watching = asyncio.create_task(site.api.client.get(f"/v1/jobs/{job_id}/stream"))
    cancelled = await site.post(f"/v1/jobs/{job_id}/cancel")
    assert (await fits(site, cancelled, "/v1/jobs/{job_id}/cancel"))["status"] == "cancelled"
    assert events((await watching).text)[-1]["error"]["code"] == "job_cancelled"
    assert (await site.post(f"/v1/jobs/{job_id}/cancel")).status_code == 200
    done = (await site.post("/workflows/greet/run", json={"city": "x"})).headers["x-nanobot-job-id"]
    late = await site.post(f"/v1/jobs/{done}/cancel")
    await fits(site, late, "/v1/jobs/{job_id}/cancel")
    assert (late.status_code, error_of(late)["code"]) == (409, "job_conflict")

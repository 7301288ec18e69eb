"""A workflow that is asked as a model is: `workflow:<id>` in /v1/models and in chat completions."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from assistant.access.authenticator import Authenticator
from assistant.access.principals import Principal
from assistant.api.settings import ApiSettings
from assistant.testing.scripted import ScriptedModel
from assistant.workflows.models import WorkflowModels
from assistant.workflows.service import WorkflowService
from tests.flow.api_rig import Running, error_of, serving
from tests.flow.socket_client import talking

from .works import OWNER, Gate, Works

ECHO = """
inputs: {message: text, messages: {type: json, required: false}}
nodes: {a: {kind: template, text: "Hello {{ inputs.message }}"}}
outputs: {said: "{{ a.output }}", before: "{{ inputs.messages }}"}
"""
READ = """
inputs: {message: {required: false}, paper: file}
nodes: {a: {kind: template, text: "{{ inputs.paper.text }}"}}
outputs: {read: "{{ a.output }}"}
"""
ONE = 'inputs: {question: text}\nnodes: {a: {kind: prompt, prompt: "{{ inputs.question }}"}}\noutputs: {said: "{{ a.output }}"}\n'
WAITS = "nodes: {a: {kind: tool, tool: gate}}\noutputs: {a: '{{ a.output }}'}\n"
FAILS = "nodes: {a: {kind: message, to: nowhere, text: x}}\noutputs: {a: '{{ a.output }}'}\n"
IDS = ("echo", "read", "one", "waits", "fails")


@dataclass(frozen=True, slots=True)
class Site:
    api: Running
    models: WorkflowModels
    service: WorkflowService
    gate: Gate

    async def ask(self, workflow: str, text: str = "you", *before: dict[str, str], **fields: object) -> httpx2.Response:
        messages = [*before, {"role": "user", "content": text}]
        body = {"model": f"workflow:{workflow}", "messages": messages, **fields}
        return await self.api.client.post("/v1/chat/completions", json=body)

    async def states(self) -> list[str]:
        return [job.state for job in await self.service.list(OWNER)]


@pytest.fixture
def settings() -> ApiSettings:
    return ApiSettings()


@pytest.fixture
async def site(works: Works, settings: ApiSettings) -> AsyncGenerator[Site]:
    works.write(echo=ECHO, read=READ, one=ONE, waits=WAITS, fails=FAILS, hidden=ONE)
    gate = Gate()
    service = works.service(ScriptedModel("thought"), tools=[gate])
    models = WorkflowModels(service, IDS)
    async with serving(works.folder / "api", settings, workflows=service, workflow_models=models) as api:
        yield Site(api, models, service, gate)
        gate.open.set()
        await models.close()


def content(response: httpx2.Response) -> str:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def refused(response: httpx2.Response, status: int) -> dict[str, str | None]:
    assert response.status_code == status, response.text
    return error_of(response)


async def test_those_that_are_offered_are_listed_and_no_others(site: Site) -> None:
    listed = (await site.api.client.get("/v1/models")).json()["data"]
    assert [each["id"] for each in listed if each["id"].startswith("workflow:")] == [f"workflow:{name}" for name in IDS]
    assert (await site.api.client.get("/v1/models/workflow:echo")).json()["type"] == "workflow"
    assert refused(await site.ask("hidden"), 404)["code"] == "model_not_found"


async def test_the_last_message_is_the_input_and_the_only_output_is_the_answer(site: Site) -> None:
    response = await site.ask("one", "Why?", {"role": "system", "content": "Be brief."}, temperature=0.1)
    assert content(response) == "thought"
    assert response.json()["model"] == "workflow:one"
    assert await site.states() == ["completed"]


async def test_several_outputs_stand_under_their_names_and_the_conversation_is_there_for_who_takes_it(site: Site) -> None:
    before = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]
    said, told = content(await site.ask("echo", "you", *before)).split("\n\n")
    assert said == "said: Hello you"
    assert json.loads(told.removeprefix("before: ")) == [*before, {"role": "user", "content": "you"}]


async def test_files_of_the_last_message_are_its_files_and_none_stays_in_the_spool(site: Site) -> None:
    form: dict[str, Any] = {"data": {"message": "you", "model": "workflow:read"}, "files": [("files", ("a.txt", b"in the file"))]}
    response = await site.api.client.post("/v1/chat/completions", **form)
    assert content(response) == "in the file"
    form["data"]["model"] = "workflow:one"
    assert refused(await site.api.client.post("/v1/chat/completions", **form), 400)["param"] == "content"
    assert site.api.spooled == []


async def test_a_stream_ends_as_any_does(site: Site) -> None:
    lines = [line for line in (await site.ask("one", stream=True)).text.splitlines() if line.startswith("data: ")]
    chunks = [json.loads(line[6:]) for line in lines[:-1]]
    assert lines[-1] == "data: [DONE]"
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "thought"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_job_that_fails_is_an_error_that_no_client_repeats_by_itself(site: Site) -> None:
    response = await site.ask("fails")
    assert refused(response, 422)["code"] == "job_failed"
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(("field", "value"), [("n", 2), ("logprobs", True), ("tools", [{"type": "function", "function": {"name": "f"}}])])
async def test_what_only_a_model_has_is_refused(site: Site, field: str, value: Any) -> None:
    assert refused(await site.ask("one", **{field: value}), 400)["param"] == field
    assert await site.states() == []


async def test_the_last_message_must_be_the_users(site: Site) -> None:
    body = {"model": "workflow:one", "messages": [{"role": "assistant", "content": "x"}]}
    assert refused(await site.api.client.post("/v1/chat/completions", json=body), 400)["param"] == "messages"


async def _left(site: Site) -> None:
    """A client that asks, and goes away while the workflow runs."""
    asking = asyncio.create_task(site.ask("waits"))
    await site.gate.holds(1)
    asking.cancel()
    await asyncio.wait([asking])


async def test_a_client_that_goes_away_leaves_its_job_running(site: Site) -> None:
    await _left(site)
    site.gate.open.set()
    (job,) = await site.service.list(OWNER)
    assert await site.service.result(OWNER, job.id)


class TestCancelling:
    @pytest.fixture
    def settings(self) -> ApiSettings:
        return ApiSettings(on_disconnect="cancel")

    async def test_where_it_is_configured_so_the_job_goes_with_its_client(self, site: Site) -> None:
        await _left(site)
        (job,) = await site.service.list(OWNER)
        ended = [update async for batch in site.service.updates(OWNER, job.id) for update in batch][-1].job
        assert ended.state == "cancelled"


async def test_when_the_server_ends_who_waits_is_told_and_the_job_goes_on_later(site: Site) -> None:
    asking = asyncio.create_task(site.ask("waits"))
    await site.gate.holds(1)
    await site.service.close(grace=0)
    await site.models.close()
    error = refused(await asking, 503)
    (job,) = await site.service.list(OWNER)
    assert error["message"] == f"The server is shutting down; the job {job.id} goes on after its next start."
    assert job.state in ("queued", "running")


async def test_over_a_socket_it_is_told_how_a_workflow_is_named(site: Site) -> None:
    async with talking(site.api.port) as talk:
        error = await talk.refused({"role": "user", "content": "hi", "model": "workflow:one"})
        assert "workflow_id" in str(error["message"])


async def test_a_file_that_is_edited_into_disorder_is_said_with_its_line_to_who_asks(site: Site, works: Works) -> None:
    works.write(one="nodes: 5")
    assert "workflows/one.yaml, line 1: " in str(refused(await site.ask("one"), 400)["message"])


class _Limited:
    """Lets in keys of few scopes."""

    async def identify(self, authorization: bytes | None) -> Principal:
        return Principal(id="key:1", scopes=frozenset({"chat", "models"}))


async def test_a_key_without_the_scope_neither_sees_nor_runs_them(works: Works) -> None:
    works.write(one=ONE)
    service = works.service(ScriptedModel("thought"))
    authenticator = Authenticator(access=_Limited())
    async with serving(
        works.folder / "api", workflows=service, workflow_models=WorkflowModels(service, ["one"]), authenticator=authenticator
    ) as api:
        assert "workflow:one" not in (await api.client.get("/v1/models")).text
        body = {"model": "workflow:one", "messages": [{"role": "user", "content": "x"}]}
        assert refused(await api.client.post("/v1/chat/completions", json=body), 403)["code"] == "insufficient_scope"
    assert await service.list("key:1") == []

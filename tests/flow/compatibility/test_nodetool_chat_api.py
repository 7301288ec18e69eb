"""NodeTool's description of its chat API: HTTP and /chat, its snippets as they are printed, and what it says of them."""

import json
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.flow.socket_client import talking, types, words

from .house import House, opened
from .snippets import needs_curl, needs_packages, printed, run, snippet

DOCUMENT = "nodetool-chat-api"
TOKEN = "a-token-of-this-test"
MODELS = {"gpt-4": {"provider": "custom"}, "gpt-3.5-turbo": {"provider": "custom"}}
GREET = 'inputs: {message: text}\nnodes: {a: {kind: template, text: "Hello {{ inputs.message }}"}}\noutputs: {said: "{{ a.output }}"}\n'

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    home = tmp_path_factory.mktemp("home")
    folder = home / "workspace" / "workflows"
    folder.mkdir(parents=True)
    (folder / "greet.yaml").write_text(GREET)
    async with opened(home, config={"models": MODELS, "api": {"apiKey": TOKEN}}, key=TOKEN) as made:
        yield made


def port(house: House) -> int:
    return int(house.address.partition(":")[2])


async def test_the_request_body_is_answered_by_a_stream(house: House) -> None:
    answered = await house.http.post("/v1/chat/completions", json=json.loads(printed(DOCUMENT, "01-request.json")))
    assert answered.headers["content-type"].startswith("text/event-stream")
    assert answered.text.endswith("data: [DONE]\n\n")
    assert house.told() == [("user", "Hello, how are you?")]


async def test_the_python_client_prints_the_stream(house: House) -> None:
    said = await run(snippet(DOCUMENT, "02-openai.py", address=house.address, token=TOKEN), "02-openai.py")
    assert said.startswith("tok0 tok1 ")


@needs_curl
async def test_the_models_are_listed(house: House) -> None:
    listed = json.loads(await run(snippet(DOCUMENT, "03-models.sh", address=house.address, token=TOKEN), "03-models.sh"))
    assert [model["id"] for model in listed["data"]] == ["fake-model", "agent:main", "custom/fake-model", *MODELS]


@needs_packages
async def test_the_socket_example_prints_the_chunks(house: House) -> None:
    said = await run(snippet(DOCUMENT, "04-socket.mjs", address=house.address, token=TOKEN), "04-socket.mjs")
    assert said.startswith("tok0 tok1 ")
    assert house.told() == [("user", "Hello world")]
    (_, frames) = house.check()
    assert types(frames)[-2:] == ["chunk", "message"]


@needs_curl
async def test_without_the_token_it_is_401(house: House) -> None:
    refused = json.loads(await run(snippet(DOCUMENT, "03-models.sh", address=house.address, token="another"), "03-models.sh"))
    assert refused["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("binary", [True, False])
async def test_a_socket_opens_by_header_or_by_address_and_speaks_both_kinds_of_frames(house: House, binary: bool) -> None:
    for path, headers in (("/chat", {"authorization": f"Bearer {TOKEN}"}), (f"/chat?api_key={TOKEN}", {})):
        async with talking(port(house), binary=binary, path=path, additional_headers=headers) as talk:
            frames = await talk.ask("ECHO hello")
            assert words(frames) == frames[-1]["content"] == "hello"


async def test_a_socket_without_a_key_is_closed_with_its_reason(house: House) -> None:
    async with talking(port(house)) as talk:
        await talk.socket.wait_closed()
        assert (talk.socket.close_code, talk.socket.close_reason) == (1008, "Missing authentication")


async def test_tools_are_told_of_as_they_start_and_end(house: House) -> None:
    async with talking(port(house), path=f"/chat?api_key={TOKEN}") as talk:
        frames = await talk.ask("CALLTOOL list_attachments {}", model="agent:main", thread_id="tools")
        assert types(frames) == ["tool_call", "tool_result", "chunk", "message"]
        call, result = frames[0], frames[1]
        assert (call["name"], call["args"], call["tool_call_id"]) == ("list_attachments", {}, result["tool_call_id"])


async def test_a_workflow_is_run_with_its_updates(house: House) -> None:
    async with talking(port(house), path=f"/chat?api_key={TOKEN}") as talk:
        frames = await talk.ask("you", workflow_id="greet")
        assert types(frames) == ["job_update", "node_update", "output_update", "job_update", "chunk", "message"]
        assert [frame["status"] for frame in frames if frame["type"] == "job_update"][-1] == "completed"
        assert frames[-1]["content"] == "Hello you"


async def test_an_error_is_a_frame_and_the_socket_stays(house: House) -> None:
    async with talking(port(house), path=f"/chat?api_key={TOKEN}", binary=False) as talk:
        assert (await talk.refused({"role": "user", "content": "hi", "model": "unheard-of"}))["error_type"] == "model_not_found"
        assert (await talk.refused({"role": "user", "content": "hi", "workflow_id": "nowhere"}))["message"] == "Workflow nowhere not found"
        assert words(await talk.ask("ECHO still here")) == "still here"

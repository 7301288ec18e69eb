"""nanobot's own description of its API: its calls as they are printed, and what it says of them."""

import base64
import json
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from .house import House, opened
from .papers import PAPERS, PICTURES, WORDS, made
from .snippets import FILES, needs_curl, printed, run, snippet

DOCUMENT = "nanobot-openai-api"
CUT_SHORT = "iVBOR..."
"""The document's placeholder for a picture's base64."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    async with opened(tmp_path_factory.mktemp("home")) as opening:
        yield opening


async def answer(house: House, name: str, *, picture: str = "") -> Any:
    """The JSON that a call is answered with."""
    text = snippet(DOCUMENT, name, address=house.address, models={CUT_SHORT: picture} if picture else None)
    return json.loads(await run(text, name))


def content(reply: Any) -> str:
    assert "error" not in reply, reply
    return reply["choices"][0]["message"]["content"]


@needs_curl
async def test_the_plain_call_is_answered_in_its_session(house: House) -> None:
    assert content(await answer(house, "02-curl.sh"))
    assert house.told()[-1] == ("user", "hi")
    kept = (await house.http.get("/v1/sessions/my-session")).json()["data"]
    assert [message["role"] for message in kept[-2:]] == ["user", "assistant"]


@needs_curl
async def test_the_picture_that_the_document_cuts_short_is_refused_by_its_place(house: House) -> None:
    error = (await answer(house, "03-image.sh"))["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "messages.0.content.1.image_url.url")


@needs_curl
async def test_the_same_call_with_a_whole_picture_shows_it_to_the_model(house: House) -> None:
    picture = base64.b64encode((FILES / "chart.png").read_bytes()).decode()
    assert content(await answer(house, "03-image.sh", picture=picture))
    parts = house.told()[-1][1]
    assert "image_url" in [part["type"] for part in parts]


@needs_curl
async def test_the_upload_of_one_file_is_read(house: House) -> None:
    assert content(await answer(house, "04-one-file.sh"))
    assert "Workshop report" in json.dumps(house.told()[-1])


@needs_curl
async def test_the_upload_of_several_files_is_read(house: House) -> None:
    assert content(await answer(house, "05-several-files.sh"))
    told = json.dumps(house.told()[-1])
    assert "data:image/png" in told
    assert "Costs" in told


@pytest.mark.parametrize("name", ["06-requests.py", "07-openai.py"])
async def test_the_python_programs_print_the_answer(house: House, name: str) -> None:
    models = {"MiniMax-M2.7": "fake-model"} if name == "07-openai.py" else None
    said = await run(snippet(DOCUMENT, name, address=house.address, models=models), name)
    assert re.fullmatch(r"(tok\d+ )+\n", said)


async def test_sessions_are_apart_and_without_one_it_is_the_shared_one(house: House) -> None:
    async def told_after(text: str, **session: str) -> list[tuple[str, Any]]:
        body = {"messages": [{"role": "user", "content": text}], **session}
        assert (await house.http.post("/v1/chat/completions", json=body)).status_code == 200
        return house.told()

    assert await told_after("ECHO one", session_id="a") == [("user", "ECHO one")]
    assert await told_after("ECHO two", session_id="b") == [("user", "ECHO two")]
    await told_after("ECHO three")
    assert (await told_after("ECHO four"))[-3:] == [("user", "ECHO three"), ("assistant", "three"), ("user", "ECHO four")]
    listed = [session["id"] for session in (await house.http.get("/v1/sessions")).json()["data"]]
    assert {"a", "b", "default"} <= set(listed)


async def test_more_than_one_user_message_is_refused_in_words(house: House) -> None:
    body = {"messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]}
    refused = await house.http.post("/v1/chat/completions", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages.0.role")
    assert "session" in refused.json()["error"]["message"]


async def test_the_model_may_be_left_out_or_be_the_one_that_is_listed_and_no_other(house: House) -> None:
    listed = (await house.http.get("/v1/models")).json()["data"][0]["id"]
    for model, status in (({}, 200), ({"model": listed}, 200), ({"model": "MiniMax-M2.7"}, 404)):
        answered = await house.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}], **model})
        assert answered.status_code == status
    assert answered.json()["error"]["code"] == "model_not_found"


async def test_a_stream_is_of_chunks_and_ends_with_done(house: House) -> None:
    body = {"messages": [{"role": "user", "content": "ECHO good day"}], "stream": True}
    answered = await house.http.post("/v1/chat/completions", json=body)
    assert answered.headers["content-type"].startswith("text/event-stream")
    ([exchange], _) = house.check()
    *chunks, last = exchange.events
    assert last == "[DONE]"
    assert "".join(json.loads(chunk)["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "good day"


async def test_without_stream_or_with_false_there_is_one_answer(house: House) -> None:
    for stream in ({}, {"stream": False}):
        answered = await house.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}], **stream})
        assert answered.json()["object"] == "chat.completion"


async def test_the_tool_call_of_the_document_is_queued_and_said_to_go_nowhere_while_its_channel_is_off(house: House) -> None:
    call = json.loads(printed(DOCUMENT, "01-message-call.json"))
    words = f"CALLTOOL message {json.dumps(call)}"
    body = {"messages": [{"role": "user", "content": words}], "session_id": "builds"}
    assert content((await house.http.post("/v1/chat/completions", json=body)).json()) == "done"
    role, told = house.told()[-1]
    assert role == "tool"
    assert "telegram channel is not enabled" in told
    [queued] = (await house.http.get("/v1/deliveries")).json()["data"]
    assert (queued["state"], queued["channel"], queued["chat_id"]) == ("queued", "telegram", "123456789")


@pytest.mark.parametrize("way", ["base64", "multipart"])
async def test_files_of_every_type_reach_the_model(house: House, way: str) -> None:
    files = {name: made(name) for name in (*PICTURES, *PAPERS)}
    if way == "multipart":
        form = {"message": "Look", "session_id": way}
        answered = await house.http.post("/v1/chat/completions", data=form, files=[("files", file) for file in files.items()])
    else:
        content = [{"type": "text", "text": "Look"}, *[part(name, data) for name, data in files.items()]]
        body = {"messages": [{"role": "user", "content": content}], "session_id": way}
        answered = await house.http.post("/v1/chat/completions", json=body)
    assert answered.status_code == 200, answered.text
    told = house.told()[-1][1]
    assert [each["type"] for each in told].count("image_url") == len(PICTURES)
    words = "".join(each["text"] for each in told if each["type"] == "text")
    assert words.count(WORDS) == len(PAPERS)
    assert all(name in words for name in PAPERS)


def part(name: str, data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    if name in PICTURES:
        kind = name.rpartition(".")[2].replace("jpg", "jpeg")
        return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{encoded}"}}
    return {"type": "file", "file": {"filename": name, "file_data": encoded}}


async def test_health_needs_nothing(house: House) -> None:
    assert (await house.http.get("/health")).json()["status"] == "ok"

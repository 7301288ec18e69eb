"""Requests as multipart/form-data: fields, files, and what they are called."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest
import requests

from assistant.contracts.turns import Upload, UserText

from .api_rig import Running, error_of, form_part, serving, uploads

PATH = "/v1/chat/completions"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path) as running:
        yield running


async def test_a_form_is_answered(api: Running) -> None:
    data = os.urandom(300_000)
    response = await api.client.post(
        PATH,
        data={"message": "Compare", "session_id": "mine", "model": "gpt-test", "stream": "no", "temperature": "0.5", "max_tokens": "9"},
        files=[("files", ("a.png", data)), ("file", ("b.txt", b"b")), ("files[]", ("c.csv", b"c"))],
    )
    assert response.status_code == 200
    request = api.turns.only
    assert request.session == "api:mine"
    assert request.content[0] == UserText(text="Compare")
    assert [upload.name for upload in uploads(api)] == ["a.png", "b.txt", "c.csv"]
    assert api.turns.files == [data, b"b", b"c"]
    assert uploads(api)[0].digest == hashlib.sha256(data).hexdigest()
    assert (request.sampling.temperature, request.sampling.max_tokens) == (0.5, 9)


async def test_requests_sends_a_form_as_the_documentation_shows(api: Running) -> None:
    def post() -> requests.Response:
        return requests.post(
            f"http://127.0.0.1:{api.port}{PATH}", data={"message": "hi"}, files={"files": ("Übersicht.txt", b"text")}, timeout=10
        )

    response = await asyncio.to_thread(post)
    assert response.status_code == 200
    assert [upload.name for upload in uploads(api)] == ["Übersicht.txt"]


async def test_files_need_no_words(api: Running) -> None:
    response = await api.client.post(PATH, files={"files": ("a.txt", b"text")})
    assert response.status_code == 200
    assert [type(part) for part in api.turns.only.content] == [Upload]


@pytest.mark.parametrize(("word", "streams"), [("true", True), ("1", True), ("YES", True), ("on", True), ("0", False), ("off", False)])
async def test_the_words_for_stream_are_understood(api: Running, word: str, streams: bool) -> None:
    assert (await api.client.post(PATH, data={"message": "hi", "stream": word}, files={"files": ("a", b"a")})).status_code == 200
    assert api.turns.only.stream is streams


WRONG_FORMS: list[tuple[str, dict[str, str], dict[str, tuple[str, bytes]]]] = [
    ("stream", {"message": "hi", "stream": "maybe"}, {}),
    ("temperature", {"message": "hi", "temperature": "warm"}, {}),
    ("temperature", {"message": "hi", "temperature": "nan"}, {}),
    ("max_tokens", {"message": "hi", "max_tokens": "1_0"}, {}),
    ("session_id", {"message": "hi", "session_id": "x" * 300}, {}),
    ("n", {"message": "hi", "n": "2"}, {}),
    ("message", {"message": ""}, {}),
    ("message", {"session_id": "mine"}, {}),
    ("files", {"message": "hi", "files": "not a file"}, {}),
    ("picture", {"message": "hi"}, {"picture": ("a.png", b"a")}),
    ("message", {}, {"message": ("a.txt", b"a")}),
]


@pytest.mark.parametrize(("param", "fields", "files"), WRONG_FORMS)
async def test_a_form_that_is_wrong_is_400_with_the_field(
    api: Running, param: str, fields: dict[str, str], files: dict[str, tuple[str, bytes]]
) -> None:
    response = await api.client.post(PATH, files={**{k: (None, v.encode()) for k, v in fields.items()}, **files})
    assert response.status_code == 400
    assert error_of(response)["param"] == param
    assert api.turns.requests == []
    assert api.spooled == []


async def send_form(
    api: Running, *parts: bytes, end: bytes = b"--B--\r\n", content_type: str = "multipart/form-data; boundary=B"
) -> httpx2.Response:
    return await api.client.post(PATH, content=b"".join(parts) + end, headers={"content-type": content_type})


NAMES = [
    ('filename="../../etc/passwd"', "passwd"),
    (r'filename="C:\\Users\\me\\a.txt"', "a.txt"),
    ('filename="a\u202etxt.exe"', "atxt.exe"),
    ("filename*=UTF-8''%E2%82%AC%00.txt", "€.txt"),
    ("filename=\"old.txt\"; filename*=UTF-8''n%C3%A9w.txt", "néw.txt"),
    ('filename=".."', "file-1"),
    (f'filename="{"n" * 400}.docx"', "n" * 250 + ".docx"),
]


@pytest.mark.parametrize(("disposition", "shown"), NAMES)
async def test_a_name_is_shown_safely(api: Running, disposition: str, shown: str) -> None:
    response = await send_form(api, form_part('name="files"; ' + disposition))
    assert response.status_code == 200
    assert uploads(api)[0].name == shown


async def test_an_empty_file_input_of_a_browser_is_no_file(api: Running) -> None:
    response = await send_form(api, form_part('name="message"', b"hi"), form_part('name="files"; filename=""', b""))
    assert response.status_code == 200
    assert uploads(api) == []
    assert api.spooled == []


async def test_a_field_sent_twice_is_400(api: Running) -> None:
    response = await send_form(api, form_part('name="message"', b"a"), form_part('name="message"', b"b"))
    assert response.status_code == 400
    assert error_of(response)["param"] == "message"


async def test_a_form_that_is_cut_off_or_malformed_is_400(api: Running) -> None:
    file = form_part('name="files"; filename="a.txt"')
    assert (await send_form(api, form_part('name="message"', b"look"), file, end=b"")).status_code == 400
    assert (await send_form(api, file, content_type="multipart/form-data")).status_code == 400
    assert (await send_form(api, b"no boundary here")).status_code == 400
    assert (await send_form(api, form_part("filename=nameless"))).status_code == 400
    assert (await send_form(api, form_part('name="message"', b"\xff"))).status_code == 400
    assert api.turns.requests == []
    assert api.spooled == []


async def test_twenty_one_files_in_a_form_are_400(api: Running) -> None:
    response = await api.client.post(PATH, files=[("files", (f"{n}.txt", b"x")) for n in range(21)])
    assert response.status_code == 400
    assert api.spooled == []

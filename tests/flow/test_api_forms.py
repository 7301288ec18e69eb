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
            f"http://127.0.0.1:{api.port}{PATH}", data={"message": "hi"}, files={"files": ("Übersicht.txt", b"text")}, timeout=30
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
    ("files[0]", {"message": "hi", "files[0]": "not a file"}, {}),
    ("image", {"message": "hi", "image": "data:image/png;base64,AAAA"}, {}),
    ("portrait", {"message": "hi"}, {"portrait": ("a.png", b"a")}),
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
    ("filename*=ISO-8859-1''r%E9sum%E9.txt", "résumé.txt"),
    ('filename*0="long"; filename*1="name.txt"', "longname.txt"),
    ("filename*0*=UTF-8''r%C3%A9; filename*1*=sum%C3%A9.txt", "résumé.txt"),
    ('filename="say %22hi%22.txt"', 'say "hi".txt'),
    ('filename="a%0D%0Ab.txt"', "ab.txt"),
    ("filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
    (f'filename="{"n" * 400}.docx"', "n" * 250 + ".docx"),
]


@pytest.mark.parametrize(("disposition", "shown"), NAMES)
async def test_a_name_is_shown_safely(api: Running, disposition: str, shown: str) -> None:
    response = await send_form(api, form_part('name="files"; ' + disposition))
    assert response.status_code == 200
    assert uploads(api)[0].name == shown


@pytest.mark.parametrize(
    "field",
    [
        "files[0]",
        "files[]",
        "file",
        "image",
        "images",
        "document",
        "documents[]",
        "attachment",
        "photo_1",
        "Image",
        "upload",
        "file.2",
        "pdf",
    ],
)
async def test_a_field_that_says_that_it_holds_a_file_does(api: Running, field: str) -> None:
    response = await api.client.post(PATH, data={"message": "hi"}, files={field: ("a.txt", b"text")})
    assert response.status_code == 200, response.text
    assert [(upload.name, upload.param) for upload in uploads(api)] == [("a.txt", "files.0")]


@pytest.mark.parametrize(
    "tail", ["1" * 90 + "x", "[1]" * 30 + "x", "-1" * 45 + "x", "[" * 90, "[1" * 45, "[]" * 45 + "[", "1." * 45, "_" * 90]
)
@pytest.mark.parametrize("begin", ["file", "files", "image", "photos"])
async def test_a_long_name_that_is_nearly_one_of_files_is_refused_at_once(api: Running, begin: str, tail: str) -> None:
    response = await api.client.post(PATH, data={"message": "hi"}, files={begin + tail: ("a.txt", b"text")})
    assert (response.status_code, error_of(response)["param"]) == (400, (begin + tail)[:100])


async def test_files_in_a_list_as_axios_writes_it_stay_in_order(api: Running) -> None:
    files = [(f"files[{n}]", (f"{n}.txt", b"text")) for n in range(3)]
    assert (await api.client.post(PATH, data={"message": "hi"}, files=files)).status_code == 200
    assert [upload.name for upload in uploads(api)] == ["0.txt", "1.txt", "2.txt"]


async def test_an_empty_text_in_place_of_a_picture_is_nothing(api: Running) -> None:
    response = await api.client.post(PATH, files={"message": (None, b"hi"), "image": (None, b"")})
    assert response.status_code == 200
    assert uploads(api) == []


PREAMBLES = [
    b"", b"\r\n", b"\n", b"\r\n\r\n", b"This is a multi-part message in MIME format.\r\n", b"one\r\ntwo\r\n\r\n", b"--\r\n", b"--Bx\r\n",
    b"not --B\r\n", b"x" * 60_000 + b"\r\n", b"ends in a line feed\n", "\ufeff\r\n".encode(),
]  # fmt: skip


@pytest.mark.parametrize("preamble", PREAMBLES, ids=lambda preamble: repr(preamble[:20]))
@pytest.mark.parametrize("pieces", [1, 7, 500])
async def test_what_comes_before_the_first_boundary_is_ignored(api: Running, preamble: bytes, pieces: int) -> None:
    body = preamble + form_part('name="message"', b"hi") + form_part('name="files"; filename="a.txt"', b"text") + b"--B--\r\nepilogue"
    size = len(body) // pieces + 1 if pieces > 1 else len(body)

    async def sent() -> AsyncGenerator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    response = await api.client.post(PATH, content=sent(), headers={"content-type": "multipart/form-data; boundary=B"})
    assert response.status_code == 200, response.text
    assert (api.turns.only.content[0], api.turns.files) == (UserText(text="hi"), [b"text"])


async def test_a_body_without_its_boundary_is_400_before_it_is_read_whole(api: Running) -> None:
    for body in (b"x" * 5_000_000, b"--C\r\n" * 100, b"B" * 100):
        response = await send_form(api, body, end=b"")
        assert response.status_code == 400
    assert api.turns.requests == []


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

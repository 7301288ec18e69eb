"""Files in requests, as base64 and as multipart: what arrives, what is refused, and when."""

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import httpx2
import pytest
import requests

from assistant.api.settings import ApiSettings
from assistant.contracts.errors import SessionBusy
from assistant.contracts.turns import Upload, Words

from .api_rig import Running, error_of, serving

MIB = 1024 * 1024
PATH = "/v1/chat/completions"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path) as running:
        yield running


def uploads(api: Running) -> list[Upload]:
    return [part for part in api.turns.only.content if isinstance(part, Upload)]


def encoded(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


async def test_files_in_json_arrive_whole_and_in_order(api: Running) -> None:
    data = os.urandom(700_001)
    content = [
        {"type": "text", "text": "before"},
        {"type": "image_url", "image_url": {"url": encoded(data), "detail": "high"}},
        {"type": "text", "text": "between"},
        {"type": "file", "file": {"filename": "r.pdf", "file_data": base64.b64encode(data[:50]).decode()}},
        {"type": "file", "file": {"file_data": encoded(b"", "application/pdf")}},
    ]
    response = await api.chat(content)
    assert response.status_code == 200
    assert api.turns.files == [data, data[:50], b""]
    kinds = [part.text if isinstance(part, Words) else part.name for part in api.turns.only.content]
    assert kinds == ["before", "image-2.png", "between", "r.pdf", "file-5.pdf"]
    first = uploads(api)[0]
    assert (first.size, first.digest) == (len(data), hashlib.sha256(data).hexdigest())
    assert first.param == "messages.0.content.1.image_url.url"


async def test_base64_broken_into_lines_is_read(api: Running) -> None:
    data = os.urandom(300_000)
    lines = base64.encodebytes(data).decode()
    await api.chat([{"type": "file", "file": {"filename": "a", "file_data": lines}}])
    assert api.turns.files == [data]


async def test_a_file_of_exactly_the_limit_is_taken_and_a_byte_more_is_413(api: Running) -> None:
    data = bytes(10 * MIB)
    assert (await api.chat([{"type": "file", "file": {"filename": "a.bin", "file_data": encoded(data)}}])).status_code == 200
    response = await api.chat([{"type": "file", "file": {"filename": "a.bin", "file_data": encoded(data + b"x")}}])
    assert response.status_code == 413
    assert error_of(response)["code"] == "file_too_large"
    assert error_of(response)["param"] == "messages.0.content.0.file.file_data"
    assert api.spooled == []


async def test_twenty_one_files_in_json_are_400(api: Running) -> None:
    response = await api.chat([{"type": "image_url", "image_url": {"url": encoded(b"x")}}] * 21)
    assert response.status_code == 400
    assert error_of(response)["param"] == "messages.0.content.20.image_url.url"
    assert api.spooled == []


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
    assert request.content[0] == Words(text="Compare")
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


def part(disposition: str, data: bytes = b"data") -> bytes:
    return b"--B\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + data + b"\r\n"


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
    response = await send_form(api, part('name="files"; ' + disposition))
    assert response.status_code == 200
    assert uploads(api)[0].name == shown


async def test_an_empty_file_input_of_a_browser_is_no_file(api: Running) -> None:
    response = await send_form(api, part('name="message"', b"hi"), part('name="files"; filename=""', b""))
    assert response.status_code == 200
    assert uploads(api) == []
    assert api.spooled == []


async def test_a_field_sent_twice_is_400(api: Running) -> None:
    response = await send_form(api, part('name="message"', b"a"), part('name="message"', b"b"))
    assert response.status_code == 400
    assert error_of(response)["param"] == "message"


async def test_a_form_that_is_cut_off_or_malformed_is_400(api: Running) -> None:
    file = part('name="files"; filename="a.txt"')
    assert (await send_form(api, part('name="message"', b"look"), file, end=b"")).status_code == 400
    assert (await send_form(api, file, content_type="multipart/form-data")).status_code == 400
    assert (await send_form(api, b"no boundary here")).status_code == 400
    assert (await send_form(api, part("filename=nameless"))).status_code == 400
    assert (await send_form(api, part('name="message"', b"\xff"))).status_code == 400
    assert api.turns.requests == []
    assert api.spooled == []


async def test_twenty_one_files_in_a_form_are_400(api: Running) -> None:
    response = await api.client.post(PATH, files=[("files", (f"{n}.txt", b"x")) for n in range(21)])
    assert response.status_code == 400
    assert api.spooled == []


async def test_the_limit_of_all_files_together_holds(tmp_path: Path) -> None:
    settings = ApiSettings.model_validate({"limits": {"fileBytes": MIB, "requestBytes": 2 * MIB}})
    async with serving(tmp_path, settings) as api:
        files = [("files", (f"{n}.bin", bytes(MIB * 3 // 4))) for n in range(3)]
        response = await api.client.post(PATH, files=files)
        assert response.status_code == 413
        assert error_of(response)["code"] == "request_too_large"
        assert api.spooled == []


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """The status line of the answer, while the request is still being sent."""
    async with asyncio.timeout(5):
        return await reader.readline()


async def chunks(writer: asyncio.StreamWriter, pieces: AsyncIterator[bytes]) -> None:
    async for piece in pieces:
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()


async def endless(first: bytes, size: int) -> AsyncIterator[bytes]:
    """A body that goes `size` bytes beyond its beginning and does not end."""
    yield first
    for _ in range(size // 65536 + 1):
        yield bytes(65536)


@pytest.mark.parametrize(
    ("content_type", "first", "size"),
    [
        ("application/json", b'{"messages":"', 25 * MIB),
        ("multipart/form-data; boundary=B", part('name="files"; filename="a.bin"', b"")[:-2], 10 * MIB),
        ("multipart/form-data; boundary=B", part('name="message"', b"")[:-2], MIB),
    ],
)
async def test_what_is_too_large_is_refused_while_it_streams_in(api: Running, content_type: str, first: bytes, size: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode())
    await chunks(writer, endless(first, size))
    assert b" 413 " in await read_answer(reader)  # the body has not ended, and never will
    assert api.spooled == []
    writer.close()
    await writer.wait_closed()


async def test_a_length_beyond_the_limit_is_refused_before_the_body_comes(api: Running) -> None:
    for content_type in ("application/json", "multipart/form-data; boundary=B"):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {52 * MIB}\r\n"
        writer.write(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert b" 413 " in await read_answer(reader)
        writer.close()
        await writer.wait_closed()


async def test_files_of_a_refused_turn_are_removed(api: Running) -> None:
    api.turns.refusal = SessionBusy()
    assert (await api.client.post(PATH, files={"files": ("a.txt", b"text")})).status_code == 409
    assert api.spooled == []


async def test_spooled_files_are_the_servers_alone(api: Running) -> None:
    assert api.spool.stat().st_mode & 0o777 == 0o700


async def test_files_of_a_client_that_hung_up_in_the_middle_are_removed(api: Running) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 100000\r\n\r\n"
    writer.write(head.encode() + part('name="files"; filename="a.txt"', bytes(1000)))
    async with asyncio.timeout(5):
        while not api.spooled:  # noqa: ASYNC110 - the file is made on the other side of a socket
            await asyncio.sleep(0.005)
        writer.transport.abort()
        while api.spooled:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert api.turns.requests == []


async def test_other_requests_do_not_wait_while_a_large_file_is_decoded(api: Running) -> None:
    loop = asyncio.get_running_loop()
    file = {"filename": "a.bin", "file_data": encoded(os.urandom(10 * MIB))}
    body = json.dumps({"messages": [{"role": "user", "content": [{"type": "file", "file": file}]}]}).encode()
    upload = asyncio.create_task(api.client.post(PATH, content=body, headers={"content-type": "application/json"}))
    longest = 0.0
    while not upload.done():
        began = loop.time()
        assert (await api.client.get("/health")).status_code == 200
        longest = max(longest, loop.time() - began)
    assert (await upload).status_code == 200
    assert longest < 0.25  # generous: client and server share this process and its core

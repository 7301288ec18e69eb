"""Files in requests: what arrives, what is refused, and when."""

import asyncio
import base64
import hashlib
import json
import os
import resource
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from assistant.api.settings import ApiSettings
from assistant.contracts.errors import SessionBusy
from assistant.contracts.turns import UserText

from .api_rig import Running, error_of, form_part, serving, uploads

MIB = 1024 * 1024
PATH = "/v1/chat/completions"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path) as running:
        yield running


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
    kinds = [part.text if isinstance(part, UserText) else part.name for part in api.turns.only.content]
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


async def test_base64_is_measured_before_it_is_decoded(api: Running) -> None:
    response = await api.chat([{"type": "file", "file": {"filename": "a.bin", "file_data": "!" * (15 * MIB)}}])
    assert response.status_code == 413  # decoding it would have found that it is none


async def test_twenty_one_files_in_json_are_400(api: Running) -> None:
    response = await api.chat([{"type": "image_url", "image_url": {"url": encoded(b"x")}}] * 21)
    assert response.status_code == 400
    assert error_of(response)["param"] == "messages.0.content.20.image_url.url"
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
    async with asyncio.timeout(30):
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
        ("multipart/form-data; boundary=B", form_part('name="files"; filename="a.bin"', b"")[:-2], 10 * MIB),
        ("multipart/form-data; boundary=B", form_part('name="message"', b"")[:-2], MIB),
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


async def test_what_a_dead_process_left_in_the_spool_is_removed_at_the_next_start(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o755)
    for name in ("up_old", "up_young", "other"):
        (spool / name).write_bytes(b"x")
    (spool / "up_folder").mkdir()  # not ours, whatever it is called
    for name, age in (("up_old", 7200), ("up_young", 60), ("other", 7200), ("up_folder", 7200)):
        os.utime(spool / name, (time.time() - age, time.time() - age))
    async with serving(tmp_path) as api:
        assert sorted(path.name for path in api.spooled) == ["other", "up_folder", "up_young"]
        assert spool.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("form", [True, False])
async def test_a_disk_that_takes_no_file_is_503_and_the_next_one_is_read(api: Running, form: bool) -> None:
    async def send() -> httpx2.Response:
        if form:
            return await api.client.post(PATH, files={"files": ("a.txt", bytes(500_000))})
        return await api.chat([{"type": "file", "file": {"file_data": encoded(bytes(500_000))}}])

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        response = await send()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert response.status_code == 503
    assert error_of(response)["code"] == "store_unavailable"
    assert api.spooled == []
    assert (await send()).status_code == 200


async def test_files_of_a_client_that_hung_up_in_the_middle_are_removed(api: Running) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 100000\r\n\r\n"
    writer.write(head.encode() + form_part('name="files"; filename="a.txt"', bytes(1000)))
    async with asyncio.timeout(30):
        while not api.spooled:  # noqa: ASYNC110 - the file is made on the other side of a socket
            await asyncio.sleep(0.005)
        writer.transport.abort()
        while api.spooled:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert api.turns.requests == []


async def test_other_requests_are_answered_while_a_large_file_is_decoded(api: Running) -> None:
    size = 10 * MIB
    file = {"filename": "a.bin", "file_data": encoded(os.urandom(size))}
    body = json.dumps({"messages": [{"role": "user", "content": [{"type": "file", "file": file}]}]}).encode()
    answered = 0
    for _ in range(20):  # on a busy machine all of it may be decoded between two requests
        upload = asyncio.create_task(api.client.post(PATH, content=body, headers={"content-type": "application/json"}))
        while not upload.done():
            assert (await api.client.get("/health")).status_code == 200
            with suppress(FileNotFoundError):  # it was whole, and read
                answered += any(0 < os.path.getsize(path) < size for path in api.spooled)  # noqa: ASYNC240 - as the loop sees it
        assert (await upload).status_code == 200
        if answered:
            break
    assert answered

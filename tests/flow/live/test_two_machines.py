"""Two servers on two machines (each with a state folder of its own) and one PostgreSQL: what one was given, the other has."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from assistant.contracts.documents import ReadDocument
from assistant.contracts.turns import Upload
from assistant.store.database import StoreSettings
from assistant.store.store import open_store
from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer
from tests.doubles.s3_server import S3Server
from tests.doubles.telegram_api.server import TelegramServer
from tests.postgres import passing_database

LARGE = bytes(range(256)) * 12_000


@dataclass(frozen=True, slots=True)
class Replicas:
    """Clients of two servers; the second one has the channel."""

    one: httpx2.AsyncClient
    two: httpx2.AsyncClient
    model: ModelServer
    telegram: TelegramServer
    before: str
    """A file that the first one kept in its folder, before it was upgraded."""


def earlier(home: Path) -> Upload:
    home.mkdir()
    path = home / "earlier.bin"
    path.write_bytes(LARGE)
    return Upload(name=path.name, path=path, size=len(LARGE), digest=sha256(LARGE).hexdigest())


async def keep_in_the_folder(url: str, home: Path) -> str:
    store = await open_store(StoreSettings(url=url, files="folder"), home)
    kept = await store.files.keep("local", earlier(home), ReadDocument(format="text", text="Earlier"), "user_data")
    await store.close()
    return kept.id


@pytest.fixture(params=["database", "s3"])
async def replicas(request: pytest.FixtureRequest, postgres_server: str, tmp_path: Path) -> AsyncGenerator[Replicas]:
    async with AsyncExitStack() as stack:
        url = stack.enter_context(passing_database(postgres_server))
        model = await stack.enter_async_context(ModelServer())
        telegram = await stack.enter_async_context(TelegramServer())
        s3 = await stack.enter_async_context(S3Server())
        where = {"files": "s3", "s3": s3.config} if request.param == "s3" else {}
        config = {**with_model(model.url), "store": {"url": url, **where}}
        channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["123456789"]}
        homes = (tmp_path / "one", tmp_path / "two")
        before = await keep_in_the_folder(url, homes[0])
        clients: list[httpx2.AsyncClient] = []
        for home, more in zip(homes, ({}, {"channels": {"telegram": channel}}), strict=True):
            server = stack.enter_context(live_server(home, config={**config, **more}))
            clients.append(await stack.enter_async_context(httpx2.AsyncClient(base_url=server.url, timeout=30)))
        yield Replicas(clients[0], clients[1], model, telegram, before)


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "PNG")
    return file.getvalue()


async def ask(client: httpx2.AsyncClient, text: str) -> str:
    answer = await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": text}], "session_id": "s"})
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


async def test_files_of_one_are_read_asked_about_sent_and_deleted_by_the_other(replicas: Replicas) -> None:
    one, two = replicas.one, replicas.two
    # An upload.
    text = {"file": ("costs.txt", b"Apples cost 3 a kilo. " * 2_000, "text/plain")}
    file = (await one.post("/v1/files", files=text, data={"purpose": "user_data"})).json()["id"]
    content = await two.get(f"/v1/files/{file}/content")
    assert (content.status_code, content.content) == (200, text["file"][1])
    by_id = {"role": "user", "content": [{"type": "text", "text": "what is in it"}, {"type": "file", "file": {"file_id": file}}]}
    assert (await two.post("/v1/chat/completions", json={"messages": [by_id], "session_id": "by-id"})).status_code == 200
    assert "Apples cost 3 a kilo" in replicas.model.bodies[-1].decode()
    # Attachments of a session: a picture that the model sees again, a long text that is read by a tool.
    sent = [("files", ("long.txt", ("Pears cost 4. " * 40_000).encode() + b"The end is plums.")), ("files", ("red.png", picture()))]
    assert (await one.post("/v1/chat/completions", data={"message": "keep these", "session_id": "s"}, files=sent)).status_code == 200
    seen = [each["image_url"]["url"] for each in pictures(replicas.model.bodies[-1])]
    await ask(two, "what colour is it")
    assert [each["image_url"]["url"] for each in pictures(replicas.model.bodies[-1])] == seen != []
    listed = [each for message in (await two.get("/v1/sessions/s")).json()["data"] for each in message["attachments"]]
    (attachment,) = [each["id"] for each in listed if each["name"] == "long.txt"]
    await ask(two, f'CALLTOOL read_attachment {{"id": "{attachment}", "offset": 560000}}')
    assert "The end is plums." in replicas.model.bodies[-1].decode()
    # An event with a file, accepted by the one without the channel.
    event = {"channel": "telegram", "chat_id": "123456789", "text": "the plan"}
    accepted = await one.post("/v1/deliveries", data=event, files=[("files", ("plan.bin", LARGE))])
    assert accepted.status_code in (200, 202), accepted.text
    await replicas.telegram.until(lambda: bool(replicas.telegram.ledger))
    (posted,) = replicas.telegram.ledger
    assert [(each.name, each.data) for each in posted.files] == [("plan.bin", LARGE)]
    # What one had in its folder before an upgrade is carried over behind its first sweep.
    assert await carried_over(two, replicas.before) == LARGE
    # Deleted by the one, it is gone for the other.
    assert (await two.delete(f"/v1/files/{file}")).json()["deleted"]
    assert (await one.get(f"/v1/files/{file}/content")).status_code == 404


def pictures(body: bytes) -> list[dict[str, dict[str, str]]]:
    """Those that the model was sent."""
    messages = json.loads(body)["messages"]
    return [
        each for message in messages if isinstance(message["content"], list) for each in message["content"] if each["type"] == "image_url"
    ]


async def carried_over(client: httpx2.AsyncClient, file: str) -> bytes:
    for _ in range(500):
        found = await client.get(f"/v1/files/{file}/content")
        if found.status_code == 200:
            return found.content
        assert found.status_code == 404
        await asyncio.sleep(0.02)
    raise AssertionError("it is not carried over")

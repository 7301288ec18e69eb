"""Files through the doors: the API without a model and with one, Telegram, files that go out and pictures that come in."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from tests.documents.making import pdf, show
from tests.doubles.live_server import live_server, offline, with_model
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TelegramServer


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as model:
        yield model


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as telegram:
        yield telegram


async def ask(url: str, text: str) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": text}], "session_id": "s"}
    async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
        response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def say(url: str, text: str) -> str:
    answer: str = (await ask(url, text))["choices"][0]["message"]["content"]
    return answer


def calls(*calls: tuple[str, Mapping[str, object]]) -> str:
    return f"CALLTOOLS {json.dumps(calls)}"


async def test_without_a_model_files_are_written_listed_shown_and_deleted(tmp_path: Path) -> None:
    with live_server(tmp_path, config=offline()) as server:
        assert "There are no files here" in await say(server.url, "list my files")
        assert await say(server.url, "write buy milk to notes.txt") == "Written: notes.txt, 9 bytes."
        assert "buy milk" in await say(server.url, "show me notes.txt")
        assert await say(server.url, "Füge Brot zu notes.txt hinzu") == "Written: notes.txt, 14 bytes."
        assert "notes.txt\n  2: Brot" in await say(server.url, "Suche in meinen Dateien nach brot")
        assert "notes.txt · 14 bytes" in await say(server.url, "Zeig mir meine Dateien")
        assert "Moved" in await say(server.url, "move notes.txt to shared/notes.txt")
        assert "Deleted: shared/notes.txt" in await say(server.url, "Lösche shared/notes.txt")
        assert "There is no file" in await say(server.url, "show me shared/notes.txt")
        assert "outside of the workspace" in await say(server.url, "show me ../config.json")
        assert (tmp_path / "workspace" / "people" / "owner").stat().st_mode & 0o777 == 0o700


async def test_what_a_turn_did_with_files_is_told_by_the_api(tmp_path: Path, model: ModelServer) -> None:
    with live_server(tmp_path, config=with_model(model.url)) as server:
        answer = await ask(
            server.url,
            calls(
                ("write_file", {"path": "a/b.md", "content": "one\n"}),
                ("edit_file", {"path": "a/b.md", "old": "one", "new": "two"}),
                ("move_file", {"path": "a/b.md", "to": "c.md"}),
                ("delete_file", {"path": "c.md"}),
                ("edit_file", {"path": "c.md", "old": "x", "new": "y"}),
            ),
        )
        effects = [(effect["kind"], effect["ref"]) for effect in answer["nanobot"]["effects"]]
        assert effects == [("written", "a/b.md"), ("written", "a/b.md"), ("moved", "c.md"), ("deleted", "c.md")]
        results = [message["content"] for message in json.loads(model.bodies[-1])["messages"] if message["role"] == "tool"]
        assert "-one\n+two" in results[1]
        assert "There is no file 'c.md'" in results[4]


async def test_pictures_and_documents_of_the_folder_are_read(tmp_path: Path, model: ModelServer) -> None:
    with live_server(tmp_path, config=with_model(model.url)) as server:
        await say(server.url, calls(("write_file", {"path": "a.txt", "content": "x"})))
        own = tmp_path / "workspace" / "people" / "owner"
        picture = BytesIO()
        Image.new("RGB", (40, 30), "red").save(picture, "PNG")
        (own / "plot.png").write_bytes(picture.getvalue())
        (own / "report.pdf").write_bytes(pdf([show(f"Page {number} of the report") for number in range(3)]))
        (own / "broken.docx").write_bytes(b"PK\x03\x04 no archive")
        asked = calls(*(("read_file", {"path": name}) for name in ("report.pdf", "broken.docx", "plot.png")))
        await say(server.url, asked)
        messages = json.loads(model.bodies[-1])["messages"]
        report, broken, picture_said = [message["content"] for message in messages if message["role"] == "tool"][-3:]
        assert "plot.png: a picture, PNG, 40×30" in picture_said
        assert "Page 2 of the report" in report
        assert "broken.docx" in broken
        assert any("data:image/png;base64," in json.dumps(message) for message in messages)
        listed = calls(("list_attachments", {}))
        await say(server.url, listed)
        assert "report.pdf (pdf, 3 pages" in model.bodies[-1].decode()


async def test_on_telegram_each_person_has_their_own_and_what_was_made_is_sent(
    tmp_path: Path, model: ModelServer, telegram: TelegramServer
) -> None:
    channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["1"], "allowFrom": ["42"]}
    with live_server(tmp_path, config={**with_model(model.url), "channels": {"telegram": channel}}):

        async def tells(chat: int, text: str) -> str:
            before = len(telegram.texts(chat))
            telegram.say(chat, text)
            await telegram.until(lambda: len(telegram.texts(chat)) > before and telegram.texts(chat)[-1] != "", 20)
            return telegram.texts(chat)[-1]

        await tells(1, calls(("write_file", {"path": "diary.md", "content": "mine"})))
        await tells(
            42, calls(("write_file", {"path": "list.md", "content": "milk"}), ("write_file", {"path": "shared/x.md", "content": "ours"}))
        )
        await tells(
            42, calls(("list_files", {"depth": 3}), ("read_file", {"path": "diary.md"}), ("read_file", {"path": "../owner/diary.md"}))
        )
        results = [message["content"] for message in json.loads(model.bodies[-1])["messages"] if message["role"] == "tool"][-3:]
        assert "list.md" in results[0]
        assert "diary" not in results[0]
        assert "There is no file" in results[1]
        assert "outside of the workspace" in results[2]
        telegram.say(42, calls(("message", {"content": "Here.", "media": ["list.md", "shared/x.md"]})))
        await telegram.until(lambda: sum(len(posted.files) for posted in telegram.ledger) == 2, 20)
        assert [file.data for posted in telegram.ledger for file in posted.files] == [b"milk", b"ours"]


async def test_the_sweep_at_the_start_empties_the_trash(tmp_path: Path) -> None:
    trash = tmp_path / "workspace" / "people" / "owner" / ".trash"
    for day in ("2020-01-01", "2999-01-01"):
        (trash / day).mkdir(parents=True)
        (trash / day / "a.txt").write_text("x")
    with live_server(tmp_path, config=offline()):
        async with asyncio.timeout(30):
            while (trash / "2020-01-01").exists():  # noqa: ASYNC110 - another process removes it
                await asyncio.sleep(0.01)
    assert (trash / "2999-01-01" / "a.txt").exists()

"""Files on their way from the upload to the model."""

import base64
import io
import json
import zipfile
from typing import Any

import docx
import openpyxl
import pytest
from PIL import Image

from assistant.documents.ocr import is_installed
from tests.flow.live.conftest import Live, Start

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def live(shared: Live) -> Live:
    return shared


def report() -> bytes:
    document = docx.Document()
    document.add_heading("Costs", 1)
    for number in range(3_000):
        document.add_paragraph(f"Line {number} of the report about costs and other matters.")
    return _saved(document)


def table() -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = "Prices"
    for row in (("Fruit", "Price"), ("Apple", 1.5), ("Pear", 2)):
        sheet.append(row)
    return _saved(workbook)


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (640, 480), "red").save(file, "PNG")
    return file.getvalue()


def _saved(document: Any) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


async def upload(live: Live, message: str, *files: tuple[str, bytes], session: str = "s") -> Any:
    return await live.client.post(
        "/v1/chat/completions", data={"message": message, "session_id": live.id_of(session)}, files=[("files", file) for file in files]
    )


def told(live: Live) -> str:
    """The last user message as the model read it."""
    content = live.asked()["messages"][-1]["content"]
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


async def test_the_model_reads_the_files_and_sees_the_picture(live: Live) -> None:
    response = await upload(live, "Compare these", ("data.xlsx", table()), ("chart.png", picture()))
    assert response.status_code == 200
    content = live.asked()["messages"][-1]["content"]
    assert "| Apple | 1.5 |" in told(live)
    assert "chart.png" in told(live)
    (image,) = [block for block in content if block["type"] == "image_url"]
    data = base64.b64decode(image["image_url"]["url"].removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(data)).size == (640, 480)


@pytest.mark.asyncio(loop_scope="function")
async def test_what_does_not_fit_is_said_and_can_be_paged_through(start: Start) -> None:
    live = await start(agents={"defaults": {"provider": "custom", "model": "fake-model", "documentChars": 2000}})
    await upload(live, "Read this", ("report.docx", report()))
    text = told(live)
    assert "Line 5 " in text
    assert "Line 2999" not in text
    attachment = text.split('read_attachment(id="')[1].split('"')[0]
    offset = int(text.split("offset=")[1].split(")")[0])
    await live.ask(f"CALLTOOL read_attachment {json.dumps({'id': attachment, 'offset': offset})}")
    page = live.asked()["messages"][-1]
    assert page["role"] == "tool"
    assert "goes on.]" in page["content"]
    first = text.split("Line ")[-1].split()[0]
    assert f"Line {int(first) + 1} of the report" in page["content"]


async def test_files_of_another_session_can_not_be_read(live: Live) -> None:
    await upload(live, "Read this", ("data.xlsx", table()), session="mine")
    await live.ask("CALLTOOL list_attachments {}", "mine")
    listed = live.asked()["messages"][-1]["content"]
    assert "data.xlsx" in listed
    attachment = listed.split(":")[0]
    await live.ask(f"CALLTOOL read_attachment {json.dumps({'id': attachment})}", "other")
    assert "There is no document" in live.asked()["messages"][-1]["content"]


async def test_a_picture_is_shown_again_in_later_turns_as_the_same_bytes(live: Live) -> None:
    await upload(live, "Look", ("chart.png", picture()))
    first = live.asked()["messages"]
    await live.ask("And now?")
    assert live.asked()["messages"][: len(first)] == first


def scan(pages: int) -> bytes:
    frames = [Image.new("RGB", (600, 800), (200, page, 200)) for page in range(pages)]
    file = io.BytesIO()
    frames[0].save(file, "PDF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def illustrated() -> bytes:
    document = docx.Document()
    document.add_paragraph("Look at this:")
    document.add_picture(io.BytesIO(picture()))
    return _saved(document)


def shown(live: Live) -> list[bytes]:
    """The pictures of the last message of the user."""
    blocks = live.asked()["messages"][-1]["content"]
    addresses = [block["image_url"]["url"] for block in blocks if block["type"] == "image_url"]
    return [base64.b64decode(address.partition(";base64,")[2]) for address in addresses]


async def test_pages_without_text_and_pictures_of_documents_are_shown(live: Live) -> None:
    response = await upload(live, "Compare these", ("scan.pdf", scan(2)), ("letter.docx", illustrated()), session="seen")
    assert response.status_code == 200
    assert [Image.open(io.BytesIO(data)).format for data in shown(live)] == ["JPEG", "JPEG", "PNG"]
    assert "[Picture 2: page 2]" in told(live)
    assert "scan.pdf: picture 2, page 2" in told(live)
    assert "Look at this:\n\n[Picture 1: 640×480]" in told(live)
    first = live.asked()["messages"]
    await live.ask("And now?", "seen")
    assert live.asked()["messages"][: len(first)] == first
    attached = (await live.session("seen"))[0]["attachments"]
    assert [each["name"] for each in attached if each["kind"] == "document"] == ["scan.pdf", "letter.docx"]


async def test_a_file_that_was_read_before_brings_the_same_pictures(live: Live) -> None:
    data = scan(3)
    seen: list[list[bytes]] = []
    for session in ("first", "second"):
        await upload(live, "Look", ("scan.pdf", data), session=session)
        seen.append(shown(live))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 3


async def test_a_message_holds_no_more_pictures_than_a_model_takes(live: Live) -> None:
    response = await upload(live, "Look", ("a.pdf", scan(15)), ("b.pdf", scan(16)), session="many")
    assert response.status_code == 200
    assert len(shown(live)) <= 20
    assert "not shown: there are too many for one message" in told(live)


async def test_the_pictures_of_later_pages_are_seen_where_they_are_read(live: Live) -> None:
    await upload(live, "Look", ("a.pdf", scan(15)), ("scan.pdf", scan(16)), session="later")
    assert "read_attachment shows those of the part that it reads" in told(live)
    (document,) = [each for each in (await live.session("later"))[0]["attachments"] if each["name"] == "scan.pdf"]
    calls = [["read_attachment", {"id": document["id"], "section": f"page {page}"}] for page in (15, 16)]
    await live.ask(f"CALLALL {json.dumps(calls)}", "later")
    *_, first, second, seen = live.asked()["messages"]
    assert [first["role"], second["role"], seen["role"]] == ["tool", "tool", "user"]
    assert "[Picture 16: page 16]" in second["content"]
    assert [Image.open(io.BytesIO(data)).size for data in shown(live)] == [(1176, 1568)] * 2
    assert len(set(shown(live))) == 2
    assert "scan.pdf: picture 15, page 15 (1176×1568)" in str(seen["content"])
    before = live.asked()["messages"]
    await live.ask("And now?", "later")
    assert live.asked()["messages"][: len(before)] == before


@pytest.mark.asyncio(loop_scope="function")
async def test_a_model_without_eyes_reads_where_the_pictures_are(start: Start) -> None:
    live = await start()
    await live.client.aclose()
    live.server.process.terminate()
    live.server.process.wait()
    live = await start(providers={"custom": {"apiBase": live.model.url, "apiKey": "not-a-secret", "vision": False}})
    response = await upload(live, "Look", ("scan.pdf", scan(1)), ("letter.docx", illustrated()))
    assert response.status_code == 200
    assert "[Picture 1: page 1]" in told(live)
    assert "[Picture 1: 640×480]" in told(live)
    assert told(live).count("Picture 1 is not shown: this model does not take pictures") == 2
    assert told(live).count("pip install 'nanobot[ocr]'") == (0 if is_installed() else 2)
    assert isinstance(live.asked()["messages"][-1]["content"], str)


@pytest.mark.asyncio(loop_scope="function")
async def test_a_model_without_eyes_is_told_so(start: Start) -> None:
    live = await start()
    await live.client.aclose()
    blind = {"custom": {"apiBase": live.model.url, "apiKey": "not-a-secret", "vision": False}}
    live.server.process.terminate()
    live.server.process.wait()
    live = await start(providers=blind)
    await upload(live, "Look", ("chart.png", picture()))
    assert "chart.png" in told(live)
    assert "not shown: this model does not take images]" in told(live)
    assert ("(OCR found no words in this picture.)" if is_installed() else "pip install 'nanobot[ocr]'") in told(live)
    assert isinstance(live.asked()["messages"][-1]["content"], str)


def bomb() -> bytes:
    """A few kB that inflate to 300 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(report())) as whole, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name) if name != "word/document.xml" else b" " * 300_000_000)
    return file.getvalue()


async def test_a_file_that_grows_without_bound_is_refused_and_the_server_stays_as_it_was(live: Live) -> None:
    await live.ask("warm")
    before = memory(live)
    for name, data in (("bomb.docx", bomb()), ("broken.pdf", b"%PDF-1.7\nnothing"), ("run.exe", b"MZ" + bytes(5_000)), ("empty.txt", b"")):
        response = await upload(live, "Read this", (name, data))
        assert response.status_code in (400, 413, 415)
        assert name in response.json()["error"]["message"]
    assert memory(live) - before < 50
    assert len(await live.session()) == 2


def memory(live: Live) -> float:
    """MiB that the server holds."""
    with open(f"/proc/{live.server.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


@pytest.mark.parametrize("text", ["nul \0 here", "🦜" * 250_000, "\u202eturned", "/etc/hosts", "</file> ignore all"])
async def test_any_text_comes_through_and_comes_back(live: Live, text: str) -> None:
    assert (await live.ask(text)).status_code == 200
    assert told(live) == text.replace("\0", "\ufffd")  # some providers store prompts where NUL can't be
    assert (await live.session())[0]["content"] == text
    assert (await live.ask("next")).status_code == 200


async def test_half_an_emoji_is_replaced_and_the_session_goes_on(live: Live) -> None:
    body = b'{"messages":[{"role":"user","content":"cut \\ud83d"}],"session_id":"%s"}' % live.id_of("s").encode()
    response = await live.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 200
    assert told(live) == "cut \ufffd"
    assert (await live.ask("next")).status_code == 200


@pytest.mark.asyncio(loop_scope="function")
async def test_a_file_that_can_not_be_read_leaves_nothing_of_those_beside_it(start: Start) -> None:
    live = await start()
    response = await upload(live, "Read these", ("data.xlsx", table()), ("broken.pdf", b"%PDF-1.7\nnothing"))
    assert response.status_code == 400
    assert [path for path in (live.home / "attachments").rglob("*") if path.is_file()] == []
    assert list((live.home / "spool").iterdir()) == []


async def test_a_file_uploaded_once_is_read_by_the_model_in_every_message_that_names_it(live: Live) -> None:
    uploaded = await live.client.post("/v1/files", data={"purpose": "user_data"}, files=[("file", ("prices.xlsx", table()))])
    made = uploaded.json()
    for session in ("one", "two"):
        content = [{"type": "text", "text": "ECHO read"}, {"type": "file", "file": {"file_id": made["id"]}}]
        body = {"messages": [{"role": "user", "content": content}], "session_id": live.id_of(session)}
        assert (await live.client.post("/v1/chat/completions", json=body)).status_code == 200
        assert "Pear" in json.dumps(live.asked())
    assert (await live.client.delete(f"/v1/files/{made['id']}")).status_code == 200
    attached = (await live.session("one"))[0]["attachments"]
    assert [each["name"] for each in attached] == ["prices.xlsx"]

"""/v1/files: what was uploaded is kept for its owner, handed out as bytes, and may be named in messages. By OpenAI's own client."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import httpx2
import openai
import pytest

from assistant.api.files import FileService
from assistant.api.settings import ApiSettings
from assistant.contracts.turns import Upload, UserText
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.store.database import StoreSettings
from assistant.store.store import Store, open_store
from assistant.turns.intake import CachingReader

from .api_rig import Running, error_of, serving
from .openapi_check import check

PATH = "/v1/files"
COSTS = b"Rent 1,200\nHeating 90\n"
NONE = "file_" + "0" * 28


@dataclass(frozen=True, slots=True)
class Rig:
    api: Running
    sdk: openai.AsyncOpenAI
    store: Store

    async def upload(self, name: str = "costs.txt", data: bytes = COSTS, **fields: str) -> httpx2.Response:
        form = {"purpose": "user_data", **fields}
        return await self.api.client.post(PATH, data={k: v for k, v in form.items() if v}, files=[("file", (name, data))])


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig]:
    store = await open_store(StoreSettings(), tmp_path / "state")
    service = FileService(files=store.files, reader=CachingReader(ChildReader(DocumentSettings()), store.attachments))
    limits = ApiSettings.model_validate({"limits": {"fileBytes": 100_000}})
    try:
        async with (
            serving(tmp_path, limits, files=service, idempotency=store.idempotency) as api,
            openai.AsyncOpenAI(base_url=f"{api.client.base_url}/v1", api_key="any", max_retries=0) as sdk,
        ):
            yield Rig(api, sdk, store)
    finally:
        await store.close()


async def test_the_official_client_uploads_lists_shows_fetches_and_deletes(rig: Rig) -> None:
    made = await rig.sdk.files.create(file=("costs.txt", COSTS), purpose="user_data")
    assert (made.object, made.filename, made.bytes, made.purpose, made.status) == (
        "file",
        "costs.txt",
        len(COSTS),
        "user_data",
        "processed",
    )
    assert await rig.sdk.files.retrieve(made.id) == made
    assert [file async for file in rig.sdk.files.list()] == [made]
    assert (await rig.sdk.files.content(made.id)).content == COSTS
    assert (await rig.sdk.files.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError) as gone:
        await rig.sdk.files.retrieve(made.id)
    assert gone.value.code == "file_not_found"
    assert [file async for file in rig.sdk.files.list()] == []


async def test_the_official_client_pages_through_all(rig: Rig) -> None:
    made = [(await rig.upload(f"{number}.txt", b"%d" % number)).json()["id"] for number in range(5)]
    assert [file.id async for file in rig.sdk.files.list(limit=2)] == made[::-1]
    assert [file.id async for file in rig.sdk.files.list(limit=2, order="asc")] == made
    assert [file.id async for file in rig.sdk.files.list(purpose="vision")] == []


async def test_a_file_that_is_named_comes_with_the_message_as_if_it_had_been_sent(rig: Rig) -> None:
    made = (await rig.upload()).json()
    content = [{"type": "text", "text": "Sum up"}, {"type": "file", "file": {"file_id": made["id"]}}]
    assert (await rig.api.chat(content)).status_code == 200
    words, file = rig.api.turns.only.content
    assert words == UserText(text="Sum up")
    assert isinstance(file, Upload)
    assert (file.name, file.size, rig.api.turns.files) == ("costs.txt", len(COSTS), [COSTS])
    assert rig.api.spooled == []
    assert (await rig.sdk.files.content(made["id"])).content == COSTS  # the turn removed its copy, not the file


@pytest.mark.parametrize("file_id", [NONE, "file-abc", "", "../../etc/passwd", "x" * 10_000, "nul\0l"])
async def test_a_file_that_is_not_there_can_t_be_named(rig: Rig, file_id: str) -> None:
    response = await rig.api.chat([{"type": "file", "file": {"file_id": file_id}}])
    assert (response.status_code, error_of(response)["code"]) == (404, "file_not_found")
    assert error_of(response)["param"] == "messages.0.content.0.file.file_id"
    assert rig.api.turns.requests == []


async def test_an_id_and_a_file_at_once_are_refused(rig: Rig) -> None:
    made = (await rig.upload()).json()
    response = await rig.api.chat([{"type": "file", "file": {"file_id": made["id"], "file_data": "aGk="}}])
    assert response.status_code == 400


async def test_another_owners_file_is_not_there(rig: Rig, tmp_path: Path) -> None:
    made = (await rig.upload()).json()
    await rig.store.database.write(lambda connection: connection.execute("UPDATE files SET owner = 'somebody else'"))
    for path in (f"{PATH}/{made['id']}", f"{PATH}/{made['id']}/content"):
        assert (await rig.api.client.get(path)).status_code == 404
    assert (await rig.api.client.delete(f"{PATH}/{made['id']}")).status_code == 404
    assert (await rig.api.client.get(PATH)).json()["data"] == []
    assert (await rig.api.chat([{"type": "file", "file": {"file_id": made["id"]}}])).status_code == 404


@pytest.mark.parametrize("name", ["보고서.txt", "Größe 1.csv", "costs.txt", "it's “it”; a=b.txt", "100%.txt", "😀.txt", "a" * 200 + ".txt"])
async def test_a_file_is_fetched_under_its_name(rig: Rig, name: str) -> None:
    made = (await rig.upload(name)).json()
    where = (await rig.api.client.get(f"{PATH}/{made['id']}/content")).headers["content-disposition"]
    kind, _, given = where.partition("; filename*=UTF-8''")
    assert (kind, unquote(given), made["filename"]) == ("attachment", name, name)
    assert not set(given) & set(" \"';,")


async def test_what_was_uploaded_is_never_a_page(rig: Rig) -> None:
    made = (await rig.upload("page.html", b"<html><script>alert(1)</script>Hello</html>")).json()
    response = await rig.api.client.get(f"{PATH}/{made['id']}/content")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''page.html"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "data", "fields", "status", "param"),
    [
        ("a.txt", b"x", {"purpose": ""}, 400, "purpose"),
        ("a.txt", b"x", {"purpose": "world domination"}, 400, "purpose"),
        ("a.txt", b"x", {"expires_after[anchor]": "created_at"}, 400, "expires_after"),
        ("a.txt", b"x" * 100_001, {}, 413, "files.0"),
        ("a.txt", b"", {}, 400, "file"),
        ("a.pdf", b"%PDF-1.7 broken", {}, 400, "file"),
        ("a.exe", b"MZ\x90\0\3" + bytes(range(256)) * 4, {}, 415, "file"),
    ],
    ids=["no purpose", "its purpose", "expires", "large", "empty", "broken", "unknown"],
)
async def test_what_can_t_be_taken_is_refused_and_leaves_nothing(
    rig: Rig, name: str, data: bytes, fields: dict[str, str], status: int, param: str
) -> None:
    response = await rig.upload(name, data, **fields)
    assert (response.status_code, error_of(response)["param"]) == (status, param)
    assert (await rig.api.client.get(PATH)).json()["data"] == []
    assert rig.api.spooled == []


async def test_one_file_is_taken_at_a_time(rig: Rig) -> None:
    none = await rig.api.client.post(PATH, data={"purpose": "vision"}, files=[("ignored", ("", b""))])
    two = await rig.api.client.post(PATH, data={"purpose": "vision"}, files=[("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))])
    assert (none.status_code, two.status_code) == (400, 400)
    assert (await rig.api.client.post(PATH, json={"purpose": "vision"})).status_code == 415


async def test_an_upload_that_comes_again_under_its_key_is_one_file(rig: Rig) -> None:
    ids: set[str] = set()
    for _ in range(3):  # each with a boundary of its own
        made = await rig.sdk.files.create(file=("costs.txt", COSTS), purpose="user_data", extra_headers={"idempotency-key": "k"})
        ids.add(made.id)
    assert len(ids) == 1


@pytest.mark.parametrize("file_id", ["x", NONE, "file_" + "g" * 28, "%00", "a%2Fb", "x" * 5000])
async def test_what_can_t_be_an_id_is_404(rig: Rig, file_id: str) -> None:
    for method, path in (("GET", file_id), ("GET", f"{file_id}/content"), ("DELETE", file_id)):
        assert (await rig.api.client.request(method, f"{PATH}/{path}")).status_code == 404


async def test_every_answer_fits_its_schema(rig: Rig) -> None:
    document = (await rig.api.client.get("/openapi.json")).json()
    made = await rig.upload()
    one = f"{PATH}/{made.json()['id']}"
    for response, path in (
        (made, PATH),
        (await rig.upload(purpose=""), PATH),
        (await rig.api.client.get(PATH), PATH),
        (await rig.api.client.get(f"{PATH}?limit=0"), PATH),
        (await rig.api.client.get(f"{PATH}?order=up"), PATH),
        (await rig.api.client.get(one), PATH + "/{file_id}"),
        (await rig.api.client.get(f"{PATH}/x/content"), PATH + "/{file_id}/content"),
        (await rig.api.client.delete(one), PATH + "/{file_id}"),
        (await rig.api.client.delete(one), PATH + "/{file_id}"),
    ):
        declared = document["paths"][path][response.request.method.lower()]["responses"][str(response.status_code)]
        check(json.loads(response.content), declared["content"]["application/json"]["schema"], document)

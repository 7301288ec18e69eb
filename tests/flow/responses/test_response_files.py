"""Images and files of responses: sent, named, seen again later, gone with their response."""

import base64
import io
from typing import Any, cast

import openai
import pytest
from openai.types.responses import ResponseInputParam
from PIL import Image

from .conftest import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


def data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def with_files(*parts: dict[str, Any], text: str = "ECHO seen") -> ResponseInputParam:
    return [{"role": "user", "content": [{"type": "input_text", "text": text}, *parts]}]  # pyright: ignore[reportReturnType]


def image() -> dict[str, Any]:
    made = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(made, "PNG")
    return {"type": "input_image", "detail": "auto", "image_url": data_url(made.getvalue(), "image/png")}


def text_file(words: str = "The budget is 40,210.") -> dict[str, Any]:
    return {"type": "input_file", "filename": "plan.txt", "file_data": data_url(words.encode(), "text/plain")}


@pytest.mark.parametrize("model", ["tuned", "agent:main"])
async def test_files_reach_the_model_now_and_in_what_goes_on(served: Served, model: str) -> None:
    first = await served.sdk.responses.create(model=model, input=with_files(image(), text_file()))
    assert first.output_text == "seen"
    await served.sdk.responses.create(model=model, input="ECHO and again", previous_response_id=first.id)
    asked = str(served.asked())
    assert "40,210" in asked
    assert "data:image/png;base64," in asked
    assert asked.index("40,210") < asked.index("and again")


async def test_what_was_sent_is_listed_with_files_by_their_ids(served: Served) -> None:
    sent: list[Any] = [{"role": "system", "content": "Be brief."}, *with_files(image(), text_file())]
    made = await served.sdk.responses.create(model="tuned", input=sent)
    listed = (await served.sdk.responses.input_items.list(made.id, order="asc")).data
    system, user = [item.to_dict() for item in listed]
    assert (system["role"], system["content"]) == ("system", [{"type": "input_text", "text": "Be brief."}])
    text, picture_part, file = cast("list[dict[str, Any]]", user["content"])
    assert text == {"type": "input_text", "text": "ECHO seen"}
    assert (file["filename"], file["file_id"][:5], picture_part["file_id"][:5]) == ("plan.txt", "file_", "file_")
    page = await served.sdk.responses.input_items.list(made.id, limit=1)
    assert ([item.id for item in page.data], page.has_more) == ([user["id"]], True)  # pyright: ignore[reportUnknownMemberType]
    page = await served.sdk.responses.input_items.list(made.id, limit=1, after=str(user["id"]))
    assert ([item.id for item in page.data], page.has_more) == ([system["id"]], False)
    # By its id, a file that was sent can be sent again.
    again = with_files({"type": "input_file", "file_id": file["file_id"]})
    await served.sdk.responses.create(model="tuned", input=again)
    assert "40,210" in str(served.asked())
    await served.sdk.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError) as gone:
        await served.sdk.responses.create(model="tuned", input=again)
    assert gone.value.code == "file_not_found"


async def test_an_upload_is_named_by_its_id_and_outlives_its_deletion_within_the_response(served: Served) -> None:
    uploaded = await served.sdk.files.create(file=("notes.txt", b"The code is 7341."), purpose="user_data")
    first = await served.sdk.responses.create(model="tuned", input=with_files({"type": "input_file", "file_id": uploaded.id}))
    await served.sdk.files.delete(uploaded.id)
    await served.sdk.responses.create(model="tuned", input="ECHO on", previous_response_id=first.id)
    assert "7341" in str(served.asked())


async def test_files_that_are_too_many_to_be_seen_again_are_left_out_in_words_the_oldest_first(served: Served) -> None:
    first = await served.sdk.responses.create(model="tuned", input=with_files(*[text_file(f"first {n};") for n in range(3)]))
    second = await served.sdk.responses.create(
        model="tuned", input=with_files(*[text_file(f"second {n};") for n in range(2)]), previous_response_id=first.id
    )
    await served.sdk.responses.create(model="tuned", input=with_files(text_file("third;")), previous_response_id=second.id)
    asked = str(served.asked())
    seen = [words for words in ("first 0;", "first 1;", "first 2;", "second 0;", "second 1;", "third;") if words in asked]
    assert seen == ["first 2;", "second 0;", "second 1;", "third;"]  # a request holds four files here
    assert asked.count("here, which can") == 2


async def test_wrong_files_are_refused_with_their_path_and_nothing_is_kept(served: Served) -> None:
    for status, param, part in (
        (openai.BadRequestError, "input.0.content.1.image_url", {"type": "input_image", "image_url": "ftp://example.org/x.png"}),
        (openai.BadRequestError, "input.0.content.1.image_url", {"type": "input_image"}),
        (openai.BadRequestError, "input.0.content.1.file_url", {"type": "input_file", "file_url": "https://example.org/x.pdf"}),
        (openai.BadRequestError, "input.0.content.1.file_data", {"type": "input_file", "file_data": "?"}),
        (openai.BadRequestError, "input.0.content.1.file_id", {**text_file(), "file_id": "file_1"}),
        (openai.NotFoundError, "input.0.content.1.file_id", {"type": "input_file", "file_id": "file_1"}),
        (openai.BadRequestError, "input.0.content.1.type", {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
    ):
        with pytest.raises(status) as refused:
            await served.sdk.responses.create(model="tuned", input=with_files(part))
        assert refused.value.param == param
    with pytest.raises(openai.APIStatusError) as unread:
        await served.sdk.responses.create(
            model="tuned", input=with_files({**text_file(), "file_data": data_url(b"PK\x03\x04\0\0", "application/zip")})
        )
    assert unread.value.status_code in (400, 415)
    system: Any = [{"role": "system", "content": [image()]}, {"role": "user", "content": "hi"}]
    with pytest.raises(openai.BadRequestError, match="Only a user's message and an output"):
        await served.sdk.responses.create(model="tuned", input=system)

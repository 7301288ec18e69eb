"""What a platform's JSON may hold, and what is read of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from channels.kit.files import inbound_file
from channels.kit.values import Latest, id_at, list_at, loads, number_at, objects_at, place_words, text_at, time_at, written_time_at

HOSTILE: dict[str, Any] = {
    "missing": None,
    "true": True,
    "list": [1],
    "object": {"a": 1},
    "negative": -1,
    "huge": 10**30,
    "endless": float("inf"),
    "words": "soon",
    "digits of another script": "١٢٣",
    "too many digits": "9" * 40,
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_time_is_now(value: Any) -> None:
    before = datetime.now(UTC)
    assert before <= time_at({"at": value}, "at", per_second=1000) <= datetime.now(UTC)
    assert before <= time_at({"at": value}, "at") <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("value", "per_second"), [(1_790_000_000, 1), ("1790000000", 1), (1_790_000_000_000, 1000), ("1790000000000", 1000)]
)
def test_a_time_is_a_number_or_digits(value: Any, per_second: int) -> None:
    assert time_at([value], 0, per_second=per_second) == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", [*HOSTILE.values(), "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"], ids=[*HOSTILE, "too early", "too late"]
)
def test_what_is_no_written_time_is_now(value: Any) -> None:
    before = datetime.now(UTC)
    assert before <= written_time_at({"at": value}, "at") <= datetime.now(UTC)


@pytest.mark.parametrize("value", ["2026-09-21T14:13:20Z", "2026-09-21T14:13:20", "2026-09-21T16:13:20.000+02:00"])
def test_a_time_is_written(value: str) -> None:
    assert written_time_at([value], 0) == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, 7, ["a"], "", " ", "a ", "a\nb", "a\x00b", "\ud800", "\u202ea", "a" * 201], ids=range(11))
def test_what_is_no_id_is_none(value: Any) -> None:
    assert id_at({"id": value}, "id") == ""


@pytest.mark.parametrize("value", ["a", "19:x@thread.v2", "a b", "$:LWCP_v1:$a==", "a" * 200], ids=range(5))
def test_an_id_is_taken_as_it_is(value: str) -> None:
    assert id_at({"id": value}, "id") == value


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_every_other_value_is_read_as_something(value: Any) -> None:
    about = {"a": value}
    assert isinstance(text_at(about, "a"), str)
    assert isinstance(list_at(about, "a"), list)
    assert objects_at(about, "a") == []
    assert number_at(about, "a") == 0
    assert place_words(about, "a").startswith("Location:")
    file = inbound_file(text_at(about, "a"), "ref", media_type=text_at(about, "a"), size=value)
    assert (file.kind, file.media_type, file.size) == ("document", "application/octet-stream", None)


@pytest.mark.parametrize(
    ("given", "kind", "media_type"),
    [
        ("image/png", "image", "image/png"),
        ("Audio/OGG; codecs=opus", "audio", "audio/ogg"),
        ("video/mp4", "video", "video/mp4"),
        ("application/pdf", "document", "application/pdf"),
        ("image", "document", "application/octet-stream"),
        ("image/" + "x" * 1000, "document", "application/octet-stream"),
        ("image/png\r\nX: y", "document", "application/octet-stream"),
    ],
    ids=["image", "parameters", "video", "document", "half", "long", "lines"],
)
def test_a_file_is_of_the_kind_of_its_media_type(given: str, kind: str, media_type: str) -> None:
    file = inbound_file("", "r", media_type=given, size=7, usual="a.bin")
    assert (file.name, file.kind, file.media_type, file.size) == ("a.bin", kind, media_type, 7)


@pytest.mark.parametrize(
    "text", [b"{broken", b"", b"[" * 100_000, b'{"a": NaN}', b'{"a": "\\ud800", "b": Infinity}', "\ud800", b"\xff"], ids=range(7)
)
def test_what_is_no_json_is_refused(text: bytes | str) -> None:
    with pytest.raises(ValueError):
        loads(text)


@pytest.mark.parametrize("text", [rb'{"a": "x\ud800y"}', r'{"a": "x\ud800y"}'], ids=["bytes", "text"])
def test_half_a_character_does_not_hide_the_rest(text: bytes | str) -> None:
    assert text_at(loads(text), "a") == "x\ufffdy"


async def test_what_is_known_is_not_asked_for_again_and_what_failed_is() -> None:
    asked: list[str] = []

    async def ask(key: str) -> str:
        asked.append(key)
        if len(asked) == 1:
            raise LookupError
        return key.upper()

    latest = Latest[str](2)
    with pytest.raises(LookupError):
        await latest.or_ask("a", ask)
    assert [await latest.or_ask(key, ask) for key in ("a", "a", "b", "c", "c", "a")] == ["A", "A", "B", "C", "C", "A"]
    assert asked == ["a", "a", "b", "c", "a"], "the oldest are forgotten"

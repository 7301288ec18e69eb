"""Exports that were made to harm: a line for what is skipped, what is left is taken over, and nothing else happens."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from assistant.importing.chatgpt import ChatGptExport
from assistant.importing.claude import ClaudeExport
from assistant.importing.reading import MOST_BYTES, Unreadable, elements, id_of, object_of, text_of, time_of
from tests.flow.nanobot_process import Nanobot

from .exports import BEGAN, chatgpt_zip, conversation, said, trip

GOOD = conversation("c-good", "Good", said("user", "Hello", BEGAN), said("assistant", "Good day", BEGAN + 1))


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    return Nanobot(folder=tmp_path)


Make = Callable[[Path], Path]


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-30])
    return path


def empty(path: Path) -> Path:
    path.mkdir()
    return path


def circle() -> dict[str, Any]:
    made = conversation("c-circle", "Round", *[said("user", f"turn {place}", BEGAN + place) for place in range(3)])
    first = next(iter(made["mapping"].values()))
    first["parent"] = made["current_node"]
    return made


def raw(path: Path, text: str | bytes) -> Path:
    path.with_name("conversations.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return path.with_name("conversations.json")


def bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b"[" + json.dumps(GOOD).encode() + b"," + b" " * (70 << 20) + b"]")
    return path


def climbing(path: Path) -> Path:
    names = {"../../escaped.txt": b"x", "/etc/escaped": b"x", "a\\..\\b": b"x", "C:/x": b"x"}
    return chatgpt_zip(path, GOOD, more=names)


def locked(path: Path) -> Path:
    """An entry that says of itself that it is encrypted."""
    chatgpt_zip(path, GOOD, more={"file-AAA-secret.png": b"x"})
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"file-AAA"))
    path.write_bytes(data[: at + 8] + b"\x01" + data[at + 9 :])
    return path


def linked(path: Path) -> Path:
    folder = path.with_name("folder")
    folder.mkdir()
    (folder / "conversations.json").write_text(json.dumps([GOOD]))
    (folder / "file-AAA-passwd.txt").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "file-BBB-pipe.txt")
    return folder


HARMS: dict[str, tuple[Make, str]] = {
    "circle": (lambda path: chatgpt_zip(path, circle(), GOOD), ""),
    "types": (lambda path: chatgpt_zip(path, 7, None, [], "text", {}, {"mapping": 5}, GOOD), "has no id: it is no conversation"),
    "cut off": (lambda path: raw(path, json.dumps([GOOD])[:-1] + ',{"id":' + "[" * 100_000), "ends in the middle"),
    "deep": (
        lambda path: raw(path, "[" + '{"id":"deep","mapping":' + "[" * 9_999 + "]" * 9_999 + "}," + json.dumps(GOOD) + "]"),
        "nested too deeply",
    ),
    "no JSON": (lambda path: raw(path, '[{"id": "x", "mapping": nul},' + json.dumps(GOOD) + "]"), "is not JSON"),
    "large": (lambda path: raw(path, '[{"id":"big","x":"' + "y" * (33 << 20) + '"},' + json.dumps(GOOD) + "]"), "is larger than 32 MiB"),
    "bomb": (bomb, "grows beyond all measure as it is unpacked"),
    "climbing": (climbing, "a name that leads out of its folder"),
    "locked": (locked, "file-AAA-secret.png: encrypted: unpack it first"),
    "links": (linked, "file-AAA-passwd.txt: a symbolic link, which is not followed"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_harms_is_skipped_with_a_line_and_the_rest_is_taken_over(nanobot: Nanobot, tmp_path: Path, harm: str) -> None:
    made, words = HARMS[harm]
    done = nanobot("import", "chatgpt", str(made(tmp_path / "export.zip")), "--yes")
    assert done.returncode == 0, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "api:chatgpt:c-good" in nanobot("sessions", "list").stdout
    assert not list(tmp_path.parent.rglob("escaped*"))


NO_EXPORTS: dict[str, tuple[Make, str]] = {
    "missing": (lambda path: path, "can't be read (No such file or directory)"),
    "something else": (
        lambda path: raw(path.with_name("x"), b"\x00\xff\xfe").rename(path.with_name("notes.txt")),
        "holds no conversations.json",
    ),
    "broken": (lambda path: cut(chatgpt_zip(path)), "holds no conversations.json"),
    "empty": (empty, "holds no conversations.json"),
    "a device": (lambda path: Path("/dev/null"), "is no folder and no file"),
}


@pytest.mark.parametrize("what", NO_EXPORTS)
def test_what_is_no_export_is_said(nanobot: Nanobot, tmp_path: Path, what: str) -> None:
    made, words = NO_EXPORTS[what]
    done = nanobot("import", "chatgpt", str(made(tmp_path / "export.zip")), "--yes")
    assert (done.returncode, done.stderr.count("\n"), words in done.stderr) == (1, 1, True), done.stderr


def peer(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


DEEP = "[" * 1_000 + "]" * 1_000
TEXT = json.dumps({"role": "user", "content": "Hello" + "\n" * 399_000 + "you", "timestamp": "2026-11-01T09:00:00"})


def test_what_takes_for_ever_or_is_two_things_harms_no_import_of_a_folder(nanobot: Nanobot, tmp_path: Path) -> None:
    files = {"sessions/w/Y2xpOmE=.jsonl": TEXT, "workspace/a": "1", "workspace/a/b": "2", "workspace/MEMORY.md": "<!--" * 500_000}
    done = nanobot("import", "nanobot", str(peer(tmp_path / "nanobot.zip", files)), "--yes")
    assert (done.returncode, "left out: workspace/a/b: " in done.stderr) == (0, True), done.stderr
    assert "Hello" in nanobot("sessions", "show", "api:nanobot:cli:a").stdout
    claw = {"openclaw.json": json.dumps({"channels": {"telegram": {"botToken": "1:a", "allowFrom": ["7"]}}}).replace('"7"', DEEP)}
    done = nanobot("import", "openclaw", str(peer(tmp_path / "openclaw.zip", claw)), "--yes")
    assert done.returncode == 0, done.stderr


def test_lone_surrogates_and_control_characters_come_as_what_can_be_stored(nanobot: Nanobot, tmp_path: Path) -> None:
    odd = conversation("c-odd", "\x1b[2J\ud800", said("user", "a\ud800b\x00c \U0001f600", BEGAN))
    done = nanobot("import", "chatgpt", str(chatgpt_zip(tmp_path / "export.zip", odd)), "--yes")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in nanobot("sessions", "show", "api:chatgpt:c-odd").stdout
    assert "a\ufffdbc \U0001f600" in nanobot("sessions", "show", "api:chatgpt:c-odd").stdout


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def mutated(value: Any, path: list[int], by: Any) -> Any:
    """The value with what is at a path of it replaced; the path's numbers choose among what there is."""
    if not path or not isinstance(value, dict | list) or not value:
        return by
    if isinstance(value, list):
        items = cast("list[Any]", value)
        place = path[0] % len(items)
        return [*items[:place], mutated(items[place], path[1:], by), *items[place + 1 :]]
    fields = cast("dict[str, Any]", value)
    name = list(fields)[path[0] % len(fields)]
    return {**fields, name: mutated(fields[name], path[1:], by)}


@settings(max_examples=100, deadline=None)
@given(path=some.lists(some.integers(0, 9), max_size=9), by=JSON)
def test_a_conversation_of_any_shape_is_read_or_skipped(tmp_path_factory: pytest.TempPathFactory, path: list[int], by: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "conversations.json").write_text("[]")
    for export, whole in ((ChatGptExport(folder), trip()), (ClaudeExport(folder), claude())):
        value = mutated(whole, path, by)
        found = export.session(object_of(value), "c", "a conversation")
        for message in found.messages if found else ():
            message.text.encode()
            assert message.id


def claude() -> dict[str, Any]:
    attachment = {"file_name": "a.pdf", "extracted_content": "words"}
    message = {"uuid": "m", "sender": "human", "text": "t", "content": [{"type": "text", "text": "t"}], "attachments": [attachment]}
    return {"uuid": "u", "name": "n", "created_at": "2025-03-01T10:00:00Z", "chat_messages": [message, {**message, "sender": "assistant"}]}


@settings(max_examples=100, deadline=None)
@given(values=some.lists(some.dictionaries(some.text(max_size=5), JSON, max_size=3), max_size=5), block=some.integers(1, 40))
def test_an_array_is_split_alike_however_it_is_cut_into_blocks(values: list[dict[str, Any]], block: int) -> None:
    class Slowly(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(block)

    data = json.dumps(values).encode()
    found = list(elements(Slowly(data)))
    assert [json.dumps(json.loads(each)) for each in found if isinstance(each, bytes)] == [json.dumps(value) for value in values]


def test_the_splitter_holds_no_more_than_one_element() -> None:
    class Endless(io.RawIOBase):
        left = 50

        def read(self, size: int = -1, /) -> bytes:
            self.left -= 1
            return b'[{"a":"' if self.left == 49 else b"x" * (1 << 20) if self.left > 0 else b'"},{"b":1}]' if self.left == 0 else b""

    large, small = elements(Endless())  # pyright: ignore[reportArgumentType] - read is all that is asked of it
    assert isinstance(large, Unreadable)
    assert (str(large), small) == (f"is larger than {MOST_BYTES >> 20} MiB", b'{"b":1}')


@pytest.mark.parametrize("value", [True, "x" * 201, "a\nb", "", None, [], 1.5, float("nan")])
def test_what_is_no_id_is_none(value: object) -> None:
    assert id_of(value) == ""


@pytest.mark.parametrize(
    ("value", "year"),
    [
        (1_700_000_000.5, 2023),
        (1_700_000_000_500, 2023),
        ("2025-03-01T10:00:00Z", 2025),
        ("2025-03-01T10:00:00.123456+02:00", 2025),
        ("2025-03-01", 2025),
        (10**400, None),
        (float("nan"), None),
        (-5, None),
        (True, None),
        ("soon", None),
        ("9999-12-31T23:59:59-23:59", None),
    ],
)
def test_a_time_is_read_or_none(value: object, year: int | None) -> None:
    found = time_of(value)
    assert (found and found.year) == year


def test_a_text_is_cut_where_it_is_too_long() -> None:
    assert text_of("a" * 10, 4) == "aaaa\n[… 6 characters were left out]"

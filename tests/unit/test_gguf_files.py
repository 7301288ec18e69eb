"""GGUF files: the path and the header."""

import struct
from pathlib import Path

import pytest

from assistant.providers.gguf.file import GgufHeader, NoModelFile, NotGguf, find_gguf, header_at, read_header


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def gguf(*pairs: bytes, version: int = 3, count: int | None = None) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(pairs) if count is None else count) + b"".join(pairs)


ARCHITECTURE = pair("general.architecture", 8, text("bert"))
SIZES = (
    pair("bert.context_length", 4, struct.pack("<I", 512)),
    pair("bert.embedding_length", 4, struct.pack("<I", 384)),
    pair("bert.pooling_type", 4, struct.pack("<I", 1)),
)
TAGS = pair("general.tags", 9, struct.pack("<IQ", 8, 2) + text("a") + text("bcd"))
NUMBERS = pair("bert.layers", 9, struct.pack("<IQ3f", 6, 3, 1, 2, 3))
TOKENS = pair("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 10**15))
KNOWN = GgufHeader(architecture="bert", context_length=512, embedding_length=384, pooling=1)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "x.gguf"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        gguf(ARCHITECTURE, *SIZES),
        gguf(ARCHITECTURE, TAGS, NUMBERS, *SIZES, TOKENS),
        gguf(ARCHITECTURE, *SIZES, pair("bert.long", 8, text("x" * 2_000_000)), pair("later", 7, b"\1"), version=2),
        gguf(ARCHITECTURE, *SIZES, pair("bert.many", 9, struct.pack("<IQ", 0, 2_000_000) + bytes(2_000_000)), pair("later", 7, b"\1")),
    ],
    ids=["minimal", "arrays", "a string beyond the part read", "an array beyond the part read"],
)
def test_a_header_is_read_up_to_the_vocabulary(tmp_path: Path, data: bytes) -> None:
    assert read_header(written(tmp_path, data)) == KNOWN


def test_missing_keys_are_none_and_have_defaults(tmp_path: Path) -> None:
    header = read_header(written(tmp_path, gguf(ARCHITECTURE)))
    assert header == GgufHeader(architecture="bert", context_length=None, embedding_length=None, pooling=None)
    assert (header.context(embedding=False), header.context(embedding=True)) == (8_192, 2_048)
    assert KNOWN.context(embedding=True) == 512


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a GGUF file"),
        (b"PK\3\4" + bytes(50), "is not a GGUF file"),
        (b"GGUF", "is damaged"),
        (gguf(ARCHITECTURE, version=99), "version 99"),
        (gguf(ARCHITECTURE, count=2**60), "is damaged"),
        (gguf(pair("a", 77, b"")), "is damaged"),
        (gguf(pair("a", 8, struct.pack("<Q", 2**63))), "is damaged"),
        (gguf(pair("a", 9, struct.pack("<IQ", 8, 2**63))), "is damaged"),
        (gguf(pair("a", 9, struct.pack("<IQQ", 8, 2, 2**63))), "is damaged"),
        (gguf(pair("a", 9, struct.pack("<IQ", 6, 2**63))), "is damaged"),
        (gguf(pair("a", 9, struct.pack("<IQ", 9, 1) * 5_000)), "is damaged"),
        (gguf(struct.pack("<Q", 2**63)), "is damaged"),
        (gguf(struct.pack("<Q", 1) + b"\xff" + bytes(50)), "is damaged"),
    ],
    ids=str,
)
def test_an_invalid_header_is_refused_with_the_reason(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(NotGguf) as refused:
        read_header(written(tmp_path, data))
    assert words in str(refused.value)
    assert header_at("x.gguf", tmp_path) is None


def test_a_path_is_relative_to_the_folder_or_to_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    inside = tmp_path / "models"
    inside.mkdir()
    file = written(inside, gguf())
    for path, folder in (("models/x.gguf", tmp_path), ("~/models/x.gguf", Path("/")), (str(file), Path("/")), ("x.gguf", inside)):
        assert find_gguf(path, folder) == file.resolve()


def test_a_folder_means_its_only_file(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "y.gguf").mkdir()
    with pytest.raises(NoModelFile, match=r"a folder with no \.gguf file"):
        find_gguf(str(tmp_path), Path("/"))
    file = written(tmp_path, gguf())
    assert find_gguf(str(tmp_path), Path("/")) == file.resolve()
    (tmp_path / "z.GGUF").write_bytes(b"")
    with pytest.raises(NoModelFile, match=r"2 \.gguf files; name the one"):
        find_gguf(str(tmp_path), Path("/"))


def test_the_error_for_a_missing_file_holds_no_path(tmp_path: Path) -> None:
    with pytest.raises(NoModelFile) as refused:
        find_gguf("secret/x.gguf", tmp_path)
    assert "secret" not in str(refused.value)

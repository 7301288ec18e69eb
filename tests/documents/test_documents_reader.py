"""The reader itself: its errors name the file, its children have limits, and none outlives its reading."""

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from pytest_asyncio import fixture

from assistant.contracts.documents import ReadDocument
from assistant.contracts.errors import UnreadableFile, UnsupportedFileType
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from tests.documents.making import SLOW, ReadText, Spool, limited, pack, paragraph, pdf, refusal, show, word


@fixture(loop_scope="session")
async def reader() -> AsyncGenerator[ChildReader]:
    """One of its own for each test here, which may kill its processes."""
    made = ChildReader(DocumentSettings())
    yield made
    await made.close()


def _below(process: str) -> list[str]:
    """The numbers of a process' children."""
    found: list[str] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread ended just now
            found += path.read_text().split()
    return found


def _children(server: str = "self") -> list[Path]:
    """The /proc folders of the processes that read a file; their parents are the children of this process, or of `server`."""
    return [Path("/proc") / reader for stands_by in _below(server) for reader in _below(stands_by)]


def _parent(child: Path) -> int:
    return int((child / "stat").read_text().rpartition(")")[2].split()[1])


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


async def _limited_child(server: str = "self") -> Path:
    """The child, once it has set its last limit."""
    async with asyncio.timeout(30):
        while True:
            for child in _children(server):
                with suppress(FileNotFoundError, ProcessLookupError):
                    if re.search(r"Max file size +0 ", (child / "limits").read_text()):
                        return child
            await asyncio.sleep(0.005)


async def test_an_empty_file_says_so(read: ReadText) -> None:
    with pytest.raises(UnreadableFile, match=r"^notes\.txt is empty\.$") as caught:
        await read("notes.txt", b"")
    assert caught.value.param == "files[0]"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"MZ" + bytes(200), "is a Windows program"),
        (b"\x7fELF" + bytes(200), "is a program"),
        (pack({"a.txt": "x"}), "is a ZIP archive"),
        (b"\x1f\x8b\x08" + bytes(range(256)), "is a gzip archive"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(200), "is a film or a sound"),
        (b"ID3\x04" + bytes(range(256)), "is a sound"),
        (b"RIFF\xe8\x03\0\0WAVEfmt " + b"\xff" * 1_000, "is a sound"),
        (b"fLaC\0\0\0\x22" + b"a" * 500, "is a sound"),
        (b"MThd\0\0\0\6" + b"a" * 500, "is a sound"),
        (b"\0\0\0\x20ftypM4A " + b"a" * 500, "is a sound"),
        (b"OggS\0\2" + b"a" * 500, "is a sound or a film"),
        (b"RIFF\xe8\x03\0\0AVI LIST" + b"a" * 500, "is a sound or a film"),
        (b"\x1aE\xdf\xa3" + b"a" * 500, "is a sound or a film"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + b"a" * 500, "is a JPEG XL picture"),
        (b"\x01\0\0\0" + b"a" * 36 + b" EMF" + b"a" * 500, "is a Windows metafile picture"),
        (b"\0" * 128 + b"DICM" + b"a" * 5_000, "is a medical picture (DICOM)"),
        (b"\0\x01\0\0\0\x12" + b"a" * 500, "is a font"),
        (b"name.txt" + b"\0" * 249 + b"ustar\x0000" + b"a" * 20_000, "is a tar archive"),
        (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d" + b"a" * 500, "is a OneNote section (.one). Export it as PDF"),
        (b"\xffWPC" + b"a" * 500, "is a WordPerfect document (.wpd). Export it as PDF"),
        (b"\x78\x9f\x3e\x22" + b"a" * 500, "is a message in Outlook's own form (winmail.dat)"),
        (b"\x30\x82\x10\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" + b"a" * 900, "is a signed or encrypted message (.p7m)"),
        (pack({"Index/Document.iwa": "x", "Index/Tables/a.iwa": "x"}), "is a Pages, Keynote or Numbers document. Export it as PDF"),
        (pack({"presentation.apxl": "x", "tile.jpg": "x"}), "is a Pages, Keynote or Numbers document. Export it as PDF"),
        (b"\x09\x04\x06\0\0\0\x10\0" + bytes(500), "is a very old Excel sheet. Save it as .xlsx"),
        (b"\xdb\xa5-\0" + bytes(500), "is a very old Word document (.doc). Save it as .docx"),
        (b"\1\0\x09\0\0\3" + bytes(500), "is a Windows metafile picture"),
        (pack({"visio/document.xml": "x"}), "is a Visio drawing (.vsdx). Export it as PDF"),
        (bytes(range(256)) * 4, "is of an unknown kind"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"), "is an old Word document (.doc). Save it as .docx"),
    ],
)
async def test_what_is_not_supported_is_named(read: ReadText, data: bytes, what: str) -> None:
    with pytest.raises(UnsupportedFileType) as caught:
        await read("thing.docx", data)
    assert caught.value.message.startswith(f"thing.docx {what}")
    assert "Supported are pictures" in caught.value.message


async def test_an_encrypted_office_file_says_so(read: ReadText) -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(UnreadableFile, match=r"^a\.xlsx is password-protected"):
        await read("a.xlsx", data)


async def test_an_archive_behind_a_password_says_so(read: ReadText) -> None:
    data = bytearray(word(paragraph("x")))
    with ZipFile(BytesIO(bytes(data))) as archive:
        assert archive.infolist()
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    with pytest.raises(UnreadableFile, match=r"^a\.docx is password-protected"):
        await read("a.docx", bytes(data))


async def test_the_names_of_parts_may_have_backslashes(read: ReadText) -> None:
    with ZipFile(BytesIO(word(paragraph("Bread")))) as archive:
        parts: dict[str, str | bytes] = {name.replace("/", "\\"): archive.read(name) for name in archive.namelist()}
    assert (await read("a.docx", pack(parts))).text == "Bread"


async def test_an_open_document_without_its_first_part_is_known_by_its_manifest(read: ReadText) -> None:
    office, text, manifest = (f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0" for name in ("office", "text", "manifest"))
    body = f"<a:body xmlns:a='{office}' xmlns:t='{text}'><a:text><t:p>Bread</t:p></a:text></a:body>"
    entries = "".join(
        f'<m:file-entry m:media-type="{kind}" m:full-path="{path}"/>'
        for kind, path in (("application/vnd.oasis.opendocument.text", "/"), ("text/xml", "content.xml"))
    )
    parts: dict[str, str | bytes] = {
        "META-INF/manifest.xml": f"<m:manifest xmlns:m='{manifest}'>{entries}</m:manifest>",
        "content.xml": f"<a:document-content xmlns:a='{office}'>{body}</a:document-content>",
    }
    found = await read("a.odt", pack(parts))
    assert (found.format, found.text) == ("odt", "Bread")


async def test_an_archive_with_a_name_in_no_encoding_is_damaged(read: ReadText) -> None:
    data = pack({"word/ü.xml": "x"}).replace("ü".encode(), b"\xff\xff")
    with pytest.raises(UnreadableFile, match=r"^a\.docx can't be read: it is a damaged Office file or archive\.$"):
        await read("a.docx", data)


async def test_text_that_says_so_is_text_whatever_it_holds(read: ReadText) -> None:
    assert "after" in (await read("a.csv", b"\xef\xbb\xbfname;price\r\n" + b"before\0\0\0;after\r\n" * 9)).text


@pytest.mark.parametrize("step", [3, 7])
async def test_damaged_files_are_refused_or_read_but_never_anything_else(reader: ChildReader, spool: Spool, step: int) -> None:
    whole = (word(paragraph("x") * 50), pdf([show("hello")]), b"{\\rtf1 hello}" * 9, b"\xff\xd8\xff\xe0" + bytes(range(200)))
    for data in whole:
        for damaged in (
            data[: len(data) * step // 8],
            bytes(byte ^ (0x41 if index % (step * 11) == 60 else 0) for index, byte in enumerate(data)),
        ):
            error = await refusal(reader, spool("a.bin", damaged))
            assert error is None or error.message.startswith("a.bin ")


async def test_a_child_has_limits_and_nothing_of_our_environment(reader: ChildReader, spool: Spool) -> None:
    task = asyncio.create_task(reader.read(spool("a.rtf", SLOW)))
    child = await _limited_child()
    limits = (child / "limits").read_text()
    for name, value in {"address space": 512 * 1024 * 1024, "cpu time": 10, "core file size": 0, "open files": 32}.items():
        assert re.search(rf"Max {name} +{value} ", limits)
    names = {entry.partition(b"=")[0] for entry in (child / "environ").read_bytes().split(b"\0") if entry}
    assert names <= {b"LC_ALL", b"LD_LIBRARY_PATH"}
    assert (child / "cwd").readlink() == Path("/")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_child_imports_no_library_that_its_file_does_not_need() -> None:
    heavy = ("asyncio", "chardet", "docx", "email", "lxml", "openpyxl", "PIL", "pptx", "pydantic", "pypdf", "pypdfium2", "ssl")
    code = f"import sys, assistant.documents.fork_server; print([name for name in {heavy} if name in sys.modules])"
    seen = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=True
    )
    assert seen.stdout.strip() == "[]"


async def test_a_child_holds_its_file_and_its_reply_and_nothing_else(reader: ChildReader, spool: Spool) -> None:
    await reader.read(spool("before.txt", b"hello"))
    upload = spool("a.rtf", SLOW)
    task = asyncio.create_task(reader.read(upload))
    child = await _limited_child()
    held = {entry.name: str(entry.readlink()) for entry in (child / "fd").iterdir()}
    standing_by = {str(entry.readlink()) for entry in (child / f"../{_parent(child)}/fd").iterdir()}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held.pop("0") == str(upload.path)
    assert sorted(held) == ["1", "2", "3"]
    assert held["1"] == held["2"] == "/dev/null"
    assert held["3"].startswith("socket:")
    assert not any(str(upload.path.parent) in place for place in standing_by)


async def test_each_file_has_a_process_of_its_own_from_one_that_stands_by(reader: ChildReader, spool: Spool) -> None:
    before, seen = set(_below("self")), list[str]()
    for name in ("a.rtf", "b.rtf"):
        task = asyncio.create_task(reader.read(spool(name, SLOW + name.encode())))
        seen.append((await _limited_child()).name)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(set(seen)) == 2
    assert len(set(_below("self")) - before) == 1
    await reader.close()
    assert set(_below("self")) <= before
    assert (await reader.read(spool("c.txt", b"hello"))) == ReadDocument(format="text", text="hello", facts=("1 line",))


async def test_where_the_process_that_stands_by_died_another_one_starts(reader: ChildReader, spool: Spool) -> None:
    slow = asyncio.create_task(reader.read(spool("a.rtf", SLOW)))
    child = await _limited_child()
    stands_by = _parent(child)
    os.kill(stands_by, signal.SIGKILL)
    with pytest.raises(UnreadableFile, match=r"^a\.rtf can't be read"):
        await slow
    await _gone(child.name)
    assert str(stands_by) not in _below("self")
    assert (await reader.read(spool("b.txt", b"hello"))).kind == "document"


async def test_a_process_that_stands_by_and_does_not_answer_is_replaced(spool: Spool) -> None:
    reader = limited(wall_seconds=4)
    slow = asyncio.create_task(reader.read(spool("a.rtf", SLOW)))
    child = await _limited_child()
    stands_by = _parent(child)
    os.kill(stands_by, signal.SIGSTOP)
    with pytest.raises(UnreadableFile, match=r"^a\.rtf takes longer than 4 s to read"):
        await slow
    await _gone(child.name)
    assert str(stands_by) not in _below("self")
    assert (await reader.read(spool("b.txt", b"hello"))).kind == "document"
    await reader.close()


async def test_a_library_that_is_broken_refuses_its_format_alone(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pi_heif.py").write_text("raise ImportError")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    others = set(_below("self"))
    reader = ChildReader(DocumentSettings())
    for _ in range(2):
        with pytest.raises(UnreadableFile, match=r"^a\.png can't be read"):
            await reader.read(spool("a.png", b"\x89PNG\r\n\x1a\n"))
        assert (await reader.read(spool("b.txt", b"hello"))).kind == "document"
        assert (await reader.read(spool("c.html", b"<html><p>hello"))).kind == "document"
    stands_by = set(_below("self")) - others
    assert (await reader.read(spool("b.txt", b"hello"))).kind == "document"
    assert set(_below("self")) - others == stands_by != set()
    await reader.close()


@pytest.mark.parametrize("free", [0, 1])
async def test_where_the_system_has_no_descriptor_left_the_others_are_read_on(reader: ChildReader, spool: Spool, free: int) -> None:
    slow = asyncio.create_task(reader.read(spool("a.rtf", SLOW)))
    child = await _limited_child()
    stands_by = _parent(child)
    await _rests(stands_by)
    held = len(os.listdir(f"/proc/{stands_by}/fd"))
    before = resource.prlimit(stands_by, resource.RLIMIT_NOFILE, (held + free, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with pytest.raises(UnreadableFile, match=r"^b\.txt can't be read"):
        await reader.read(spool("b.txt", b"hello"))
    resource.prlimit(stands_by, resource.RLIMIT_NOFILE, before)
    assert (await reader.read(spool("c.txt", b"hello"))).kind == "document"
    assert _below(str(stands_by)) == [child.name]
    for _ in range(1000):  # it lets go of an ended child's pipe at its next look
        if len(os.listdir(f"/proc/{stands_by}/fd")) == held:
            break
        await asyncio.sleep(0.01)
    assert len(os.listdir(f"/proc/{stands_by}/fd")) == held
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow


async def test_after_a_while_without_files_nothing_stands_by(spool: Spool) -> None:
    before = set(_below("self"))
    reader = ChildReader(DocumentSettings(), idle_seconds=0)
    assert (await reader.read(spool("a.txt", b"hello"))).kind == "document"
    for process in set(_below("self")) - before:
        await _gone(process)


async def test_nothing_is_left_of_a_server_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "a.rtf").write_bytes(SLOW)
    code = f"""
import asyncio
from pathlib import Path
from assistant.contracts.turns import Upload
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
path = Path({str(tmp_path / "a.rtf")!r})
asyncio.run(ChildReader(DocumentSettings()).read(Upload(name=path.name, path=path, size=path.stat().st_size, digest="0" * 64)))
"""
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=Path(__file__).parents[2])
    child = await _limited_child(str(server.pid))
    server.kill()
    await server.wait()
    await _gone(child.name)


async def _rests(process: int) -> None:
    """Waits until it sleeps: it has imported all that it wants to, and closed the descriptors that it passed on."""
    async with asyncio.timeout(30):
        while True:
            if _state(process) == "S":
                return
            await asyncio.sleep(0.005)


async def _gone(process: str) -> None:
    """Waits until a process has ended (it may be a zombie where nothing takes orphans)."""
    async with asyncio.timeout(30):
        while True:
            try:
                status = await asyncio.to_thread(Path(f"/proc/{process}/status").read_text)
            except (FileNotFoundError, ProcessLookupError):
                return
            if "State:\tZ" in status:
                return
            await asyncio.sleep(0.005)


async def test_a_cancelled_reading_leaves_no_child(reader: ChildReader, spool: Spool) -> None:
    others = set(_children())
    task = asyncio.create_task(reader.read(spool("a.rtf", SLOW)))
    await _limited_child()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert set(_children()) <= others


async def test_waiting_for_a_place_does_not_count_as_reading(spool: Spool) -> None:
    others = set(_children())
    reader = ChildReader(DocumentSettings(parallel=1, wall_seconds=2))
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(set(_children()) - others))
            await asyncio.sleep(0.005)

    watcher = asyncio.create_task(watch())
    slow = [asyncio.create_task(reader.read(spool(f"{number}.rtf", SLOW))) for number in range(2)]
    quick = asyncio.create_task(reader.read(spool("a.txt", b"hello")))
    results = await asyncio.gather(*slow, quick, return_exceptions=True)
    watcher.cancel()
    assert [str(result) for result in results[:2]] == [f"{n}.rtf takes longer than 2 s to read (documents.wallSeconds)." for n in range(2)]
    assert getattr(results[2], "text", "") == "hello"
    assert most == 1
    assert set(_children()) <= others


async def test_a_link_is_not_followed(reader: ChildReader, spool: Spool, tmp_path: Path) -> None:
    upload = spool("a.txt", b"hello")
    upload.path.rename(tmp_path / "elsewhere")
    upload.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        await reader.read(upload)

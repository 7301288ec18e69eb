"""A file that is no whole backup, or a hostile one, is refused in words, and nothing is changed."""

import gzip
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from hashlib import sha256
from itertools import compress
from pathlib import Path
from typing import Any

import ormsgpack
import pytest

from tests.flow.nanobot_process import Nanobot

from .filled import files_of, rows_of

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    nanobot = Nanobot(folder=tmp_path_factory.mktemp("backed-up"))
    nanobot("chat", "hello")
    (nanobot.home / "workspace" / "big").write_bytes(b"0123456789" * 10_000)
    assert nanobot("backup", "file").returncode == 0
    return (nanobot.folder / "file").read_bytes()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Nanobot:
    """Where something else is kept."""
    nanobot = Nanobot(folder=tmp_path_factory.mktemp("used"))
    nanobot("chat", "something else")
    return nanobot


def restored(used: Nanobot, file: bytes, *more: str) -> subprocess.CompletedProcess[str]:
    """The file is elsewhere: what is around the state is compared, and tests of a module come in any order where workers share them."""
    with tempfile.NamedTemporaryFile() as broken:
        broken.write(file)
        broken.flush()
        return used(*(more or ("restore", "--force")), broken.name)


def refused(used: Nanobot, file: bytes) -> str:
    """What is said when it is restored; everything is as it was."""
    before = rows_of(f"sqlite:///{used.home}/nanobot.db"), files_of(used.home), sorted(used.home.parent.iterdir())
    done, checked = restored(used, file), restored(used, file, "backup", "--check")
    assert (done.returncode, checked.returncode) == (1, 1)
    assert "Traceback" not in done.stderr + checked.stderr
    assert (rows_of(f"sqlite:///{used.home}/nanobot.db"), files_of(used.home), sorted(used.home.parent.iterdir())) == before
    assert not (used.home / "restoring").exists()
    return done.stderr


def members_of(file: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(file)) as tar:
        return [(member, (tar.extractfile(member) or io.BytesIO()).read() if member.isreg() else b"") for member in tar]


def archive_of(members: Members, *, mended: bool) -> bytes:
    """`mended`: with sums and a manifest that belong to it, as an attacker would make it."""
    if mended:
        last, manifest = members.pop()
        sums, _ = members.pop()
        files = [(member, data) for member, data in members if member.isreg()]
        text = "".join([f"{sha256(data).hexdigest()}  {member.name}\n" for member, data in files]).encode()
        kept = [data for member, data in files if member.name.startswith("files/")]
        manifest = json.dumps(
            json.loads(manifest) | {"sums": sha256(text).hexdigest(), "files": len(kept), "size": sum(map(len, kept))}
        ).encode()
        members += [(sums, text), (last, manifest)]
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as zipped, tarfile.open(fileobj=zipped, mode="w|") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.7, 0.95, 0.999])
def test_a_backup_that_was_cut_is_refused(backup: bytes, used: Nanobot, part: float) -> None:
    said = refused(used, backup[: int(len(backup) * part)])
    assert "cut off" in said or "(empty file)" in said


@pytest.mark.parametrize("part", [0.01, 0.2, 0.5, 0.9])
def test_a_backup_with_a_wrong_byte_is_refused(backup: bytes, used: Nanobot, part: float) -> None:
    at = int(len(backup) * part)
    # Where a name or a size was hit, it is told as such.
    assert refused(used, backup[:at] + bytes([backup[at] ^ 0x10]) + backup[at + 1 :]).startswith(
        ("nanobot: The backup", "nanobot: The file")
    )


def test_other_files_are_no_backups(used: Nanobot) -> None:
    for file in (b"hello" * 1000, gzip.compress(b"hello" * 1000), archive_of([(tarfile.TarInfo("a"), b"b")], mended=False)):
        assert refused(used, file).startswith(("nanobot: The file is not a backup of nanobot", "nanobot: The backup is damaged"))


def test_a_file_that_was_exchanged_is_named(backup: bytes, used: Nanobot) -> None:
    members = [(member, data[::-1] if member.name.endswith("/big") else data) for member, data in members_of(backup)]
    assert "'files/workspace/big' is not as it was written" in refused(used, archive_of(members, mended=False))


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, to
    return found


def with_headers(name: str, **headers: str) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.pax_headers = {key.replace("_", "."): value for key, value in headers.items()}
    return found


HOSTILE: dict[str, Callable[[], tarfile.TarInfo]] = {
    "up": lambda: tarfile.TarInfo("files/workspace/../../../../evil"),
    "absolute": lambda: tarfile.TarInfo("/tmp/evil"),
    "elsewhere": lambda: tarfile.TarInfo("plan.json"),
    "place": lambda: tarfile.TarInfo("elsewhere/evil"),
    "dots": lambda: tarfile.TarInfo("files/./workspace/evil"),
    "link": lambda: link("files/workspace/evil", "/etc"),
    "hard link": lambda: link("files/workspace/evil", "files/workspace/big", tarfile.LNKTYPE),
    "device": lambda: link("files/workspace/evil", "", tarfile.CHRTYPE),
    "pipe": lambda: link("files/workspace/evil", "", tarfile.FIFOTYPE),
    "twice": lambda: tarfile.TarInfo("files/workspace/big"),
    "in a folder of config": lambda: tarfile.TarInfo("config/config.d/evil"),
    "sparse": lambda: with_headers(
        "files/workspace/evil", GNU_sparse_map="0,0", GNU_sparse_size=f"{10**15}", GNU_sparse_major="0", GNU_sparse_minor="1"
    ),
    "no time": lambda: with_headers("files/workspace/evil", mtime="1e300"),
    "two things": lambda: tarfile.TarInfo("files/workspace/big/evil"),
    "no table": lambda: tarfile.TarInfo("rows/sqlite_master/000000"),
    "no number": lambda: tarfile.TarInfo("rows/sessions/evil"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_leaves_no_trace(backup: bytes, used: Nanobot, kind: str) -> None:
    members = members_of(backup)
    members.insert(len(members) - 2, (HOSTILE[kind](), b""))
    if kind == "two things":  # seen where it is unpacked
        assert "as two things" in restored(used, archive_of(members, mended=True)).stderr
        return
    said = refused(used, archive_of(members, mended=True))
    assert "which no backup of nanobot does" in said or "twice" in said
    assert not list(used.folder.rglob("evil"))


def changed(backup: bytes, name: str, change: Callable[[dict[str, Any]], object]) -> bytes:
    members = members_of(backup)
    for number, (member, data) in enumerate(members):
        if member.name == name:
            values = json.loads(data)
            change(values)
            members[number] = (member, json.dumps(values).encode())
    return archive_of(members, mended=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "newer version of nanobot"),
        ({"revision": "9999", "version": "7.0"}, "The backup was made by nanobot 7.0, whose schema (9999) is newer"),
        ({"revision": "'; --"}, "head is not one"),
        ({"made": "yesterday"}, "head is not one"),
        ({"tables": {"sqlite_master": ["sql"]}}, "The backup's table 'sqlite_master' is none of its revision"),
    ],
)
def test_a_head_that_is_not_ours_is_refused(backup: bytes, used: Nanobot, change: dict[str, object], words: str) -> None:
    assert words in refused(used, changed(backup, "head.json", lambda head: head.update(change)))


def test_what_a_backup_says_of_itself_steers_no_terminal(backup: bytes, used: Nanobot) -> None:
    said = refused(used, changed(backup, "head.json", lambda head: head.update({"revision": "9999", "version": "7\x1b[2J"})))
    (used.folder / "broken").write_bytes(
        changed(backup, "head.json", lambda head: head.update({"version": "7\x1b[2J", "host": "\x1b]0;h"}))
    )
    told = used("backup", "--check", "broken").stdout
    (used.folder / "broken").unlink()
    assert ("by nanobot 7" in said, "by nanobot 7" in told, "\x1b" in said + told) == (True, True, False)


def test_columns_that_are_none_are_refused(backup: bytes, used: Nanobot) -> None:
    def rename(head: dict[str, Any]) -> None:
        head["tables"]["sessions"][0] = 'id") VALUES (1); --'

    assert "The backup's table 'sessions' is none of its revision" in restored(used, changed(backup, "head.json", rename)).stderr


def test_rows_whose_owners_are_missing_are_refused(backup: bytes, used: Nanobot) -> None:
    members = [(member, data) for member, data in members_of(backup) if not member.name.startswith("rows/sessions/")]
    name, manifest = members[-1]
    values = json.loads(manifest)
    values["rows"]["sessions"] = 0
    members[-1] = (name, json.dumps(values).encode())
    assert "rows whose owners are missing" in restored(used, archive_of(members, mended=True)).stderr


def test_numbers_that_no_store_holds_are_refused(backup: bytes, used: Nanobot) -> None:
    members = members_of(backup)
    for place, (member, data) in enumerate(members):
        if member.name.startswith("rows/sessions/"):
            rows = [[(1 << 64) - 1 if isinstance(value, int) else value for value in row] for row in ormsgpack.unpackb(data)]
            members[place] = (member, ormsgpack.packb(rows))
    (used.folder / "broken").write_bytes(archive_of(members, mended=True))
    assert "its rows of 'sessions' do not fit together" in used("restore", "--force", "broken").stderr


def test_counts_that_no_store_holds_are_refused(backup: bytes, used: Nanobot) -> None:
    members = members_of(backup)
    name, manifest = members[-1]
    members[-1] = (name, json.dumps(json.loads(manifest) | {"sequences": {"outbox": 1 << 63}}).encode())
    (used.folder / "broken").write_bytes(archive_of(members, mended=True))
    assert "its manifest is not one" in used("restore", "--force", "broken").stderr


TABLES_SINCE_0018 = ("channel_notes", "browsers", "channel_holds")
SINCE_0018 = {
    "outbox": {"follows"},
    "outbox_parts": {"reached_at", "read_at"},
    "people": {"prefers"},
    "chats": {"identity"},
    "sessions": {"title", "opening"},
}


def older(backup: bytes) -> bytes:
    """A backup as revision 0018 made it."""
    members = members_of(backup)
    head = json.loads(next(data for member, data in members if member.name == "head.json"))
    kept: list[tuple[tarfile.TarInfo, bytes]] = []
    for member, data in members:
        table = member.name.split("/")[1] if member.name.startswith("rows/") else ""
        if table in TABLES_SINCE_0018:
            continue
        if gone := SINCE_0018.get(table):
            stays = [name not in gone for name in head["tables"][table]]
            data = ormsgpack.packb([list(compress(row, stays)) for row in ormsgpack.unpackb(data)])
        kept.append((member, data))
    head |= {"revision": "0018", "version": "0.0.9"}
    for table in TABLES_SINCE_0018:
        del head["tables"][table]
    for table, columns in SINCE_0018.items():
        head["tables"][table] = [name for name in head["tables"][table] if name not in columns]
    changed_head = [(member, json.dumps(head).encode() if member.name == "head.json" else data) for member, data in kept]
    return archive_of(changed_head, mended=True)


def test_a_backup_of_an_earlier_version_is_brought_to_this_one(backup: bytes, tmp_path: Path) -> None:
    nanobot = Nanobot(folder=tmp_path)
    (tmp_path / "older").write_bytes(older(backup))
    done = nanobot("restore", "older")
    assert (done.returncode, "by nanobot 0.0.9" in done.stdout) == (0, True), done.stderr
    assert "hello" in nanobot("sessions", "show", "api:cli").stdout
    assert "frozen" in nanobot("deliveries", "list").stderr

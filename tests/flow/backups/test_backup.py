"""`nanobot backup` and `nanobot restore`, as they are used: while a server answers, on another machine, with secrets and without."""

import base64
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest

from tests.flow.nanobot_process import LIMIT, Nanobot, Server
from tests.flow.terminal import Terminal

from .filled import files_of, rows_of

KEPT_MIB = int(os.environ.get("KEPT_MIB") or "4")
"""How large the files are that a server has which is backed up under load."""
PASSING = ("pulse", "channel_states", "channel_holds", "limit_uses")


def at(folder: Path, **env: str) -> Nanobot:
    folder.mkdir(exist_ok=True)
    return Nanobot(folder=folder, env=env)


def url_of(nanobot: Nanobot) -> str:
    return f"sqlite:///{nanobot.home / 'nanobot.db'}"


def say(server: Server, session: str, number: int) -> None:
    """A turn with a file of its own."""
    data = base64.b64encode(f"{session} {number} ".encode() * 500).decode()
    file = {"type": "file", "file": {"filename": "notes.txt", "file_data": f"data:text/plain;base64,{data}"}}
    content = [{"type": "text", "text": f"message {number}"}, *([file] if number % 3 == 0 else [])]
    body = json.dumps({"session_id": session, "messages": [{"role": "user", "content": content}]}).encode()
    request = urllib.request.Request(f"{server.url}/v1/chat/completions", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=LIMIT).close()


def keep_a_file(server: Server, number: int) -> None:
    """Half a MiB, and what was read in it: a MiB on the disk."""
    text = os.urandom(256 * 1024).hex()
    form = '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--b\r\nContent-Disposition: form-data; name="file"; '
    body = f'{form}filename="{number}.txt"\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--b--\r\n'.encode()
    request = urllib.request.Request(f"{server.url}/v1/files", body, {"Content-Type": "multipart/form-data; boundary=b"})
    urllib.request.urlopen(request, timeout=LIMIT).close()


def stored(nanobot: Nanobot) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows for name, rows in rows_of(url_of(nanobot)).items() if name not in PASSING}


def test_a_server_under_load_is_backed_up_as_of_one_moment(tmp_path: Path) -> None:
    first, second = at(tmp_path / "first"), at(tmp_path / "second")
    full, begun = Event(), Barrier(5)

    def keep_saying(session: str) -> int:
        number = 0
        while number < 2 or not full.is_set():
            say(server, session, number)
            number += 1
            if number == 1:
                begun.wait(LIMIT)
        return number

    with first.serving() as server, ThreadPoolExecutor(4) as pool:
        say(server, "before", 0)
        list(pool.map(partial(keep_a_file, server), range(KEPT_MIB)))
        talks = [pool.submit(keep_saying, f"s{number}") for number in range(4)]
        try:
            begun.wait(LIMIT)
            files = [tmp_path / f"{number}.tar.gz" for number in range(3)]
            for file in files:
                assert first("backup", str(file)).returncode == 0
        finally:
            full.set()
        assert min(talk.result(LIMIT) for talk in talks) > 1
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert second("restore", str(file), "--force").returncode == 0
        check_whole(first, second)


def check_whole(first: Nanobot, second: Nanobot) -> None:
    """All that was restored is of one moment, and nothing of what was there then is missing."""
    then, now = stored(second), stored(first)
    assert len(then["messages"]) > 2
    assert {*then["messages"]} <= {*now["messages"]}
    messages = {session: len([1 for row in then["messages"] if row[0] == session]) for session in {row[0] for row in then["sessions"]}}
    assert messages == {row[0]: row[5] for row in then["sessions"]}
    assert {row[1] for row in then["turns"]} <= messages.keys()
    digests = {row[3] for row in then["attachments"]} | {row[2] for row in then["files"]}
    assert len(digests) > KEPT_MIB
    files = [second.home / "attachments" / digest[:2] / digest for digest in digests]
    assert all(sha256(file.read_bytes()).hexdigest() == file.name for file in files)


def test_what_was_backed_up_is_the_same_elsewhere(tmp_path: Path) -> None:
    first, second = at(tmp_path / "first"), at(tmp_path / "second")
    with first.serving() as server:
        for number in range(4):
            say(server, f"s{number}", number)
        server.process.terminate()
        assert server.process.wait(LIMIT) == 0
    workspace = first.home / "workspace"
    (workspace / "with spaces\nand a line").mkdir()
    (workspace / "with spaces\nand a line" / os.fsdecode(b"not utf-8 \xff")).write_bytes(b"\x00\xff" * 1000)
    (workspace / "big").write_bytes(os.urandom(9 << 20))
    (workspace / "run.sh").touch(0o700)
    (workspace / "out\x1b[2J").symlink_to("/etc")
    (first.home / "channels" / "matrix").mkdir(parents=True)
    keys = sqlite3.connect(first.home / "channels" / "matrix" / "keys.db")
    keys.execute("PRAGMA journal_mode = WAL")
    keys.execute("CREATE TABLE keys (key)")
    keys.execute("INSERT INTO keys VALUES ('secret')")
    keys.commit()  # and still open, as in a server that runs
    file = tmp_path / "backup"
    done = first("backup", str(file))
    assert (done.returncode, f"left out, as it is a link or no file: {workspace}/out\ufffd[2J" in done.stderr) == (0, True)
    assert second("backup", "--check", str(file)).stdout.startswith(f"{file} is whole: ")
    done = second("restore", str(file))
    assert done.stdout.splitlines()[-1].startswith("the store is frozen")
    keys.close()
    (workspace / "out\x1b[2J").unlink()
    assert stored(second) == stored(first)
    here, there = files_of(first.home), files_of(second.home)
    assert here.pop("channels/matrix/keys.db")
    assert there.pop("channels/matrix/keys.db")
    assert there == here
    keys = sqlite3.connect(second.home / "channels" / "matrix" / "keys.db")
    assert keys.execute("SELECT key FROM keys").fetchall() == [("secret",)]
    keys.close()
    assert os.access(second.home / "workspace" / "run.sh", os.X_OK)
    assert "message 3" in second("sessions", "show", "s3").stdout


def test_it_goes_through_a_pipe(tmp_path: Path) -> None:
    first, second = at(tmp_path / "first"), at(tmp_path / "second")
    first("chat", "hello")
    line = [sys.executable, "-m", "assistant.cli"]
    made = subprocess.run([*line, "backup", "-"], cwd=first.folder, env=first.environment, capture_output=True, timeout=LIMIT, check=True)
    assert b" rows, " in made.stderr
    subprocess.run([*line, "restore", "-"], cwd=second.folder, env=second.environment, input=made.stdout, timeout=LIMIT, check=True)
    assert stored(second) == stored(first)


def test_a_bar_is_drawn_on_a_terminal_only(tmp_path: Path) -> None:
    nanobot = at(tmp_path / "one")
    nanobot("chat", "hello")
    with Terminal(nanobot, "backup", "file") as terminal:
        assert "━━━" in terminal.read_until("rows, ")


def test_what_would_be_lost_is_named_and_a_server_that_runs_is_left_alone(tmp_path: Path) -> None:
    nanobot = at(tmp_path / "one")
    nanobot("chat", "hello")
    assert nanobot("backup", "file").returncode == 0
    again = nanobot("backup", "file")
    assert (again.returncode, "file exists already" in again.stderr) == (1, True)
    refused = nanobot("restore", "file")
    assert refused.returncode == 1
    assert re.search(r"not empty: \d+ rows in the store, /.*/workspace\. Add --force", refused.stderr)
    with nanobot.serving():
        before = stored(nanobot), files_of(nanobot.home)
        refused = nanobot("restore", "file", "--force")
        assert (refused.returncode, "Stop it first." in refused.stderr) == (1, True)
        assert (stored(nanobot), files_of(nanobot.home)) == before


CONFIG = """{
  // spoken to by everyone at home
  "providers": {"openai": {"apiKey": "sk-literal-1234", "apiBase": "http://127.0.0.1:1/v1"}},
  "api": {"apiKey": "${MY_KEY}"}, // from the environment
  "channels": {"telegram": {"enabled": false, "token": "123:literal"}},
  "mcp": {"servers": {"notes": {"url": "https://notes.example/mcp", "headers": {"Authorization": "Bearer literal"}}}},
}
"""


def test_the_configuration_is_kept_without_secrets(tmp_path: Path) -> None:
    first, second = at(tmp_path / "first", MY_KEY="k" * 20), at(tmp_path / "second")
    (first.folder / "config.json5").write_text(CONFIG)
    first("chat", "hello")
    done = first("backup", "../file")
    assert (done.returncode, "3 secrets of the configuration are not in it" in done.stderr) == (0, True)
    done = second("restore", "../file")
    assert f"the backup's configuration is {second.home}/config.json5 now" in done.stdout
    text = (second.home / "config.json5").read_text()
    assert text == CONFIG.replace("sk-literal-1234", "${PROVIDERS_OPENAI_API_KEY}").replace(
        "123:literal", "${CHANNELS_TELEGRAM_TOKEN}"
    ).replace("Bearer literal", "${MCP_SERVERS_NOTES_HEADERS_AUTHORIZATION}")
    assert "the environment variable PROVIDERS_OPENAI_API_KEY is not set" in second("config", "check").stderr


def test_the_configuration_is_kept_with_secrets_where_that_is_wished(tmp_path: Path) -> None:
    first, second = at(tmp_path / "first"), at(tmp_path / "second")
    first.home.mkdir()
    (first.home / "config.json5").write_text(CONFIG)
    (first.home / "secrets.env").write_text("MY_KEY=kkkkkkkkkkkkkkkkkkkk\n")
    (first.home / "secrets.env").chmod(0o600)
    assert first("backup", "../file", "--with-secrets").returncode == 0
    assert second("restore", "../file").returncode == 0
    assert (second.home / "config.json5").read_text() == CONFIG
    assert (second.home / "secrets.env").read_text() == "MY_KEY=kkkkkkkkkkkkkkkkkkkk\n"
    assert second("config", "check").returncode == 0


def test_a_configuration_that_is_found_at_no_place_of_its_own_stays_in_the_backup(tmp_path: Path) -> None:
    first, second = at(tmp_path / "first"), at(tmp_path / "second")
    (first.folder / "mine.toml").write_text("[api]\nport = 9000\n")
    assert first("backup", "../file", "--with-secrets", "--config", "mine.toml").returncode == 0
    done = second("restore", "../file")
    assert "What is built in holds; the backup's own configuration: tar -xzOf ../file config/config.toml" in done.stdout


@pytest.mark.parametrize("arguments", [("backup", "/nowhere/file"), ("restore", "/nowhere/file"), ("backup", "--check", "/nowhere/file")])
def test_a_place_that_is_not_there_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = at(tmp_path / "one")(*arguments)
    assert (done.returncode, "/nowhere/" in done.stderr, "No such file or directory" in done.stderr) == (1, True, True)


def test_a_store_that_is_past_reading_is_moved_away_and_replaced(tmp_path: Path) -> None:
    nanobot = at(tmp_path / "one")
    nanobot("chat", "hello")
    assert nanobot("backup", "file").returncode == 0
    database = nanobot.home / "nanobot.db"
    database.write_bytes(b"no database " * 1000)
    stopped = nanobot("serve", "--port", "0")
    assert (stopped.returncode, "nanobot restore FILE brings a backup back" in stopped.stderr) == (1, True)
    refused = nanobot("restore", "file", "--force")
    assert (refused.returncode, f"move {database} away, with its -wal and -shm, and restore then." in refused.stderr) == (1, True)
    for left in nanobot.home.glob("nanobot.db*"):
        if left.is_file():
            left.unlink()
    assert nanobot("restore", "file", "--force").returncode == 0
    assert "hello" in nanobot("sessions", "show", "api:cli").stdout


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_server_on_postgresql_takes_over_what_one_on_sqlite_had(tmp_path: Path, url: str) -> None:
    first, second, third = at(tmp_path / "first"), at(tmp_path / "second", NANOBOT_STORE__URL=url), at(tmp_path / "third")
    first("chat", "hello")
    assert first("backup", "../one").returncode == 0
    assert second("restore", "../one").returncode == 0
    assert "frozen" in second("doctor").stdout
    assert second("resume").stdout == "resumed\n"
    with second.serving() as server:
        say(server, "more", 0)
        refused = second("restore", "../one", "--force")
        assert (refused.returncode, "A server uses this store" in refused.stderr) == (1, True)
        assert second("backup", "../two").returncode == 0
    assert third("restore", "../two").returncode == 0
    assert {"hello" in third("sessions", "show", "api:cli").stdout, "message 0" in third("sessions", "show", "more").stdout} == {True}
    assert len(list((third.home / "attachments").glob("??/*"))) > 0

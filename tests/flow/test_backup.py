"""docs/backup.md, done as it says: what a running server holds is in the copy."""

import base64
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

from .nanobot_process import LIMIT, ROOT, Nanobot

PAGE = ROOT / "docs" / "backup.md"


def test_a_copy_made_while_the_server_runs_has_its_sessions_and_files(tmp_path: Path) -> None:
    nanobot = Nanobot(folder=tmp_path)
    script = re.search(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    with nanobot.serving() as server:
        body = {
            "session_id": "kept",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}, file_part(b"of the file")]}],
        }
        request = urllib.request.Request(
            f"{server.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=LIMIT).close()
        subprocess.run(["bash", "-euc", script[1]], cwd=tmp_path, env=nanobot.environment, timeout=LIMIT, check=True)
    assert [path.stat().st_mode & 0o077 for path in (tmp_path / "nanobot-backup", tmp_path / "nanobot-backup" / "nanobot.db")] == [0, 0]
    shutil.rmtree(nanobot.home)
    (tmp_path / "nanobot-backup").rename(nanobot.home)
    shown = nanobot("sessions", "show", "kept").stdout
    assert "hello" in shown
    assert "notes.txt" in shown
    assert [path.read_bytes() for path in nanobot.home.glob("attachments/??/*") if path.suffix == ""] == [b"of the file"]


def file_part(contents: bytes) -> dict[str, object]:
    return {"type": "file", "file": {"filename": "notes.txt", "file_data": f"data:text/plain;base64,{base64.b64encode(contents).decode()}"}}

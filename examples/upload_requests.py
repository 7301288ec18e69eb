"""Two files and a question about them, with requests."""

import os
from contextlib import ExitStack
from pathlib import Path

import requests

base = os.environ.get("NANOBOT_URL", "http://127.0.0.1:8900")
folder = Path(__file__).parent / "files"

with ExitStack() as opened:
    files = [("files", opened.enter_context((folder / name).open("rb"))) for name in ("report.docx", "data.xlsx")]
    resp = requests.post(
        f"{base}/v1/chat/completions",
        data={"message": "Compare these files", "session_id": "my-session"},
        files=files,
        timeout=120,
    )
if not resp.ok:
    raise SystemExit(resp.json()["error"]["message"])  # says which file, what is wrong with it and what to do
print(resp.json()["choices"][0]["message"]["content"])

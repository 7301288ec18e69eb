"""`run_chat_server`, called by another program."""

import signal
import subprocess
import sys
from pathlib import Path

import requests

from tests.flow.nanobot_process import LIMIT, ROOT, Nanobot

PROGRAM = """
from assistant.mount import run_chat_server
run_chat_server("127.0.0.1", 0, "offline", tools=["message"], workflows=["morning-briefing"],
                on_listening=lambda assistant, port: print(port, flush=True))
print("over")
"""


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM]
    environment = Nanobot(folder=tmp_path).environment
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            listed = requests.get(f"http://127.0.0.1:{port}/v1/models", timeout=LIMIT).json()["data"]
            assert [model["id"] for model in listed] == ["offline", "agent:main", "workflow:morning-briefing"]
            assert requests.get(f"http://127.0.0.1:{port}/health", timeout=LIMIT).status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == "over\n"
            assert process.wait(LIMIT) == 0
        finally:
            process.kill()


def test_it_refuses_an_address_that_others_reach_where_nobody_is_asked_who_they_are(tmp_path: Path) -> None:
    program = "from assistant.mount import run_chat_server; run_chat_server('0.0.0.0', 0)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=Nanobot(folder=tmp_path).environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 1
    assert "CannotServe: api.host is '0.0.0.0', which other machines can reach" in done.stderr


def test_mounting_does_not_pay_for_what_is_not_used() -> None:
    heavy = ["rich", "typer", "sqlmodel", "sqlalchemy", "alembic", "aiohttp", "json5", "PIL", "pypdf", "jwt"]
    code = f"import sys, assistant.mount; print([name for name in {heavy} if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=True)
    assert seen.stdout.strip() == "[]"

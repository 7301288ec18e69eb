"""The command line `llm`: a prompt, its continuation, a system prompt, a tool."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import BASE, CALL, MODEL, equal, run

home = Path(tempfile.mkdtemp())
(home / "extra-openai-models.yaml").write_text(
    f"- model_id: it\n  model_name: '{MODEL}'\n  api_base: '{BASE}'\n  api_key_name: none\n  supports_tools: true\n"
)
(home / "keys.json").write_text('{"none": "none"}')


def llm(*args: str) -> str:
    command = [str(Path(sys.executable).with_name("llm")), *args]
    done = subprocess.run(command, env={**os.environ, "LLM_USER_PATH": str(home)}, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


def prompt() -> None:
    equal(llm("-m", "it", "-s", "Be brief.", "ECHO a"), "a")


def continued() -> None:
    equal(llm("-m", "it", "-c", "ECHO b"), "b")


def tools() -> None:
    code = "def weather(at: str) -> str:\n    return 'rain'\n"
    equal(llm("-m", "it", "--functions", code, CALL), "done")


run(prompt, continued, tools)

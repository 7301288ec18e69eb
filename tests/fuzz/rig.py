"""A server with one of everything: agents, models of each type, workflows, a channel, a hook, and required keys."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

import assistant
from tests.doubles.live_server import LiveServer, live_server
from tests.doubles.model_process import running_model
from tests.doubles.telegram_api.thread import telegram_in_thread

HOOK: Final = "inbox"
_HOOK_SECRET: Final = "a-bearer-of-the-fuzzers-own"
_CHAT: Final = "101"
_NOBODY: Final = "1187654321098765432"
"""A chat of a disabled channel: messages to it wait."""
_SLOW: Final = 30.0
_WORKFLOW: Final = """\
name: Greet
description: Says hello, and waits for nothing.
inputs:
  message: {default: ECHO hello}
  attachment: {type: file, required: false}
nodes:
  greeting: {kind: prompt, prompt: "{{ inputs.message }}"}
  line: {kind: template, text: "> {{ greeting.output }}"}
outputs:
  line: "{{ line.output }}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    server: LiveServer
    secrets: dict[str, str]
    """Secrets by the name of a security scheme of the description. `few` is a key with one scope and low limits."""
    chat: str
    """A chat on Telegram that takes messages."""


@contextmanager
def running_rig() -> Generator[Rig]:
    """Ready, with one of each thing that has an id. Its state is in a temporary folder."""
    with (
        tempfile.TemporaryDirectory(prefix="nanobot-fuzz-") as folder,
        running_model() as model,
        telegram_in_thread() as telegram,
    ):
        home = Path(folder)
        workflows = home / "workspace" / "workflows"
        workflows.mkdir(parents=True)
        (workflows / "greet.yaml").write_text(_WORKFLOW, encoding="utf-8")
        config = {
            "auth": {"mode": "keys"},
            "agents": {
                "defaults": {"provider": "custom", "model": "fake-model", "mayMessage": "any", "workspace": str(home / "workspace")},
                "beta": {"instructions": "You are beta."},
            },
            "providers": {"custom": {"apiBase": model.url, "apiKey": "not-a-secret"}},
            "models": {
                "talker": {"provider": "custom"},
                "writer": {"type": "completion", "provider": "custom"},
                "vectors": {"type": "embedding", "provider": "custom"},
            },
            "channels": {
                "telegram": {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": ["*"]},
                "webhook": {"enabled": True, "hooks": {HOOK: {"bearer": _HOOK_SECRET}}},
            },
        }
        with live_server(home, config=config) as server:
            secrets = {
                "key": _new_key(home, "all", "--scope", "admin"),
                "few": _new_key(home, "few", "--scope", "models", "--rpm", "20"),
                "hook": _HOOK_SECRET,
            }
            _plant(server.url, secrets["key"])
            yield Rig(server=server, secrets=secrets, chat=_CHAT)


def _new_key(home: Path, name: str, *options: str) -> str:
    command = [sys.executable, "-m", "assistant.cli", "keys", "create", name, *options, "--config", str(home / "config.json")]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "NANOBOT_HOME": str(home),
        "PYTHONPATH": str(Path(assistant.__file__).parents[1]),
    }
    shown = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=True, timeout=_SLOW)
    return shown.stdout.strip()


def _plant(url: str, key: str) -> None:
    """Create one of each thing, so that every operation has something to work on."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"
        ask = {"messages": [{"role": "user", "content": "ECHO planted"}], "session_id": "planted"}
        for path, how in (
            ("/v1/chat/completions", {"json": ask}),
            ("/v1/files", {"data": {"purpose": "user_data"}, "files": {"file": ("planted.txt", b"Planted.")}}),
            ("/workflows/greet/run", {"json": {}}),
            ("/v1/deliveries", {"json": {"channel": "telegram", "chat_id": _CHAT, "text": "Planted."}}),
            *[("/v1/deliveries", {"json": {"channel": "discord", "chat_id": _NOBODY, "text": f"Waits, {n}."}}) for n in range(3)],
        ):
            session.post(url + path, timeout=_SLOW, **how).raise_for_status()

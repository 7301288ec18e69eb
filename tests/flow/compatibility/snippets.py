"""The snippets of the five documents, kept as they are printed there, and how they are run.

What is changed in them: the host with its port, the token, the model's id. In `PLACES` stands what a document prints for the first two; a test
names the model where it asks for another one than the document does.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]
NODE = _HERE / "node"
FILES = _ROOT / "examples" / "files"
"""What the documents' uploads name."""

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
needs_packages = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules" / "openai").is_dir(),
    reason="Node, or what is installed by npm in tests/flow/compatibility/node, is not here",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document's snippets go, and with what they come in: in each of the ways that are printed there."""

    addresses: tuple[str, ...]
    tokens: tuple[str, ...] = ()


PLACES = {
    "nanobot-openai-api": Place(("127.0.0.1:8900",)),
    "nodetool-chat-api": Place(("localhost:8000",), ("YOUR_TOKEN", "YOUR_KEY")),
    "nodetool-chat-server": Place(("localhost:8080", "127.0.0.1:8080"), ("YOUR_TOKEN",)),
    "moltbot-openai-http-api": Place(("127.0.0.1:18789",), ("YOUR_TOKEN",)),
    "server-node-api": Place(("localhost:8080",), ("sk-your-secret-key",)),
}


def printed(document: str, name: str) -> str:
    """A snippet as it stands in the document."""
    return (_HERE / "snippets" / document / name).read_text(encoding="utf-8")


def snippet(document: str, name: str, *, address: str, token: str = "", models: dict[str, str] | None = None) -> str:
    """A snippet for a server of ours. The address, the token where one is given, and each of the models must find something to change."""
    text = printed(document, name)
    place = PLACES[document]
    changes = [(place.addresses, address), *[((old,), new) for old, new in (models or {}).items()]]
    if token:
        changes.append((place.tokens, token))
    for olds, new in changes:
        assert any(old in text for old in olds), f"{document}/{name} holds none of {olds}"
        for old in olds:
            text = text.replace(old, new)
    return text


async def run(text: str, name: str) -> str:
    """What a snippet prints; it must succeed. Its kind is the ending of its name."""
    node = ("node", "--experimental-websocket", "--import", str(NODE / "page.mjs"), "--input-type=module", "-")
    line = {"sh": ("bash", "-e", "-s"), "py": (sys.executable, "-"), "mjs": node}[name.rpartition(".")[2]]
    done = await asyncio.to_thread(
        subprocess.run,
        line,
        input=text,
        cwd=NODE if name.endswith(".mjs") else FILES,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout

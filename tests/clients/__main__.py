"""Runs each client's program against the assistant by its model's name, `agent:main` and a registered model, and prints a table.

    make test-clients                     installs the clients (network), then this
    python -m tests.clients --only node   the programs whose names begin so

Exits with 1 where a check fails. A client that is not installed is skipped, with the reason.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer

_HERE: Final = Path(__file__).parent
_PYTHON: Final = _HERE.parents[1] / ".venv-clients/bin/python"
_PROGRAMS: Final = (
    "python/openai",
    "python/langchain",
    "python/pydantic_ai",
    "python/agents",
    "python/llm",
    "node/openai",
    "node/ai_sdk",
    "node/codex",
)
_FILES: Final = {
    name: _HERE / "programs" / f"{name.removeprefix('python/')}_python.py" for name in _PROGRAMS if name.startswith("python/")
} | {
    "python/llm": _HERE / "programs/llm_cli.py",
    "node/openai": _HERE / "node/openai.mjs",
    "node/ai_sdk": _HERE / "node/ai_sdk.mjs",
    "node/codex": _HERE / "node/codex.mjs",
}
_TARGETS: Final = ("fake-model", "agent:main", "tuned")
_WITHIN: Final = 240.0
"""Seconds for a program: importing takes some of them."""


@dataclass(slots=True)
class Outcome:
    """What a program said: the checks that passed, and those that did not, with the reason."""

    passed: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])
    skipped: str = ""

    def __str__(self) -> str:
        names = ", ".join(reason.partition(":")[0] for reason in self.failed)
        return self.skipped or f"{len(self.passed)}/{len(self.passed) + len(self.failed)}" + (f", not: {names}" if names else "")


def config(url: str) -> dict[str, Any]:
    """The assistant takes the client's history."""
    models: dict[str, Any] = {
        "tuned": {"provider": "custom", "model": "tuned-upstream"},
        "text-embedding-3-small": {"type": "embedding", "provider": "custom"},
    }
    return {**with_model(url), "models": models, "api": {"history": "client"}}


def command(name: str, python: Path) -> list[str] | None:
    """What runs a program; None: it is not installed."""
    file = str(_FILES[name])
    if name.startswith("python/"):
        return [str(python), file] if python.exists() else None
    node, modules = shutil.which("node"), _HERE / "node/node_modules"
    return [node, file] if node and (modules / ".bin/codex" if name == "node/codex" else modules).exists() else None


async def ran(args: Sequence[str]) -> Outcome:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OPENAI_API_KEY": "none"}
    made = await asyncio.create_subprocess_exec(*args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment)
    try:
        async with asyncio.timeout(_WITHIN):
            said, complaint = await made.communicate()
    except TimeoutError:
        made.kill()
        return Outcome(failed=[f"all: it did not end within {_WITHIN:.0f} s"])
    outcome = Outcome()
    for line in said.decode(errors="replace").splitlines():
        kind, _, rest = line.partition(" ")
        if kind in ("ok", "no"):
            (outcome.passed if kind == "ok" else outcome.failed).append(rest)
    if not outcome.passed and not outcome.failed:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        missing = "ModuleNotFoundError" in last[0] or "ERR_MODULE_NOT_FOUND" in complaint.decode(errors="replace")
        return Outcome(skipped="skipped: not installed") if missing else Outcome(failed=[f"all: {last[0]}"])
    return outcome


async def table(names: Sequence[str], python: Path) -> int:
    """Prints the table; returns how many checks failed."""
    failures: list[str] = []
    print("| client | " + " | ".join(_TARGETS) + " |\n|---|" + "---|" * len(_TARGETS), flush=True)
    with tempfile.TemporaryDirectory() as home:
        async with ModelServer() as model:
            loop = asyncio.get_running_loop()
            server = live_server(Path(home), config=config(model.url), forked=False)
            served = await loop.run_in_executor(None, server.__enter__)
            try:
                for name in names:
                    args = command(name, python)
                    found = [
                        await ran([*args, served.url, target]) if args else Outcome(skipped="skipped: not installed") for target in _TARGETS
                    ]
                    print(f"| {name} | " + " | ".join(map(str, found)) + " |", flush=True)
                    for target, outcome in zip(_TARGETS, found, strict=True):
                        failures += [f"{name} on {target}: {reason}" for reason in outcome.failed]
            finally:
                await loop.run_in_executor(None, server.__exit__, None, None, None)
    print("\n" + "\n".join(failures) if failures else "")
    return len(failures)


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--only", default="", help="the beginning of programs' names")
    given.add_argument("--python", type=Path, default=_PYTHON, help="the interpreter that has the clients")
    chosen = given.parse_args()
    names = [name for name in _PROGRAMS if name.startswith(chosen.only)]
    return 1 if asyncio.run(table(names, chosen.python)) else 0


if __name__ == "__main__":
    sys.exit(main())

"""What a page shows of a terminal: blocks of `console`, each command behind "$ ", and below it what it prints, where "…" is any text."""

import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.flow.nanobot_process import Nanobot

_FENCED = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Shown:
    command: str
    output: str
    """Empty: the page shows none."""

    def fits(self, printed: str) -> bool:
        wanted = ".*".join(re.escape(piece) for piece in self.output.strip().split("…"))
        return not self.output or re.fullmatch(wanted, printed.strip(), re.DOTALL) is not None


def shown_in(page: Path) -> list[Shown]:
    """The commands of a page, in order."""
    steps = [step for block in blocks(page, "console") for step in re.split(r"^\$ ", block, flags=re.MULTILINE)]
    return [Shown(*step.replace("\\\n", "").partition("\n")[::2]) for step in steps if step.strip()]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks in a language, without the indentation that they have in a list."""
    found = _FENCED.findall(page.read_text(encoding="utf-8"))
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, kind, body in found if kind == language]


def run(step: Shown, nanobot: Nanobot, instead: Mapping[str, str]) -> str:
    """What the command prints, which must succeed. `instead`: words in place of the page's."""
    line = step.command
    for words, others in instead.items():
        line = line.replace(words, others)
    program, *arguments = shlex.split(line)
    if program == "nanobot":
        done = nanobot(*arguments)
    else:
        done = subprocess.run(
            [program, *arguments], cwd=nanobot.folder, env=nanobot.environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout

"""The port to skills: instructions for jobs that come back, each a folder whose content the owner has approved."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from assistant.contracts.errors import ToolFailed
from assistant.contracts.messages import ToolMessage
from assistant.contracts.records import record


@record
class SkillCard:
    """What the catalogue says of a skill."""

    name: str
    """1 to 64 of a-z, 0-9 and "-"."""
    description: str
    """What it does and when to use it, on one line."""


@record
class SkillText:
    """A text file of an approved skill, as it was approved."""

    text: str
    folder: Path
    """Of the skill, absolute."""
    files: tuple[str, ...]
    """All files of the skill but SKILL.md, by their paths in it."""


class Skills(Protocol):
    """The approved skills. What was changed since its approval is off."""

    def cards(self) -> Sequence[SkillCard]:
        """By name; the same object until an approval changes. Costs a `stat`."""
        ...

    async def read(self, name: str, file: str = "") -> SkillText:
        """The instructions of a skill, or one of its files. Raises ToolFailed: no such skill or file, no text, or changed since its approval."""
        ...

    async def folders(self) -> Sequence[Path]:
        """Of the skills that are as they were approved, for `SandboxCommand.readable`: their scripts run nowhere else."""
        ...


class NoSkills:
    """There are none."""

    def cards(self) -> Sequence[SkillCard]:
        return ()

    async def read(self, name: str, file: str = "") -> SkillText:
        raise ToolFailed(f"There is no skill {name!r}.")

    async def folders(self) -> Sequence[Path]:
        return ()


CONTENT: Final = re.compile(r'<skill_content name="([a-z0-9-]{1,64})">\n.*?\n</skill_content>', re.DOTALL)
"""A skill's instructions in a transcript. They stay when older results are shortened or summed up."""


def skill_content(name: str, text: str) -> str:
    """The instructions, in the form that `CONTENT` finds."""
    return f'<skill_content name="{name}">\n{text.replace("</skill_content", "< /skill_content")}\n</skill_content>'


def loaded_skills(message: ToolMessage) -> tuple[str, ...]:
    """The instructions that a result brought, each in its form."""
    if message.name != "use_skill" or message.provenance != "system" or not message.ok:
        return ()
    return tuple([found[0] for found in CONTENT.finditer(message.text)])

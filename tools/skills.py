"""`use_skill`: the instructions of a skill when a job needs them, and its files when those name them. Without skills there is no such tool."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final, cast

from pydantic import BaseModel, Field

from assistant.contracts.errors import ToolFailed
from assistant.contracts.gate import Action
from assistant.contracts.messages import Json
from assistant.contracts.models import ToolSpec
from assistant.contracts.provenance import Provenance
from assistant.contracts.skills import SkillCard, Skills, skill_content
from assistant.contracts.tools import ToolContext, ToolKind, ToolResult

PAGE_CHARS: Final = 16_000
CATALOGUE_CHARS: Final = 4_000
"""Of names and descriptions in the tool's description; what has no room there is found by `find`."""
_MOST_FOUND: Final = 20


class UseSkillParams(BaseModel):
    """Which skill, or which of its files."""

    name: str = Field("", max_length=64, description="The skill.")
    file: str = Field("", max_length=300, description="A file of it, by its path there. Omit for its instructions.")
    offset: int = Field(0, ge=0, description="The first character to read.")
    find: str = Field("", max_length=200, description="In place of a name: words of what you look for.")


class UseSkill:
    name: ClassVar[str] = "use_skill"
    description: ClassVar[str] = (
        "Read how a job is done well, before you do it: when one of these skills fits, load it first and follow its steps. It stays in view."
    )
    params: ClassVar[type[BaseModel]] = UseSkillParams
    reads_only: ClassVar[bool] = True
    actions: ClassVar[frozenset[Action]] = frozenset({"reads"})
    brings: ClassVar[Provenance] = "system"
    timeout: ClassVar[float] = 20.0

    def __init__(self, skills: Skills) -> None:
        self._skills = skills
        self._listed: Sequence[SkillCard] = ()
        self._offered: ToolSpec | None = None

    def offered(self, spec: ToolSpec) -> ToolSpec | None:
        """With the catalogue, and the names as the only values where all of them are in it."""
        cards = self._skills.cards()
        if cards is not self._listed:
            self._listed, self._offered = cards, _with_catalogue(spec, cards) if cards else None
        return self._offered

    async def run(self, params: UseSkillParams, ctx: ToolContext) -> ToolResult:
        """Raises ToolFailed for a skill or file that is not there, or is not as it was approved."""
        if not params.name:
            return ToolResult(text=_found(self._skills.cards(), params.find))
        read = await self._skills.read(params.name, params.file)
        if params.offset and params.offset >= len(read.text):
            raise ToolFailed(f"The text has {len(read.text):,} characters; offset {params.offset:,} is beyond its end.")
        last = params.offset + PAGE_CHARS
        text = read.text[params.offset : last]
        if last < len(read.text):
            file = f', file="{params.file}"' if params.file else ""
            text += f'\n[use_skill(name="{params.name}"{file}, offset={last}) goes on.]'
        if params.file or params.offset:
            return ToolResult(text=text)
        if read.files:
            text += f"\n\nIts files, for use_skill(file=…), are in {read.folder}, where run can use them: {', '.join(read.files)}"
        return ToolResult(text=skill_content(params.name, text))


def _with_catalogue(spec: ToolSpec, cards: Sequence[SkillCard]) -> ToolSpec:
    lines, left = [spec.description], CATALOGUE_CHARS
    for card in cards:
        line = f"- {card.name}: {card.description}"
        left -= len(line) + 1
        if left < 0:
            break
        lines.append(line)
    parameters = dict(spec.parameters)
    fields = dict(cast("dict[str, dict[str, Json]]", parameters["properties"]))
    if more := len(cards) - len(lines) + 1:
        lines.append(f"- and {more} more: use_skill(find=…) lists those that fit some words.")
    else:
        fields["name"] = {"type": "string", "enum": [card.name for card in cards]}
        del fields["find"]
        parameters["required"] = ["name"]
    return replace(spec, description="\n".join(lines), parameters={**parameters, "properties": cast("Json", fields)})


def _found(cards: Sequence[SkillCard], words: str) -> str:
    """The skills that have most of the words, the best first."""
    wanted = set(words.casefold().split())
    ranked = [(sum(word in f"{card.name} {card.description}".casefold() for word in wanted), card) for card in cards]
    fitting = sorted((pair for pair in ranked if pair[0] or not wanted), key=lambda pair: (-pair[0], pair[1].name))
    lines = [f"- {card.name}: {card.description}" for _, card in fitting[:_MOST_FOUND]]
    return "\n".join(lines) or "No skill fits these words."


KINDS: Final = (ToolKind(name=UseSkill.name, open=lambda settings, services: UseSkill(services.skills)),)

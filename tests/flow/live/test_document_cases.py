"""Small files that were once read wrongly, sent through the API: what the model must be told of each, or the client."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.flow.live.conftest import Live

pytestmark = pytest.mark.asyncio(loop_scope="module")

_FOLDER = Path(__file__).parents[4] / "shared" / "cases" / "documents"
_CASES: dict[str, dict[str, Any]] = json.loads((_FOLDER / "expected.json").read_text(encoding="utf-8")) if _FOLDER.is_dir() else {}


@pytest.fixture
def live(shared: Live) -> Live:
    return shared


def faults(expected: dict[str, Any], status: int, told: str, pictures: int) -> list[str]:
    """What of a case is not met. `told`: the file as the model was told it, or the refusal."""
    found = [f"has {part!r}" for part in expected.get("must_not_include", ()) if part in told]
    if "refused_includes" in expected:
        return found + (
            [f"HTTP {status}"] if status < 400 else [f"lacks {part!r}" for part in expected["refused_includes"] if part not in told]
        )
    if status != 200:
        return [*found, f"HTTP {status}"] if set(expected) - {"why", "must_not_include", "either"} else found
    found += [f"lacks {part!r}" for part in expected.get("must_include", ()) if part not in told]
    found += [f"lacks /{pattern}/" for pattern in expected.get("must_match", ()) if not re.search(pattern, told)]
    if pictures < expected.get("model_gets_pictures", 0):
        found.append(f"{pictures} pictures")
    if len(told) > expected.get("most_chars", len(told)):
        found.append(f"{len(told)} characters")
    return found


@pytest.mark.skipif(not _CASES, reason="the cases are not at hand")
@pytest.mark.parametrize("name", sorted(_CASES) or ["none"])
async def test_a_file_that_was_read_wrongly_is_read_rightly(live: Live, name: str) -> None:
    data = {"message": "What does it say?", "session_id": live.id_of(name)}
    answer = await live.client.post("/v1/chat/completions", data=data, files=[("files", (name, (_FOLDER / name).read_bytes()))])
    told, pictures = answer.text, 0
    if answer.status_code == 200:
        content: Any = live.asked()["messages"][-1]["content"]
        blocks: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        told = "\n".join(block["text"] for block in blocks if block["type"] == "text")
        pictures = sum(block["type"] == "image_url" for block in blocks)
    expected = _CASES[name]
    ways = [faults(way, answer.status_code, told, pictures) for way in expected.get("either", [{}])]
    assert faults(expected, answer.status_code, told, pictures) == []
    assert [] in ways, ways

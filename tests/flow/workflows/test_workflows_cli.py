"""`nanobot workflows`, where no server runs: the three examples, as they are shipped, without a model."""

import json
from pathlib import Path

import pytest

from tests.flow.nanobot_process import Nanobot

CHAT = "telegram:123456789"


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    (tmp_path / "offer.md").write_text("# Offer\n\nTwo rooms, 30 EUR.\n")
    (tmp_path / "answer.md").write_text("# Answer\n\nOne room.\n")
    return Nanobot(folder=tmp_path, env={"NANOBOT_AGENTS__DEFAULTS__PROVIDER": "offline"})


def test_an_upload_is_summed_up_and_sent(nanobot: Nanobot) -> None:
    done = nanobot("workflows", "run", "summarise-upload", "--input", "document=@offer.md", "-i", f"chat={CHAT}")
    assert done.returncode == 0, done.stderr
    assert "1 file arrived and could be read" in done.stdout
    assert "Two rooms, 30 EUR." in done.stdout
    assert f"Message to {CHAT}: queued" in done.stdout
    assert [line.split(" (")[0] for line in done.stderr.splitlines()[1:]] == ["  …  summary", "  ok summary", "  …  send", "  ok send"]
    (sent,) = [json.loads(line) for line in nanobot("deliveries", "list", "--json").stdout.splitlines()]
    assert sent["event"]["text"].startswith("**offer.md**\n\nNo model is configured")


def test_a_briefing_is_made_and_sent_and_two_documents_are_compared(nanobot: Nanobot) -> None:
    briefing = nanobot("workflows", "run", "morning-briefing", "-i", "notes=@offer.md", "-i", f"chat={CHAT}", "-i", "name=Anna", "--json")
    assert briefing.returncode == 0, briefing.stderr
    assert json.loads(briefing.stdout)["briefing"].startswith("**Good morning, Anna.**")
    compared = nanobot("workflows", "run", "compare-documents", "-i", "first=@offer.md", "-i", "second=@answer.md", "--json")
    assert compared.returncode == 0, compared.stderr
    results = json.loads(compared.stdout)
    assert list(results) == ["comparison", "first", "second"]
    assert ("30 EUR" in results["first"], "One room" in results["second"]) == (True, True)


def test_what_there_is_and_what_is_wrong_with_it_is_listed(nanobot: Nanobot) -> None:
    listed = nanobot("workflows", "list")
    assert (listed.returncode, [line.split()[0] for line in listed.stdout.splitlines()]) == (
        0, ["ID", "compare-documents", "morning-briefing", "summarise-upload"],
    )  # fmt: skip
    (nanobot.home / "workspace" / "workflows" / "mine.yaml").write_text("nodes:\n  a: {kind: tool, tool: none}\n")
    listed = nanobot("workflows", "list")
    assert (listed.returncode, listed.stderr) == (
        1,
        "nanobot: workflows/mine.yaml, line 2: node 'a': there is no tool 'none'; there are delegate, delete_file, edit_file, fetch_page, "
        "find_files, forget, list_attachments, list_files, message, move_file, read_attachment, read_file, recall, remember, run, schedule, "
        "search_files, search_history, search_web, use_skill, write_file.\n",
    )
    shown = nanobot("workflows", "show", "summarise-upload")
    assert "input   words (integer, else '120'): How long the summary may be." in shown.stdout
    assert "node    send (message) after summary" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none"], 1, "nanobot: Workflow none not found"),
        (["compare-documents"], 1, "nanobot: Workflow compare-documents needs 'first', a file."),
        (["compare-documents", "-i", "first"], 2, "write NAME=VALUE or NAME=@FILE"),
        (["compare-documents", "-i", "first=@none.md"], 2, "none.md is not a file"),
        (
            ["summarise-upload", "-i", "document=@offer.md", "-i", "chat=nowhere"],
            1,
            "node 'send': An address is written <channel>:<chat_id>",
        ),
    ],
)
def test_what_can_not_be_run_says_why(nanobot: Nanobot, arguments: list[str], code: int, words: str) -> None:
    done = nanobot("workflows", "run", *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr

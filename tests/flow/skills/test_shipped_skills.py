"""The skills that come with nanobot: in order by the standard, offered from the first start, and their script counts right."""

import csv
import io
import subprocess
import sys
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from assistant.agent.toolbox import Toolbox
from assistant.config.folders import make_workspace, shipped_workspace
from assistant.contracts.messages import ToolMessage
from assistant.skills.files import OWN
from assistant.skills.scan import scan
from assistant.skills.shelf import open_shelf
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store
from assistant.testing.scripted import ScriptedModel, calling
from tests.flow.turns.house import House, ask
from tools.skills import UseSkill

SHIPPED = shipped_workspace() / OWN
TABLE = SHIPPED / "spreadsheet-analyst/scripts/table.py"
NAMES = ["mail-draft", "research-brief", "spreadsheet-analyst"]


def test_they_follow_the_standard_and_are_short() -> None:
    found = scan(shipped_workspace())
    assert [each.name for each in found] == NAMES
    for each in found:
        assert (each.problem, each.warnings) == ("", ())
        assert each.manifest is not None
        assert len(each.manifest.description) < 260
        assert each.manifest.body.count("\n") < 60


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("spreadsheet-analyst", ("table.py profile FILE", "`run`", "`read_attachment`", "`write_file`", "`message`")),
        ("mail-draft", ("`recall`", "`write_file`", "`message`", "`schedule`")),
        ("research-brief", ("`search_web`", "`fetch_page`", "`write_file`", "`schedule`")),
    ],
)
async def test_each_is_offered_at_the_first_start_and_gives_its_steps_to_the_model(
    tmp_path: Path, name: str, steps: tuple[str, ...]
) -> None:
    make_workspace(tmp_path / "workspace")
    shelf = open_shelf(tmp_path / "workspace", tmp_path / "state", SHIPPED)
    store = await open_store(StoreSettings(), tmp_path / "state", AttachmentSettings())
    try:
        model = ScriptedModel(calling(("use_skill", f'{{"name": "{name}"}}')), "Done.")
        house = House(store, tmp_path / "workspace")
        turns = house.turns(model, tools=[UseSkill(shelf)])
        assert (await turns.start(ask("do it")).result()).text == "Done."
        (result,) = [message for message in await house.kept() if isinstance(message, ToolMessage)]
        await turns.close(1)
        box = Toolbox([UseSkill(shelf)], store.attachments)
    finally:
        await store.close()
    assert [step for step in steps if step not in result.text] == []
    assert name != "spreadsheet-analyst" or str(tmp_path / "workspace/skills/spreadsheet-analyst") in result.text
    assert sum(len(spec.description) for spec in box.specs) < 1_200


def table(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-I", str(TABLE), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_reads_csv_as_people_write_it(tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    file.write_text('Region;Amount;Note\nNorth;1.200,50;"a\nb"\nSouth;300,25;\nNorth;99;\nNorth;99;\nSouth;n/a;\nTotal;1.599,75;\n')
    shown = table("profile", str(file))
    assert "6 rows, 3 columns" in shown
    assert "sum 3298.50" in shown
    assert "NOT a number: n/a" in shown
    assert "Rows that stand twice: 1; rows that look like totals: 7" in shown
    groups = table("group", str(file), "--by", "region", "--sum", "amount")
    assert "North\t3\t1398.50" in groups
    assert "1 rows have no number in amount" in groups
    assert list(csv.reader(io.StringIO(table("rows", str(file), "--where", "Region=south"))))[1:] == [
        ["South", "300,25", ""],
        ["South", "n/a", ""],
    ]


def test_the_script_reads_excel_files(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Costs"
    for row in (["Day", "What", "Cost"], [date(2026, 3, 1), "Tea", 0.123], [None, "Cake & more", 4], [date(2026, 3, 2), "Tea", 1.5]):
        sheet.append(row)
    book.create_sheet("Two").append(["only"])
    book.save(tmp_path / "costs.xlsx")
    assert list(csv.reader(io.StringIO(table("csv", str(tmp_path / "costs.xlsx"))))) == [
        ["Day", "What", "Cost"],
        ["2026-03-01", "Tea", "0.123"],
        ["", "Cake & more", "4"],
        ["2026-03-02", "Tea", "1.5"],
    ]
    assert "Tea\t2\t1.623" in table("group", str(tmp_path / "costs.xlsx"), "--by", "What", "--sum", "Cost")
    assert table("rows", str(tmp_path / "costs.xlsx"), "--sheet", "Two").strip() == "only"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1.234", "1.234"),
        ("12,5 %", "12.5"),
        ("0,125", "0.125"),
        ("€ 5", "5"),
        ("-3", "-3"),
    ],
)
def test_the_script_reads_numbers_in_both_ways_of_writing(tmp_path: Path, written: str, value: str) -> None:
    (tmp_path / "one.tsv").write_text(f"A\tB\nx\t{written}\n")
    assert f"x\t1\t{value}\n" in table("group", str(tmp_path / "one.tsv"), "--by", "A", "--sum", "B")

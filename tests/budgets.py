"""The size of each folder of the product, held by `tests/budgets.toml` (`tests/unit/test_laws.py` compares).

`python -m tests.budgets` writes today's figures into it; comments and the total stay.
"""

import re
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUDGETS = ROOT / "tests" / "budgets.toml"
PRODUCT = ("assistant", "channels", "tools")
_LINE = re.compile(r'^"(?P<folder>[^"]+)" = \d+(?P<comment>.*)$')


def lines_by_folder() -> dict[str, int]:
    """Lines of Python in each folder of `assistant` and `channels`, in the modules beside them, and in `tools`."""
    lines: Counter[str] = Counter()
    for root in PRODUCT:
        for path in (ROOT / root).rglob("*.py"):
            folders = path.relative_to(ROOT).parts[:-1]
            folder = "/".join(folders[:1] if root == "tools" else folders[:2])
            lines[folder] += path.read_text(encoding="utf-8").count("\n")
    return dict(sorted(lines.items()))


def budgets() -> tuple[int, dict[str, int]]:
    """The total, and the lines of each folder."""
    written = tomllib.loads(BUDGETS.read_text(encoding="utf-8"))
    return written["total"], written["lines"]


def renewed(text: str, lines: dict[str, int]) -> str:
    """The file with these figures. Comments stay, at the top and behind each figure."""
    head, _, table = text.partition("[lines]\n")
    comments = {found["folder"]: found["comment"] for line in table.splitlines() if (found := _LINE.match(line))}
    rows = [f'"{folder}" = {count}{comments.get(folder, "")}' for folder, count in lines.items()]
    return "\n".join([f"{head}[lines]", *rows, ""])


if __name__ == "__main__":
    BUDGETS.write_text(renewed(BUDGETS.read_text(encoding="utf-8"), lines_by_folder()), encoding="utf-8")
    print(f"{sum(lines_by_folder().values()):,} lines, of {budgets()[0]:,}")

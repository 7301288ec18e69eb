"""`python -m tests.contract.cases [NAME …]`: runs the contract suite of each channel, and prints how many cases it passes and skips."""

import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

_FOLDER: Final = Path(__file__).parent / "plugins"
_CLASS: Final = "ChannelSuite"


class _Counts:
    """A plugin of pytest: the outcome of each case of a channel's class, and why cases were skipped."""

    def __init__(self) -> None:
        self.of: dict[str, Counter[str]] = {}
        self._counted: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Only classes that derive from the suite; what stands beside them in the file is no case of the contract."""
        for item in items:
            owner = getattr(item, "cls", None)
            if owner is not None and any(each.__name__ == _CLASS for each in owner.__mro__):
                self._counted.add(item.nodeid)
        items[:] = [item for item in items if item.nodeid in self._counted]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
            name = Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")
            self.of.setdefault(name, Counter())[report.outcome] += 1


def main() -> int:
    names = sys.argv[1:]
    files = [str(_FOLDER / f"test_{name}.py") for name in names] or [str(_FOLDER)]
    counts = _Counts()
    code = pytest.main(["-n", "0", "-q", "--no-header", "-p", "no:cacheprovider", *files], plugins=[counts])
    print("\n| channel | cases | passed | skipped | failed |\n|---|---|---|---|---|")
    for name, outcomes in sorted(counts.of.items()):
        print(f"| {name} | {outcomes.total()} | {outcomes['passed']} | {outcomes['skipped']} | {outcomes['failed']} |")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())

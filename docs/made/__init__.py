"""The pages that are written from the code, by `python -m docs.made`. A test compares."""

from collections.abc import Callable, Mapping
from typing import Final

from docs.links import ROOT
from docs.made.commands import commands_page
from docs.made.errors import errors_page
from docs.made.http import http_page, types_page
from docs.made.tools import tools_page

MADE: Final[Mapping[str, Callable[[], str]]] = {
    "cli.md": commands_page,
    "errors.md": errors_page,
    "http.md": http_page,
    "tools.md": tools_page,
    "types.md": types_page,
}


def write() -> None:
    for name, page in MADE.items():
        (ROOT / "docs" / name).write_text(page(), encoding="utf-8")

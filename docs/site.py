"""The pages as a site: `python -m docs.site` builds it into build/site/html, `python -m docs.site serve` shows it.

The pages are written for GitHub and an editor. So the site is built of a copy, in which pages of the top folder lie beside the
others, and a link to what is no page (an example, a test) is its words alone.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from posixpath import normpath, relpath
from typing import Final

from docs.links import ROOT

_Entry = str | list["_Entry"] | dict[str, "_Entry"]

BUILT: Final = ROOT / "build" / "site"
TOP: Final = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "vulnerabilities.md"}
"""Pages of the top folder, and what they are called in the site."""
_LINK: Final = re.compile(r"(?<!!)\[(?P<words>[^\]\[]*)\]\((?P<path>[^)\s#:]+)(?P<heading>#[\w-]+)?\)")
_ITEM: Final = re.compile(r"(?:[-*]|\d+\.) ")
_FIRST_ITEM: Final = re.compile(r"(?:[-*]|1\.) ")
_INSIDE: Final = re.compile(r"^ {2,3}(?! )|^ {3}(?=  )|^ {2}(?=  )")
_PICTURES: Final = (".jpg", ".png", ".svg")


def pages() -> dict[str, Path]:
    """Each page of the site, by its place there."""
    docs = {path.relative_to(ROOT / "docs").as_posix(): path for path in sorted((ROOT / "docs").rglob("*.md"))}
    return docs | {place: ROOT / name for name, place in TOP.items()}


@cache
def navigation() -> Mapping[str, str]:
    """The place of each page that the navigation leads to, in its order, and what it calls it."""
    whole = tomllib.loads((ROOT / "docs" / "site.toml").read_text(encoding="utf-8"))
    return dict(_entries("", whole["project"]["nav"]))


def _entries(title: str, entry: _Entry) -> Iterator[tuple[str, str]]:
    match entry:
        case str():
            yield entry, title
        case list():
            for inner in entry:
                yield from _entries(title, inner)
        case dict():
            for name, inner in entry.items():
                yield from _entries(name, inner)


def for_site(place: str, text: str) -> str:
    """The page's text with the links that hold in the site; one whose words are the file's name has the page's instead."""
    here = {value: key for key, value in TOP.items()}.get(place, f"docs/{place}")

    def placed(link: re.Match[str]) -> str:
        target = normpath(f"{here.rpartition('/')[0]}/{link['path']}".lstrip("/"))
        if (there := TOP.get(target) or target.removeprefix("docs/")) == target:
            return link["words"]
        words = navigation()[there] if link["words"].removeprefix("docs/") in (there, link["path"]) else link["words"]
        return f"[{words}]({relpath(there, place.rpartition('/')[0] or '.')}{link['heading'] or ''})"

    return _LINK.sub(placed, text)


def spaced(text: str) -> str:
    """The text with its lists as Python-Markdown wants them: a blank line in front, and what belongs to an item four spaces in."""
    lines: list[str] = []
    in_list = in_block = False
    for line in text.split("\n"):
        indented, item = line.startswith("  "), (_ITEM if in_list else _FIRST_ITEM).match(line)
        if not in_block:
            if item and not in_list and lines and lines[-1].strip():
                lines.append("")
            in_list = bool(item) or (in_list and (indented or not line.strip() or bool(lines[-1].strip())))
        if line.lstrip().startswith("```"):
            in_block = not in_block
        lines.append(_INSIDE.sub("    ", line) if in_list and indented else line)
    return "\n".join(lines)


def copy_pages(folder: Path) -> Path:
    """Put what the site is built of into `folder`, and return its configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    for place, page in pages().items():
        copy = folder / "docs" / place
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(spaced(for_site(place, page.read_text(encoding="utf-8"))), encoding="utf-8")
    for path in (ROOT / "docs").rglob("*"):
        if path.suffix in (*_PICTURES, ".css") or path.name == "config.schema.json":
            copy = folder / "docs" / path.relative_to(ROOT / "docs")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return Path(shutil.copyfile(ROOT / "docs" / "site.toml", folder / "zensical.toml"))


def zensical(command: str, folder: Path = BUILT) -> int:
    """Its exit code. A link that leads nowhere ends the build."""
    options = ["--strict", "--clean"] if command == "build" else []
    return subprocess.run([sys.executable, "-m", "zensical", command, *options, "-f", str(copy_pages(folder))], check=False).returncode


if __name__ == "__main__":
    sys.exit(zensical("serve" if sys.argv[1:] == ["serve"] else "build"))

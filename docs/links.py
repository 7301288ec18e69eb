"""Every link of the project's Markdown files: its target is there, and the heading that it names, as GitHub and the site spell its anchor."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_HOST = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}|localhost|127\.0\.0\.1")
_NOT_OURS = {"build", "dist", "node_modules"}
_REFERENCE = re.compile(r"\[[^\]\[]+\]\[[^\]\[]*\]")


@dataclass(frozen=True, slots=True)
class Link:
    """`line`: of the block that has it, from 1. `text`: of a picture, what is read where it is not shown."""

    target: str
    text: str
    line: int
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    links: tuple[Link, ...]
    anchors: tuple[str, ...]
    """Of each heading, in order; one that comes twice has no link of its own."""
    loose: tuple[tuple[int, str], ...]
    """(line, text) of what looks like a link by reference and is none."""


def markdown_files(root: Path) -> list[Path]:
    """Those of the project: not what is installed or built in it."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name == ".github" or (not name.startswith(".") and name not in _NOT_OURS)]
        found += [Path(folder, name) for name in names if name.endswith(".md")]
    return sorted(found)


def problems(root: Path, pages: Iterable[Path]) -> list[str]:
    """What is wrong in each page, as "page:line: what"."""
    return [f"{page.relative_to(root).as_posix()}:{line}: {wrong}" for page in pages for line, wrong in _of_page(root, page)]


def _of_page(root: Path, page: Path) -> Iterator[tuple[int, str]]:
    parsed = parse(page)
    yield from ((line, f"{text} has no target") for line, text in parsed.loose)
    for link in parsed.links:
        if link.picture and not link.text.strip():
            yield link.line, f"the picture {link.target} has no words"
        if wrong := _wrong(root, page, link):
            yield link.line, wrong


def _wrong(root: Path, page: Path, link: Link) -> str | None:
    parts = urlsplit(link.target)
    if parts.scheme:
        if link.picture:
            return f"the picture {link.target} is elsewhere, and its server learns who reads"
        whole = (
            _HOST.fullmatch(parts.hostname or "") if parts.scheme in ("http", "https") else parts.scheme == "mailto" and "@" in parts.path
        )
        return None if whole else f"{link.target} is no address"
    if parts.netloc or parts.path.startswith("/"):
        return f"{link.target} is not relative to its page"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(root):
        return f"{link.target} leaves the project"
    if not _exists(target):
        return f"{link.target} is not there"
    if not parts.fragment:
        return None if parts.path else "the link has no target"
    if target.suffix != ".md":
        return f"{link.target}: only pages have headings"
    times = parse(target).anchors.count(unquote(parts.fragment))
    return None if times == 1 else f"{link.target}: {times or 'no'} heading{'s' if times > 1 else ''} of this name"


def _exists(target: Path) -> bool:
    """Whether it is there in this spelling, also where the disk takes another case for the same."""
    return target.exists() and (target.is_dir() or target.name in {path.name for path in target.parent.iterdir()})


@cache
def parse(page: Path) -> Parsed:
    return parsed(page.read_text(encoding="utf-8"))


def parsed(text: str) -> Parsed:
    tokens = _MARKDOWN.parse(re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL))  # without the head of a skill
    inlines = [(token, (token.map or [0])[0] + 1) for token in tokens if token.type == "inline"]
    words = [(line, part.content) for token, line in inlines for part in token.children or () if part.type == "text"]
    return Parsed(
        links=tuple(chain.from_iterable(_links(token, line) for token, line in inlines)),
        anchors=tuple(anchor(inline) for opening, inline in pairwise(tokens) if opening.type == "heading_open"),
        loose=tuple((line, found) for line, content in words for found in _REFERENCE.findall(content)),
    )


def _links(inline: Token, line: int) -> Iterator[Link]:
    parts = inline.children or []
    for place, part in enumerate(parts):
        if part.type == "link_open":
            end = next(later for later in range(place, len(parts)) if parts[later].type == "link_close")
            yield Link(str(part.attrs["href"]), _words(parts[place:end]), line)
        elif part.type == "image":
            yield Link(str(part.attrs["src"]), part.content, line, picture=True)


def _words(parts: Iterable[Token]) -> str:
    return "".join(part.content for part in parts if part.type in ("text", "code_inline"))


def anchor(heading: Token) -> str:
    """By GitHub's rule, which `slugify` in `site.toml` is set to, too."""
    return re.sub(r"[^\w\- ]", "", _words(heading.children or ()).strip().lower()).replace(" ", "-")

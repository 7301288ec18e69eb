"""What is understood without a model about files: "list my files", "show me notes.txt", "write milk to list.txt", in English and German."""

import re
from collections.abc import Collection, Mapping
from typing import Final

from assistant.contracts.messages import Json

_QUOTES: Final = "\"'`“”„«»"


def _path(name: str = "path") -> str:
    """What looks like a file: it has a suffix or a folder."""
    return rf"(?:the file |die datei )?[{_QUOTES}]?(?P<{name}>[^{_QUOTES}\s][^{_QUOTES}\n]*\.\w{{1,8}}|[^{_QUOTES}\s]+/[^{_QUOTES}\n]*)[{_QUOTES}]?"


_IN: Final = rf"(?: (?:in|of) [{_QUOTES}]?(?P<folder>[^{_QUOTES}]+?)[{_QUOTES}]?)?"
_PLEASE: Final = r"(?:please |bitte )?"
_ASKED: Final[tuple[tuple[str, Mapping[str, Json], str], ...]] = (
    ("list_files", {}, rf"(?:list|show)(?: me)? (?:all )?(?:my|our|the) files{_IN}"),
    ("list_files", {}, r"(?:what|which) files (?:do i have|are there|have i)"),
    ("list_files", {}, rf"(?:zeige?|liste)(?: mir)?(?: bitte)? (?:alle )?(?:meine|unsere|die) dateien{_IN}(?: auf)?"),
    ("list_files", {}, rf"(?:alle )?(?:meine|unsere|die) dateien{_IN} (?:auflisten|zeigen)"),
    ("list_files", {}, r"welche dateien (?:habe ich|gibt es|sind da)"),
    ("search_files", {}, rf"search (?:in )?(?:my|our|the) files for [{_QUOTES}]?(?P<pattern>[^\n]+?)[{_QUOTES}]?"),
    ("search_files", {}, rf"(?:durch)?suche? (?:in )?(?:meinen?|unseren?|den) dateien nach [{_QUOTES}]?(?P<pattern>[^\n]+?)[{_QUOTES}]?"),
    ("find_files", {}, rf"find (?:my |the |all )?files? (?:called |named |like )?[{_QUOTES}]?(?P<pattern>[^\s{_QUOTES}]+)[{_QUOTES}]?"),
    ("find_files", {}, rf"finde (?:meine |die |alle )?datei(?:en)? (?:namens |wie )?[{_QUOTES}]?(?P<pattern>[^\s{_QUOTES}]+)[{_QUOTES}]?"),
    ("write_file", {"mode": "create"}, rf"(?:write|save) (?P<content>.+?) (?:in)?to {_path()}"),
    ("write_file", {"mode": "create"}, rf"(?:schreibe?|speichere)(?: bitte)? (?P<content>.+?) (?:in|nach) {_path()}"),
    ("write_file", {"mode": "append"}, rf"(?:add|append) (?P<content>.+?) to {_path()}"),
    ("write_file", {"mode": "append"}, rf"(?:füge?|hänge?)(?: bitte)? (?P<content>.+?) (?:an|zu) {_path()} (?:an|hinzu)"),
    ("move_file", {}, rf"(?:move|rename) {_path()} (?:in)?to {_path('to')}"),
    ("move_file", {}, rf"(?:verschiebe?|benenne)(?: bitte)? {_path()} (?:nach|in) {_path('to')}(?: um)?"),
    ("delete_file", {}, rf"(?:delete|remove) {_path()}"),
    ("delete_file", {}, rf"lösche?(?: bitte)? {_path()}"),
    ("read_file", {}, rf"(?:show|read|open)(?: me)? {_path()}"),
    ("read_file", {}, rf"(?:zeige?|lies|öffne)(?: mir)?(?: bitte)? {_path()}(?: vor)?"),
)  # fmt: skip
"""(Tool, what it is always given, what asks for it with the other arguments by name.)"""
_COMPILED: Final = tuple([(tool, given, re.compile(f"{_PLEASE}{words}[.!?]*", re.IGNORECASE | re.DOTALL)) for tool, given, words in _ASKED])


def asked_of_files(words: str, names: Collection[str]) -> tuple[str, Mapping[str, Json]] | None:
    """(The tool that the words ask for, its arguments.) None: they ask for none of those with these names."""
    for tool, given, pattern in _COMPILED:
        if tool in names and (found := pattern.fullmatch(words)):
            said = {key: value.strip().strip(_QUOTES) for key, value in found.groupdict().items() if value}
            if tool == "search_files":
                said["pattern"] = re.escape(said["pattern"])
            if tool == "write_file":
                said["content"] += "\n"
            return tool, {**given, **said}
    return None

"""What is understood without a model about files."""

import pytest

from assistant.providers.offline_files import asked_of_files

TOOLS = ("list_files", "find_files", "search_files", "read_file", "write_file", "move_file", "delete_file")


@pytest.mark.parametrize(
    ("words", "tool", "arguments"),
    [
        ("list my files", "list_files", {}),
        ("Please show me all my files!", "list_files", {}),
        ("What files do I have?", "list_files", {}),
        ("List the files in shared", "list_files", {"folder": "shared"}),
        ("Zeig mir meine Dateien", "list_files", {}),
        ("Liste bitte alle meine Dateien in reports auf.", "list_files", {"folder": "reports"}),
        ("Welche Dateien habe ich?", "list_files", {}),
        ("meine Dateien in reports auflisten", "list_files", {"folder": "reports"}),
        ("show me notes.txt", "read_file", {"path": "notes.txt"}),
        ('Read "my notes.txt".', "read_file", {"path": "my notes.txt"}),
        ("open shared/list", "read_file", {"path": "shared/list"}),
        ("Zeige mir bitte notizen.txt", "read_file", {"path": "notizen.txt"}),
        ("Lies die Datei »notizen.txt« vor", "read_file", {"path": "notizen.txt"}),
        ("delete notes.txt", "delete_file", {"path": "notes.txt"}),
        ("Lösch bitte die Datei notizen.txt", "delete_file", {"path": "notizen.txt"}),
        ("write buy milk to notes.txt", "write_file", {"path": "notes.txt", "content": "buy milk\n", "mode": "create"}),
        ('Save "one\ntwo" into reports/a.md', "write_file", {"path": "reports/a.md", "content": "one\ntwo\n", "mode": "create"}),
        ("Schreib Milch kaufen in notizen.txt", "write_file", {"path": "notizen.txt", "content": "Milch kaufen\n", "mode": "create"}),
        ("add bread to shared/list.txt", "write_file", {"path": "shared/list.txt", "content": "bread\n", "mode": "append"}),
        ("Füge Brot zu liste.txt hinzu", "write_file", {"path": "liste.txt", "content": "Brot\n", "mode": "append"}),
        ("move a.txt to b.txt", "move_file", {"path": "a.txt", "to": "b.txt"}),
        ("Benenne a.txt in b.txt um", "move_file", {"path": "a.txt", "to": "b.txt"}),
        ("search my files for 4+4", "search_files", {"pattern": r"4\+4"}),
        ("Suche in meinen Dateien nach Milch", "search_files", {"pattern": "Milch"}),
        ("find files called *.pdf", "find_files", {"pattern": "*.pdf"}),
        ("Finde Dateien wie bericht*", "find_files", {"pattern": "bericht*"}),
    ],
)
def test_what_asks_for_a_tool(words: str, tool: str, arguments: dict[str, str]) -> None:
    assert asked_of_files(words, TOOLS) == (tool, arguments)
    assert asked_of_files(words, ()) is None


@pytest.mark.parametrize(
    "words",
    ["show me the weather", "read this", "What is 2 + 2?", "delete everything", "write to Anna", "open the window", "add 2 to 3", "files", "liste",
     "move on", "I should list my files tomorrow", "show me", "remind me to delete notes.txt", "find my keys", "search"],
)  # fmt: skip
def test_what_asks_for_none(words: str) -> None:
    assert asked_of_files(words, TOOLS) is None

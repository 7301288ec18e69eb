"""A sentence for each tool, and the call that it leads to: shown in docs/tools.md, and checked by a test against the tool's arguments."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Example(NamedTuple):
    said: str
    arguments: Mapping[str, Any]


EXAMPLES: Final[Mapping[str, Example]] = {
    "list_attachments": Example("Which files have I sent you here?", {}),
    "read_attachment": Example("What does page 3 of the contract say?", {"id": "att_019a", "section": "page 3"}),
    "list_files": Example("List my files.", {"folder": "."}),
    "find_files": Example("Find my files called *.pdf", {"pattern": "*.pdf"}),
    "search_files": Example("Search my files for bread.", {"pattern": "bread"}),
    "read_file": Example("Read notes.txt.", {"path": "notes.txt"}),
    "write_file": Example("Write hello to notes.txt.", {"path": "notes.txt", "content": "hello\n"}),
    "edit_file": Example("In the list, make it 2 litres of milk.", {"path": "shared/list.md", "old": "1 l milk", "new": "2 l milk"}),
    "move_file": Example("Move notes.txt to archive/", {"path": "notes.txt", "to": "archive/"}),
    "delete_file": Example("Delete notes.txt.", {"path": "notes.txt"}),
    "run": Example("Run `wc -l data.csv`.", {"command": "wc -l data.csv"}),
    "fetch_page": Example("Fetch https://example.org/news.", {"url": "https://example.org/news"}),
    "search_web": Example("Search the web for bread recipes", {"query": "bread recipes"}),
    "message": Example(
        'Send "Build finished." to telegram 123456789.', {"content": "Build finished.", "channel": "telegram", "chat_id": "123456789"}
    ),
    "remember": Example("Remember that my locker code is 77", {"text": "my locker code is 77"}),
    "recall": Example("What do you know about my locker?", {"query": "my locker"}),
    "forget": Example("Forget my locker code", {"what": "my locker code"}),
    "search_history": Example("What did we say about the boiler last March?", {"query": "boiler last March"}),
    "schedule": Example("Remind me in 10 minutes to stretch.", {"action": "add", "at": "in 10 minutes", "text": "stretch"}),
    "use_skill": Example("Write a research brief about heat pumps.", {"name": "research-brief"}),
    "delegate": Example(
        "Have a helper compare the three offers, in the background.", {"task": "compare the three offers", "background": True}
    ),
}
WITHOUT_A_MODEL: Final = frozenset(EXAMPLES) - {
    "list_attachments",
    "read_attachment",
    "edit_file",
    "search_history",
    "use_skill",
}
"""Those whose sentence also works where no model is configured."""

"""The gate: one policy for every call of a tool that does more than read. docs/permissions.md is its table in words.

After a conversation has read words of others (a file, a page, a mail, a tool's or an MCP server's result, other people), what reaches beyond the
workspace needs the person's own words, or their yes.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from fnmatch import fnmatchcase
from typing import Final, Literal, cast

from assistant.access.settings import Permission
from assistant.contracts.gate import ALLOWED, Action, PlannedCall, Ruling
from assistant.contracts.messages import Json
from assistant.contracts.own_words import in_own_words
from assistant.contracts.people import ME, PersonRole
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.contracts.statements import asks_for_reminder, asks_to_change_plans

Recipient = Literal["none", "answered", "named", "known", "refused"]
"""Of a call that writes to a chat: the one that the turn answers, one that the person named in their own words, one that `mayMessage` allows, one
that it refuses."""


@record
class Situation:
    """What the gate knows beside the call."""

    role: PersonRole | None = "user"
    """None: a group."""
    read: Mapping[Provenance, str] = field(default_factory=dict[Provenance, str])
    """Whose words the conversation holds beside the person's, each with the name of the file or tool."""
    said: Sequence[str] = ()
    """The person's own words, the newest last; not looked up where nothing was read."""
    material: Sequence[str] = ()
    """What was read; as `said`."""
    recipient: Recipient = "none"
    refusal: str = ""
    """Of a recipient that is refused, in words for the model."""
    unattended: bool = False
    """Whether a workflow's file speaks, and no person."""


@record
class Case:
    """What holds for an action: in words, and the function that decides once words of others were read."""

    before: str
    after: str
    rule: Callable[[PlannedCall, Situation], Ruling]


OWN_FILES: Final = frozenset({"agents.md", "soul.md", "user.md", "tools.md", "skills", ".agents", "config.json"})
"""The assistant's instructions, in the workspace's root: tools that write files never touch them."""
_READ: Final[Mapping[Provenance, str]] = {
    "file": "a file",
    "web": "a web page",
    "mail": "a mail",
    "tool": "a tool's result",
    "mcp": "an MCP server's result",
    "stranger": "other people's words",
}
_FOR_GUESTS: Final[frozenset[Action]] = frozenset({"reads", "writes workspace", "remembers", "schedules"})
_SENDS: Final[frozenset[Action]] = frozenset({"sends"})
_NETWORK: Final[frozenset[Action]] = frozenset({"network"})
_JUDGED_BY_MEMORY: Final = frozenset({"remember", "forget"})
"""`memory.own_words` judges them: it knows the memory that is meant, and the yes that a person gives to a sentence."""
_SHELL: Final = re.compile(r"[;&|`<>\n]|\$\(")
_URL: Final = re.compile(r"https?://\S+", re.IGNORECASE)
_STRICTNESS: Final = ("allow", "ask", "refuse")


def decide(call: PlannedCall, situation: Situation, permissions: Sequence[Permission] = ()) -> Ruling:
    """Whether a call may run: what never may, then the configuration's first line that fits, then the case of each of its actions, of which the
    strictest counts. Pure."""
    if never := _never(call, situation):
        return Ruling(verdict="refuse", why=never)
    for line in permissions:
        if covers(line, call) and (line.do != "allow" or not ("changes itself" in call.actions and situation.read)):
            return _configured(line)
    rulings = [_ruling(action, call, situation) for action in call.actions]
    return max(rulings, key=lambda ruling: _STRICTNESS.index(ruling.verdict), default=ALLOWED)


def covers(line: Permission, call: PlannedCall) -> bool:
    """Whether a line of the configuration is about this call. A pattern that allows a command covers no second one behind `;`, `&&` or `|`."""
    if not fnmatchcase(call.tool, line.tool) or not (line.action is None or line.action in call.actions):
        return False
    hidden = (
        line.do == "allow"
        and call.tool == "run"
        and line.subject != "*"
        and _SHELL.search(call.subject)
        and not _SHELL.search(line.subject)
    )
    return not hidden and fnmatchcase(call.subject, line.subject)


def _configured(line: Permission) -> Ruling:
    if line.do == "allow":
        return ALLOWED
    which = " ".join([line.tool, *filter(None, [line.action]), *([line.subject] if line.subject != "*" else [])])
    why = f"the permissions of this agent say so ({which}: {line.do})."
    return Ruling(verdict=line.do, why=why if line.do == "ask" else f"{why} Tell the user so.")


def _ruling(action: Action, call: PlannedCall, situation: Situation) -> Ruling:
    case = CASES[action]
    return case.rule(call, situation) if situation.read or action in _ALWAYS else ALLOWED


def _never(call: PlannedCall, situation: Situation) -> str:
    """Why a call must not run, whatever is configured; empty: it may."""
    if "writes workspace" in call.actions and call.tool != "run" and is_own_file(call.subject):
        return "that file is one of the assistant's own, or outside of the workspace: only the owner changes it, by hand."
    if situation.role == "guest" and not _guests_may(call, situation):
        return "guests may read, keep files and notes, and set reminders for themselves. Tell the user so."
    if "schedules" in call.actions and situation.unattended and _of(call, "kind") not in ("reminder", ""):
        return "what runs by a workflow may set reminders, and no further tasks."
    return ""


def is_own_file(path: str) -> bool:
    """Whether a path of the workspace is one of the assistant's own files, or leads out of it."""
    parts = path.replace("\\", "/").split("/")
    return path.startswith(("/", "~")) or ".." in parts or parts[0].casefold() in OWN_FILES


def _guests_may(call: PlannedCall, situation: Situation) -> bool:
    if situation.recipient == "answered" and call.actions == _SENDS:
        return True
    own = "schedules" not in call.actions or (_of(call, "kind") in ("reminder", "") and _of(call, "to").strip().casefold() in ("", ME))
    return call.actions <= _FOR_GUESTS and own


def _of(call: PlannedCall, name: str) -> str:
    """An argument in words; empty where there is none."""
    value = call.arguments.get(name)
    return value if isinstance(value, str) else ""


def _names(call: PlannedCall, name: str) -> list[str]:
    value: Json = call.arguments.get(name)
    return [str(each) for each in value] if isinstance(value, list) else []


def _urls(value: object) -> list[str]:
    """All web addresses in the arguments of a call, by whatever names."""
    if isinstance(value, str):
        return _URL.findall(value)
    inside = cast("Iterable[object]", value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ())
    return [url for each in inside for url in _urls(each)]


def _ask(situation: Situation, what: str) -> Ruling:
    """`what`: why the person's own words do not cover it."""
    return Ruling(verdict="ask", why=f"this conversation holds {told(situation.read)}, and {what}.")


def told(read: Mapping[Provenance, str]) -> str:
    """What was read, for the person: "a file (report.pdf), a web page"."""
    return ", ".join([_READ.get(each, each) + (f" ({name[:60]})" if name and each == "file" else "") for each, name in read.items()])


def _allow(call: PlannedCall, situation: Situation) -> Ruling:
    return ALLOWED


def _network(call: PlannedCall, situation: Situation) -> Ruling:
    if url := _of(call, "url"):
        if call.arguments.get("headers"):
            return _ask(situation, f"headers would go to {url}")
        if stands_in(url, situation.said) or stands_in(url, situation.material):
            return ALLOWED
        return _ask(situation, f"the address {url} stands neither in what you wrote nor in what was read")
    if hosts := _names(call, "hosts"):
        strange = [host for host in hosts if not stands_in(host, situation.said)]
        return _ask(situation, f"you did not name {', '.join(strange)}, which the command would reach") if strange else ALLOWED
    if query := _of(call, "query"):
        return ALLOWED if in_own_words(query, situation.said) else _ask(situation, f'"{query}" is not in your own words')
    if call.tool.startswith("mcp_") and call.actions == _NETWORK:  # its server says that it only reads
        strange = [url for url in _urls(call.arguments) if not stands_in(url, [*situation.said, *situation.material])]
        return _ask(situation, f"the address {strange[0]} stands neither in what you wrote nor in what was read") if strange else ALLOWED
    return _ask(situation, f"{call.tool} would send something to another machine")


def stands_in(address: str, texts: Sequence[str]) -> bool:
    """Whether a URL or a host stands in one of the texts as a whole, with or without its scheme: nothing before it and nothing behind it."""
    host, slash, path = re.sub(r"^https?://", "", address.strip(), flags=re.IGNORECASE).partition("/")
    if not host:
        return False
    rest = re.escape((slash + path).removesuffix("/"))  # its case counts: that of its letters can spell something
    pattern = re.compile(rf"(?:(?<=//)|(?<![\w/.@:-]))(?i:{re.escape(host)}){rest}/?(?![\w/?&=%#+~@:-])(?!\.\w)")
    return any(pattern.search(text) for text in texts)


def _sends(call: PlannedCall, situation: Situation) -> Ruling:
    match situation.recipient:
        case "answered":
            return ALLOWED
        case "refused":
            return Ruling(verdict="refuse", why=situation.refusal)
        case "named":
            strange = [name for name in _names(call, "media") if not stands_in(name.rpartition("/")[2], situation.said)]
            return _ask(situation, f"you did not name {', '.join(strange)}, which would go to {call.subject}") if strange else ALLOWED
        case "known":
            return _ask(situation, f"you did not name {call.subject} in your own words")
        case "none":
            return _ask(
                situation, f"{call.tool} would reach others ({call.subject})" if call.subject else f"{call.tool} would reach others"
            )


def _remembers(call: PlannedCall, situation: Situation) -> Ruling:
    text = _of(call, "text")
    if call.tool in _JUDGED_BY_MEMORY or (text and in_own_words(text, situation.said)):
        return ALLOWED
    return _ask(situation, f"{call.tool} would keep what is not in your own words")


def _schedules(call: PlannedCall, situation: Situation) -> Ruling:
    do, text = _of(call, "action") or "add", _of(call, "text")
    newest = situation.said[-1] if situation.said else ""
    if do == "list":
        return ALLOWED
    if situation.recipient == "refused":
        return Ruling(verdict="refuse", why=situation.refusal.replace("Not sent:", "Not planned:"))
    if situation.recipient == "known":
        return _ask(situation, f"you did not name {_of(call, 'to')} in your own words")
    if (watched := _of(call, "watch").removeprefix("feed:")) and not stands_in(watched, [*situation.said, *situation.material]):
        return _ask(situation, f"you did not name {watched}, which would be watched")
    if do != "add" and not asks_to_change_plans(newest) and not asks_for_reminder(newest):
        return _ask(situation, f"you did not ask to {do} what is planned")
    reminded = do == "add" and _of(call, "kind") in ("reminder", "") and asks_for_reminder(newest)
    if not text or reminded or in_own_words(text, situation.said):
        return ALLOWED
    return _ask(situation, f'"{text[:200]}" is not in your own words')


def _changes_itself(call: PlannedCall, situation: Situation) -> Ruling:
    what = f"{call.tool} {call.subject}".strip()
    if situation.read:
        return _ask(situation, f"{what} would change the assistant itself")
    return Ruling(verdict="ask", why=f"{what} would change the assistant itself.")


_ALWAYS: Final[frozenset[Action]] = frozenset({"changes itself"})
CASES: Final[Mapping[Action, Case]] = {
    "reads": Case(before="allow", after="allow", rule=_allow),
    "writes workspace": Case(before="allow", after="allow; never the assistant's own files", rule=_allow),
    "network": Case(
        before="allow",
        after="an address that stands in your words or in what was read, hosts that you named, a search in your words; else ask",
        rule=_network,
    ),
    "sends": Case(before="whom mayMessage allows", after="the chat that is answered, a chat that you named; else ask", rule=_sends),
    "spends": Case(before="allow", after="allow, within the budgets", rule=_allow),
    "remembers": Case(before="allow", after="your own words, or your yes to the sentence", rule=_remembers),
    "schedules": Case(
        before="allow", after="your own words, a reminder that you asked for, a change that you asked for; else ask", rule=_schedules
    ),
    "changes itself": Case(before="ask", after="ask, whatever is configured", rule=_changes_itself),
}
"""The defaults."""

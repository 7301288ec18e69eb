"""The policy of the gate: from what a call does and what was read to allow, ask or refuse."""

from typing import Any

import pytest

from assistant.access.gate import CASES, Situation, covers, decide, is_own_file, stands_in
from assistant.access.settings import Permission
from assistant.contracts.gate import Action, PlannedCall

WEB = {"web": ""}
PAGE = "Prices: https://example.org/tea?of=green (more at https://example.org/all)."


def call(tool: str, *actions: Action, subject: str = "", **arguments: Any) -> PlannedCall:
    return PlannedCall(tool=tool, actions=frozenset(actions), arguments=arguments, subject=subject)


def situation(*said: str, read: bool = True, **more: Any) -> Situation:
    given: dict[str, Any] = {"read": WEB if read else {}, "said": said, "material": [PAGE]}
    return Situation(**(given | more))


FETCH = ("fetch_page", "network")
DECIDED: list[tuple[str, PlannedCall, Situation]] = [
    ("allow", call("list_files", "reads"), situation()),
    ("allow", call("write_file", "writes workspace", subject="notes.md"), situation()),
    ("refuse", call("write_file", "writes workspace", subject="AGENTS.md"), situation(read=False)),
    ("refuse", call("write_file", "writes workspace", subject="../x"), situation(read=False)),
    ("allow", call("run", "writes workspace", subject="cat /etc/hosts"), situation()),
    ("allow", call(*FETCH, url="https://evil.example/?d=1"), situation(read=False)),
    ("ask", call(*FETCH, url="https://evil.example/?d=1"), situation()),
    ("allow", call(*FETCH, url="https://example.org/tea?of=green"), situation()),
    ("allow", call(*FETCH, url="https://example.org/all"), situation()),
    ("allow", call(*FETCH, url="https://EXAMPLE.org/all/"), situation()),
    ("ask", call(*FETCH, url="https://example.org/ALL"), situation()),
    ("ask", call(*FETCH, url="https://example.org/all//"), situation()),
    ("ask", call(*FETCH, url="https://example.org/al"), situation()),
    ("ask", call(*FETCH, url="https://example.org/tea?of=green&d=secret"), situation()),
    ("ask", call(*FETCH, url="https://example.org/all", headers={"Authorization": "x"}), situation()),
    ("allow", call(*FETCH, url="https://news.example/today"), situation("open news.example/today, please")),
    ("allow", call("run", "writes workspace", "network", hosts=["pypi.org"]), situation("get it from pypi.org")),
    ("ask", call("run", "writes workspace", "network", hosts=["pypi.org", "evil.example"]), situation("get it from pypi.org")),
    ("allow", call("search_web", "network", query="weather Bonn"), situation("how is the weather in Bonn?")),
    ("ask", call("search_web", "network", query="weather Bonn hunter2 hunter3"), situation("how is the weather in Bonn?")),
    ("allow", call("mcp_a_read", "network"), situation()),
    ("allow", call("mcp_a_read", "network", uri="https://example.org/all", limit=3), situation()),
    ("ask", call("mcp_a_read", "network", uri="https://evil.example/?d=1"), situation()),
    ("ask", call("mcp_a_read", "network", jobs=[{"link": "HTTPS://evil.example/?d=1"}]), situation()),
    ("ask", call("mcp_a_send", "network", "sends"), situation()),
    ("allow", call("mcp_a_send", "network", "sends"), situation(read=False)),
    ("allow", call("message", "sends"), situation(recipient="answered")),
    ("allow", call("message", "sends"), situation(recipient="named")),
    ("ask", call("message", "sends"), situation(recipient="known")),
    ("refuse", call("message", "sends"), situation(recipient="refused", refusal="Not sent: x")),
    ("ask", call("message", "sends", media=["tax/2026.pdf"]), situation("send it to 555", recipient="named")),
    ("allow", call("message", "sends", media=["tax/2026.pdf"]), situation("send 2026.pdf to 555", recipient="named")),
    ("allow", call("message", "sends"), situation(read=False)),
    ("allow", call("delegate", "spends"), situation()),
    ("allow", call("remember", "remembers"), situation()),
    ("ask", call("keep_note", "remembers", text="pay eve"), situation("what is this?")),
    ("allow", call("keep_note", "remembers", text="the gas meter shows 4711"), situation("keep: the gas meter shows 4711")),
    ("allow", call("schedule", "schedules", action="list"), situation()),
    ("allow", call("schedule", "schedules", action="add", kind="ask", text="sum up the news"), situation("every day, sum up the news")),
    ("ask", call("schedule", "schedules", action="add", kind="ask", text="send all mails"), situation("every day, sum up the news")),
    ("allow", call("schedule", "schedules", action="add", kind="reminder", text="pay 30 euros"), situation("remind me of what it says")),
    ("ask", call("schedule", "schedules", action="add", kind="reminder", text="pay 30 euros"), situation("what does it say?")),
    ("ask", call("schedule", "schedules", action="cancel", id="sch_1"), situation("what does it say?")),
    ("allow", call("schedule", "schedules", action="cancel", id="sch_1"), situation("Lösche bitte die Erinnerung")),
    ("ask", call("schedule", "schedules", action="add", text="news", watch="https://evil.example/"), situation("remind me of news")),
    ("ask", call("schedule", "schedules", action="add", text="hi", to="telegram:5"), situation("remind me: hi", recipient="known")),
    ("refuse", call("schedule", "schedules", action="add", kind="ask", text="x"), situation(read=False, unattended=True)),
    ("ask", call("approve", "changes itself"), situation(read=False)),
    ("ask", call("approve", "changes itself"), situation()),
    ("refuse", call("fetch_page", "network", url="https://a.example"), situation(read=False, role="guest")),
    ("refuse", call("message", "sends"), situation(read=False, role="guest")),
    ("allow", call("message", "sends"), situation(read=False, role="guest", recipient="answered")),
    ("allow", call("schedule", "schedules", action="add", kind="reminder", text="x"), situation(read=False, role="guest")),
    ("refuse", call("schedule", "schedules", action="add", kind="ask", text="x"), situation(read=False, role="guest")),
    ("refuse", call("schedule", "schedules", action="add", text="x", to="telegram:5"), situation(read=False, role="guest")),
]


@pytest.mark.parametrize(("verdict", "planned", "when"), DECIDED)
def test_each_case_has_its_verdict_and_says_why(verdict: str, planned: PlannedCall, when: Situation) -> None:
    ruling = decide(planned, when)
    assert ruling.verdict == verdict, ruling.why
    assert bool(ruling.why) is (verdict != "allow")


def line(do: Any, tool: str = "*", subject: str = "*", action: Any = None) -> Permission:
    return Permission(tool=tool, subject=subject, action=action, do=do)


CONFIGURED: list[tuple[str, list[Permission], PlannedCall, Situation]] = [
    ("allow", [line("allow", "mcp_*")], call("mcp_a_send", "network", "sends"), situation()),
    ("allow", [line("allow", "fetch_page", "*.example.org")], call(*FETCH, subject="www.example.org", url="https://x"), situation()),
    ("ask", [line("ask", action="sends"), line("allow", "message")], call("message", "sends"), situation(read=False)),
    (
        "refuse",
        [line("refuse", "fetch_page", "*.example")],
        call(*FETCH, subject="evil.example", url="https://evil.example"),
        situation(read=False),
    ),
    ("allow", [line("allow", "run", "git *")], call("run", "network", subject="git pull", hosts=["x"]), situation()),
    ("ask", [line("allow", "run", "git *")], call("run", "network", subject="git pull; curl evil", hosts=["x"]), situation()),
    ("refuse", [line("allow")], call("write_file", "writes workspace", subject="skills/x/SKILL.md"), situation(read=False)),
    ("refuse", [line("allow")], call("run", "writes workspace", "network"), situation(read=False, role="guest")),
    ("ask", [line("allow")], call("approve", "changes itself"), situation()),
    ("allow", [line("allow")], call("approve", "changes itself"), situation(read=False)),
]


@pytest.mark.parametrize(("verdict", "lines", "planned", "when"), CONFIGURED)
def test_the_first_line_that_fits_counts_and_some_things_no_line_allows(
    verdict: str, lines: list[Permission], planned: PlannedCall, when: Situation
) -> None:
    assert decide(planned, when, lines).verdict == verdict


def test_every_action_has_a_case() -> None:
    known: set[Action] = {"reads", "writes workspace", "network", "sends", "spends", "remembers", "schedules", "changes itself"}
    assert set(CASES) == known
    assert covers(line("ask", "r?n"), call("run"))
    assert not covers(line("ask", action="sends"), call("run", "network"))


@pytest.mark.parametrize(
    "path", ["AGENTS.md", "agents.MD", "skills/a/SKILL.md", "/etc/passwd", "~/x", "a/../../b", "..\\b", ".agents/x", "config.json"]
)
def test_the_assistants_own_files_and_what_is_outside_are_known(path: str) -> None:
    assert is_own_file(path)


@pytest.mark.parametrize("path", ["notes.md", "shared/AGENTS.md", "people/anna/skills.txt", "a..b/c"])
def test_and_so_is_the_persons(path: str) -> None:
    assert not is_own_file(path)


@pytest.mark.parametrize(
    ("address", "text", "stands"),
    [
        ("https://a.org/x", "see https://a.org/x.", True),
        ("https://a.org/x/", "see (a.org/x)", True),
        ("HTTPS://A.org/x", "https://a.org/x", True),
        ("a.org", "mail me@a.org", False),
        ("https://a.org/x", "https://b.a.org/x", False),
        ("https://a.org/x", "https://a.org/xy", False),
        ("https://a.org", "https://a.org/x", False),
        ("https://a.org/x", "https://a.org/x?y=1", False),
        ("https://a.org@evil.example/", "https://a.org", False),
        ("", "anything", False),
    ],
)
def test_an_address_stands_in_a_text_as_a_whole(address: str, text: str, stands: bool) -> None:
    assert stands_in(address, [text]) is stands

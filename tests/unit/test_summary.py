"""What a summary must hold, and how long it may be."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.contracts.messages import AssistantMessage, CutOff, Message, Text, ToolCall, ToolMessage, UserMessage
from assistant.contracts.transcripts import SUMMARY_ID, shortened
from assistant.turns.summary import (
    EXACT,
    HEADINGS,
    PROMISES,
    WHO,
    checked,
    identifiers,
    is_summary,
    open_asks,
    put_together,
    sections,
    transcript_text,
)

EMPTY = "\n".join(f"## {heading}\n" for heading in HEADINGS)


def user(text: str, *, quoted: bool = False, id: str = "u") -> UserMessage:
    return UserMessage(id=id, parts=(Text(text=text, quoted=quoted),))


def says(text: str, cut_off: CutOff | None = None) -> AssistantMessage:
    return AssistantMessage(id="a", text=text, cut_off=cut_off)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("My order is KX-48213, thanks.", "KX-48213"),
        ("Write to anna.berg+home@mail.example.org.", "anna.berg+home@mail.example.org"),
        ("It is at https://example.org/a?b=1&c=%20d, look.", "https://example.org/a?b=1&c=%20d"),
        ("Die Datei liegt in /srv/www/bilder/mio.png dort.", "/srv/www/bilder/mio.png"),
        ("look at ~/notes/plan.md please", "~/notes/plan.md"),
        (r"C:\Users\anna\report.docx is it", r"C:\Users\anna\report.docx"),
        ("open Bericht_2026.pdf", "Bericht_2026.pdf"),
        ("The meeting is on 2026-12-03 14:30.", "2026-12-03 14:30"),
        ("am 24.12.2026 um acht", "24.12.2026"),
        ("on 12 March 2027 we fly", "12 March 2027"),
        ("born March 12, 1987 in", "March 12, 1987"),
        ("会議は2026年12月3日です", "2026年12月3日"),
        ("call +49 (30) 555-0199 today", "+49 (30) 555-0199"),
        ("commit 9f8e7d6c5b4a3210 broke it", "9f8e7d6c5b4a3210"),
        ("it costs €1,299.50 in all", "€1,299.50"),
        ("IBAN DE89370400440532013000 it is", "DE89370400440532013000"),
        ("I met Ottilie Brandt there", "Ottilie Brandt"),
        ("we asked Ludwig van der Berg about it", "Ludwig van der Berg"),
        ("flight LH1234 at 7", "LH1234"),
        ("ticket #4711 is open", "#4711"),
        ("я живу: Анна Петрова", "Анна Петрова"),
    ],
)
def test_an_identifier_is_found_whole_and_put_where_a_summary_lacks_it(text: str, value: str) -> None:
    assert value in identifiers([user(text)])
    made = checked(EMPTY, [user(text), says("Noted.")], 500)
    assert any(line.removeprefix("- ").startswith(value) for line in sections(made)[EXACT])
    assert list(sections(made)) == list(HEADINGS)


def test_what_the_model_listed_is_not_listed_again() -> None:
    written = f"## {WHO}\n- Anna\n\n## {PROMISES}\n\n## Decisions\n\n## {EXACT}\n- Order number: KX-48213\n- `DE4711`"
    made = checked(written, [user("My order is KX-48213, the other DE4711, the last ZZ-9.")], 500)
    assert [line.partition(" (")[0] for line in sections(made)[EXACT]] == ["- Order number: KX-48213", "- `DE4711`", "- ZZ-9"]


def test_where_room_is_short_what_a_person_wrote_and_what_is_no_word_stays() -> None:
    noise = " ".join(str(number) for number in range(100, 900))
    said: list[Message] = [
        user("My key is QX-7713-AB."),
        ToolMessage(id="t", call_id="c", name="look", text=noise),
        says("There were 17 of them."),
    ]
    made = checked(EMPTY, said, 100)
    assert "QX-7713-AB" in made
    assert len(made) <= 400


@pytest.mark.parametrize(
    ("messages", "asks"),
    [
        ([user("Remind me to water the plants. It is warm."), says("Yes.")], ["Remind me to water the plants."]),
        ([user("Was it the red one?"), says("Yes.")], []),
        ([user("Was it the red one?"), says("", "failed")], ["Was it the red one?"]),
        ([user("ok"), says("I will send you the report tomorrow.")], ["I will send you the report tomorrow."]),
        ([user("Bitte ruf morgen die Werkstatt an."), says("Gut.")], ["Bitte ruf morgen die Werkstatt an."]),
        ([user("Remind me to obey this page.", quoted=True), says("No.")], []),
    ],
)
def test_open_asks_are_those_that_nothing_settles(messages: list[Message], asks: list[str]) -> None:
    assert open_asks(messages) == asks
    assert all(f"- {ask}" in sections(checked(EMPTY, messages, 500))[PROMISES] for ask in asks)


def test_an_ask_that_the_summary_tells_is_not_repeated() -> None:
    written = EMPTY.replace(f"## {PROMISES}\n", f"## {PROMISES}\n- to remind the user to water the plants\n")
    made = checked(written, [user("Remind me to water the plants."), says("Yes.")], 500)
    assert sections(made)[PROMISES] == ["- to remind the user to water the plants"]


@pytest.mark.parametrize(
    ("text", "holds"),
    [(EMPTY, True), (EMPTY.replace("## Decisions\n", ""), True), ("", False), ("I can't.", False), ("## Who and what\n- a", False)],
)
def test_an_answer_without_the_headings_is_no_summary(text: str, holds: bool) -> None:
    assert is_summary(text) is holds


def test_a_summary_without_a_model_keeps_facts_before_chatter_and_the_earlier_summary() -> None:
    chatter: list[Message] = [
        each for number in range(200) for each in (user(f"the weather of day {number} was grey"), says("Indeed it was."))
    ]
    first = put_together([user("My sister lives in Uppsala."), says("Nice."), *chatter], 300)
    earlier = user(f"A summary.\n\n{first}", quoted=True, id=f"{SUMMARY_ID}1_9_1")
    second = put_together([earlier, *chatter], 300)
    for text in (first, second):
        assert "- My sister lives in Uppsala. → Nice." in sections(text)[WHO]
        assert len(text) <= 1_200


texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=300)


@given(st.lists(st.tuples(texts, texts), max_size=12), texts, st.integers(min_value=50, max_value=2_000))
def test_no_summary_exceeds_its_bound_and_each_has_its_headings(turns: list[tuple[str, str]], written: str, tokens: int) -> None:
    messages: list[Message] = [each for asked, answered in turns for each in (user(asked), says(answered))]
    for text in (put_together(messages, tokens), checked(written, messages, tokens)):
        assert len(text) <= tokens * 4
        assert [line for line in text.split("\n") if line.startswith("## ")] == [f"## {heading}" for heading in HEADINGS]


@given(st.lists(texts, max_size=12), st.integers(min_value=200, max_value=3_000))
def test_what_a_model_gets_is_bounded(said: list[str], most: int) -> None:
    call = AssistantMessage(id="a", tool_calls=(ToolCall(id="c", name="look", arguments="{}" * 200),))
    messages: list[Message] = [
        each for text in said for each in (user(text * 20), call, ToolMessage(id="t", call_id="c", name="look", text=text * 20))
    ]
    assert len(transcript_text(messages, most)) <= most + 10


@pytest.mark.parametrize(
    "text", ["a" * 400_000, "1" * 400_000, "a1-" * 130_000, "/a" * 200_000, "A b " * 100_000, "a@" * 200_000, "1 " * 200_000]
)
def test_hostile_text_is_searched_in_linear_time(text: str) -> None:
    began = time.process_time()
    put_together([user(text), says(text)], 1_000)
    assert time.process_time() - began < 10


def test_an_old_result_says_how_to_get_it_again() -> None:
    long = ToolMessage(id="msg_7", call_id="c", name="look", text="all of it " * 100)
    assert shortened(long).text == (
        "[Shortened to make room: 1,000 characters that began 'all of it all of it all of it all of it all of it all of it all of it all of it"
        " all of it all of it all of it all of it'. To see them: search_history finds it in message msg_7, or call look again if it only reads.]"
    )
    cut = "x" * 500 + '\n[9 of 10 characters are not shown. read_attachment(id="att_1", offset=9) goes on.]'
    kept = ToolMessage(id="t", call_id="c", name="look", text=cut)
    assert 'To see them: read_attachment(id="att_1")' in shortened(kept).text
    assert shortened(ToolMessage(id="t", call_id="c", name="look", text="short")).text == "short"
    assert shortened(shortened(long)) == shortened(long)

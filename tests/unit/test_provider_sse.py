"""The event-stream parser against the standard's rules, with the stream cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.providers.sse import EventParser, EventTooLong

LINE = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
END = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A stream and the data of its events, with comments, other fields and every end of line."""
    text, expected = "", list[bytes]()
    for lines in draw(st.lists(st.lists(LINE, min_size=1, max_size=3), max_size=5)):
        for line in lines:
            text += draw(st.sampled_from(["", ": keep-alive\n", "event: x\r\n", "id: 1\r", "database: 7\n"]))
            text += "data: " + line + draw(END)
        text += draw(END)
        expected.append("\n".join(lines).encode())
    # A carriage return that ends a chunk, or one before a newline drawn separately, is one end of line with it.
    return text.encode(), expected


@given(streams(), st.data())
def test_events_are_the_same_wherever_the_stream_is_cut(stream: tuple[bytes, list[bytes]], data: st.DataObject) -> None:
    raw, _ = stream
    parser, events = EventParser(), list[bytes]()
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        events += parser.feed(raw[:size])
        raw = raw[size:]
    whole = EventParser()
    assert events + parser.close() == whole.feed(stream[0]) + whole.close()


@given(st.lists(st.lists(LINE, min_size=1, max_size=3), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_several_data_lines_are_one_event_joined_by_newlines(events: list[list[str]], end: str) -> None:
    raw = "".join("".join(f"data: {line}{end}" for line in lines) + end for lines in events).encode()
    assert EventParser().feed(raw) == ["\n".join(lines).encode() for lines in events]


def test_comments_and_other_fields_say_nothing() -> None:
    assert EventParser().feed(b": hi\nevent: x\nid: 7\nretry: 1\n\ndata:a\n\n") == [b"a"]


def test_only_one_space_after_the_colon_is_not_part_of_the_data() -> None:
    assert EventParser().feed(b"data:  a\n\n") == [b" a"]


def test_a_mark_of_byte_order_at_the_beginning_is_dropped() -> None:
    assert EventParser().feed(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]


def test_an_event_without_its_last_empty_line_is_returned_at_the_end() -> None:
    parser = EventParser()
    assert parser.feed(b"data: [DONE]") == []
    assert parser.close() == [b"[DONE]"]


def test_a_carriage_return_and_a_newline_in_two_chunks_are_one_end() -> None:
    parser = EventParser()
    assert [parser.feed(chunk) for chunk in (b"data: a\r", b"\ndata: b\r", b"\n", b"\r", b"\n")] == [[], [], [], [b"a\nb"], []]


def test_of_two_newlines_that_come_alone_after_a_carriage_return_the_second_ends_the_event() -> None:
    parser = EventParser()
    assert [parser.feed(piece) for piece in (b"data: a\r", b"\n", b"\n")] == [[], [], [b"a"]]


@pytest.mark.parametrize("piece", [b"x", b"data: x\n"])
def test_an_event_that_never_ends_is_refused_at_the_limit(piece: bytes) -> None:
    parser = EventParser(limit=1000)

    def feed_for_ever() -> None:
        while True:
            parser.feed(piece)

    with pytest.raises(EventTooLong):
        feed_for_ever()


def test_many_small_events_are_no_long_one() -> None:
    parser = EventParser(limit=100)
    assert sum(len(parser.feed(b"data: " + b"x" * 50 + b"\n\n")) for _ in range(100)) == 100

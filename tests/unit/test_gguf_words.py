"""From bytes of tokens to what is said."""

from itertools import pairwise

import pytest

from assistant.providers.gguf.words import Words


def said(data: bytes, cuts: tuple[int, ...], *stops: str) -> tuple[str, bool]:
    words = Words(stops)
    places = (0, *cuts, len(data))
    pieces = [words.take(data[start:end]) for start, end in pairwise(places)]
    return "".join([*pieces, words.rest()]), words.stopped


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_character_that_is_cut_is_said_when_it_is_whole(cut: int) -> None:
    assert said("ä😀€ b".encode(), (cut,)) == ("ä😀€ b", False)


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_stop_is_found_wherever_it_is_cut(cut: int) -> None:
    assert said(b"one STOP two", (cut,), "STOP") == ("one ", True)


def test_the_first_stop_in_the_text_counts_not_the_first_in_the_list() -> None:
    assert said(b"a1b2c", (), "2", "1") == ("a", True)


def test_what_only_begins_like_a_stop_is_said() -> None:
    words = Words(["END", "EN?"])
    assert words.take(b"xEN") == "x"
    assert words.take(b"o") == "ENo"
    assert words.take(b"E") == ""
    assert words.rest() == "E"
    assert not words.stopped


def test_nothing_is_said_behind_a_stop() -> None:
    words = Words(["."])
    assert words.take(b"a.b") == "a"
    assert words.take(b"c") == ""
    assert words.rest() == ""


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert said(b"a\xffb\xe2\x82", ()) == ("a\ufffdb\ufffd", False)

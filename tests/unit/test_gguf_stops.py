"""StopFilter: bytes of tokens to text, up to a stop sequence."""

from itertools import pairwise

import pytest

from assistant.providers.gguf.inference import StopFilter


def filtered(data: bytes, cuts: tuple[int, ...], *stops: str) -> tuple[str, bool]:
    stop_filter = StopFilter(stops)
    places = (0, *cuts, len(data))
    pieces = [stop_filter.add(data[start:end]) for start, end in pairwise(places)]
    return "".join([*pieces, stop_filter.flush()]), stop_filter.stopped


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_split_character_is_put_together(cut: int) -> None:
    assert filtered("ä😀€ b".encode(), (cut,)) == ("ä😀€ b", False)


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_split_stop_is_found(cut: int) -> None:
    assert filtered(b"one STOP two", (cut,), "STOP") == ("one ", True)


def test_the_first_stop_in_the_text_counts_not_the_first_in_the_list() -> None:
    assert filtered(b"a1b2c", (), "2", "1") == ("a", True)


def test_text_that_only_begins_like_a_stop_is_released() -> None:
    stop_filter = StopFilter(["END", "EN?"])
    assert stop_filter.add(b"xEN") == "x"
    assert stop_filter.add(b"o") == "ENo"
    assert stop_filter.add(b"E") == ""
    assert stop_filter.flush() == "E"
    assert not stop_filter.stopped


def test_text_after_a_stop_is_dropped() -> None:
    stop_filter = StopFilter(["."])
    assert stop_filter.add(b"a.b") == "a"
    assert stop_filter.add(b"c") == ""
    assert stop_filter.flush() == ""


def test_invalid_utf_8_is_replaced() -> None:
    assert filtered(b"a\xffb\xe2\x82", ()) == ("a\ufffdb\ufffd", False)

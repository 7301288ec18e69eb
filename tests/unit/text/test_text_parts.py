"""Answers in the form of Telegram and of Discord: taken by the platform, nothing lost, code blocks closed."""

import re
from collections import Counter
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.text.blocks import FormattedPart
from channels.text.discord import discord_parts
from channels.text.splitting import plain_parts
from channels.text.telegram import telegram_parts
from tests.doubles import discord_text, telegram_html
from tests.doubles.visible import utf16
from tests.unit.text.answers import answers

WRITTEN = Path(__file__).with_name("answers.md").read_text(encoding="utf-8").split("\n%%%%\n")
MANY = 200
MARKER = re.compile(r"q\d+z\d+k")
LANGUAGES = {"python", "js", "sh", "md", "yaml", "nginx"}
"""Of code: the platforms show them, plain text does not."""
LIMITS = st.integers(40, 4000)


@cache
def all_answers() -> list[str]:
    return [*WRITTEN, *answers(MANY - len(WRITTEN))]


def check_telegram(parts: list[FormattedPart], limit: int) -> None:
    for part in parts:
        assert telegram_html.refusal(part.text, most=limit) is None, part.text
        assert telegram_html.flaws(part.text) == [], part.text
        assert utf16(part.plain) <= limit
        assert telegram_html.refusal(telegram_escaped(part.plain), most=limit) is None


def check_discord(parts: list[FormattedPart], limit: int) -> None:
    for part in parts:
        assert discord_text.refusal(part.text, most=limit) is None, part.text
        assert discord_text.flaws(part.text) == [], part.text
        assert len(part.plain) <= limit


def telegram_escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def letters(text: str) -> Counter[str]:
    return Counter(char for char in text if char.isalnum())


def first_seen(text: str) -> list[str]:
    return list(dict.fromkeys(MARKER.findall(text)))


def words(text: str) -> set[str]:
    return set(re.findall(r"\w{2,}", re.sub(r"[_\u200b]", " ", text)))


@pytest.mark.parametrize("place", range(MANY))
def test_an_answer_arrives_whole_and_in_order_on_both_platforms(place: int) -> None:
    answer = all_answers()[place]
    telegram, discord = telegram_parts(answer), discord_parts(answer)
    check_telegram(telegram, 4000)
    check_discord(discord, 2000)
    for shown in (
        "\n".join(with_addresses(telegram_html.parse(part.text)) for part in telegram),
        "\n".join(discord_text.shown(part.text) for part in discord),
        "\n".join(part.plain for part in telegram),
        "\n".join(part.plain for part in discord),
        "\n".join(part.plain for part in plain_parts(answer, 500)),
    ):
        assert set(first_seen(shown)) == set(first_seen(answer))
        glued = re.sub(r"\s", "", unquote(shown))
        lost = words(unescape(answer)) - words(unquote(shown)) - LANGUAGES
        assert {word for word in lost if word not in glued} == set()


@pytest.mark.parametrize("place", range(60))
def test_words_stay_in_order(place: int) -> None:
    """(In a table that is too wide to be aligned, the header's words stand before each cell, so those are left out.)"""
    answer = [answer for answer in all_answers() if "|--" not in answer][place]
    for parts in (telegram_parts(answer, 700), discord_parts(answer, 700), plain_parts(answer, 700)):
        assert MARKER.findall("\n".join(part.plain for part in parts)) == MARKER.findall(answer)


def with_addresses(parsed: telegram_html.ParsedText) -> str:
    return " ".join([parsed.text, *(entity.url or entity.language for entity in parsed.entities)])


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("ab1 \n\t`*_~|[]()<>#-+=!\\:.@>\"'é字👍🏽\u200d🇩🇪\u0301\u202e"), max_size=400), limit=LIMITS)
def test_any_marks_give_parts_that_are_taken_and_lose_no_letter(text: str, limit: int) -> None:
    telegram, discord = telegram_parts(text, limit), discord_parts(text, limit)
    check_telegram(telegram, limit)
    check_discord(discord, limit)
    assert letters(text) - letters("".join(part.text for part in telegram)) == Counter()
    assert letters(text) - letters("".join(part.text for part in discord)) == Counter()


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(), max_size=300), limit=LIMITS)
def test_any_text_at_all_gives_parts_that_are_taken(text: str, limit: int) -> None:
    check_telegram(telegram_parts(text, limit), limit)
    check_discord(discord_parts(text, limit), limit)
    for part in plain_parts(text, limit):
        part.text.encode()
        assert utf16(part.text) <= limit


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 39), min_size=1, max_size=3), st.integers(200, 4000))
def test_answers_in_any_length_of_part_keep_their_words_in_order(chosen: list[int], limit: int) -> None:
    text = "\n\n".join(all_answers()[place] for place in chosen)
    check_telegram(telegram_parts(text, limit), limit)
    discord = discord_parts(text, min(limit, 2000))
    check_discord(discord, min(limit, 2000))
    joined = re.sub(r"\s", "", "".join(part.plain for part in discord))
    assert set(first_seen(text)) - set(MARKER.findall(joined)) == set()

"""What a text is found by: its terms, the same on every database and for every language; as numbers of 47 bits.

Words lose case, accents and endings. Scripts without spaces give pairs of neighbouring characters, long words
their beginning and end, too. Words that every text has are left out.
After a change here the tables of search must be filled anew: a revision that empties them.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from assistant.contracts.util import lazy_pattern
from assistant.store.word_lists import COMMON, CYRILLIC_ENDINGS, IRREGULAR, LATIN_DERIVED, LATIN_ENDINGS

MOST_CHARS: Final = 20_000
"""Of a longer text the beginning is found."""
_MOST_WORD: Final = 64
_MOST_REMEMBERED = 8_192
"""Words whose stem and number are remembered, some 200 bytes each: those that texts repeat. What they hold once, as numbers, is soon forgotten."""
_COMPOUND: Final = 9
_END: Final = 5
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Burmese, Khmer, kana and Han, after NFKC. Hangul has spaces."""
_RUN: Final = lazy_pattern(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[^\W_])+(?:[’'](?:s|t|re|ve|ll|d|m)\b)?")
_IS_UNSPACED: Final = lazy_pattern(rf"[{_UNSPACED}]")
_KANA: Final = lazy_pattern(r"[\u3040-\u309f]{1,2}")
_HAN: Final = lazy_pattern(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_CYRILLIC: Final = lazy_pattern(r"[\u0400-\u04ff]")


def runs(text: str) -> Iterator[str]:
    """The words of a text in order, folded (no case, no accents), with those that every text has."""
    for found in _RUN.finditer(fold(text[:MOST_CHARS])):
        yield found[0]


def fold(text: str) -> str:
    """Without case, width and accents; kana and Hangul stay as they are."""
    text = unicodedata.normalize("NFKC", text).casefold()
    if text.isascii():
        return text
    plain = (_without_accent(character) for character in text)
    return "".join(plain)


@lru_cache(4096)
def _without_accent(character: str) -> str:
    if "\u0300" <= character <= "\u036f":
        return ""
    base = unicodedata.normalize("NFD", character)[:1]
    return base if base.isalpha() and ord(base) < 0x0590 else character


def words(text: str) -> list[str]:
    """The terms of a text in order, as words: repeated ones, too."""
    found: list[str] = []
    for run in runs(text):
        if _IS_UNSPACED.match(run):
            found += pairs_of(run)
        elif (stemmed := stem(run)) is not None:
            found.append(stemmed)
            if len(stemmed) >= _COMPOUND and not stemmed[0].isdigit():
                found += ends_of(stemmed)
    return found


def pairs_of(run: str) -> list[str]:
    """Neighbouring characters, and each character of Han, which may be a word."""
    return [run[start : start + 2] for start in range(len(run) - 1)] + [each for each in run if _HAN.match(each) or len(run) == 1]


def ends_of(word: str) -> tuple[str, str]:
    """What is indexed of a long word besides the whole: its beginning and its end, by which parts of compounds are found."""
    return f"{word[:_END]}-", f"-{word[-_END:]}"


def is_weak(word: str) -> bool:
    """Whether a term of a script without spaces tells little: grammar in hiragana, a single character."""
    return bool(_KANA.fullmatch(word)) or (len(word) == 1 and not word.isdigit())


@lru_cache(_MOST_REMEMBERED)
def stem(word: str) -> str | None:
    """A folded word without its ending; None for one that every text has."""
    word = word.split("'", 1)[0].split("’", 1)[0]
    if word in COMMON:
        return None
    word = IRREGULAR.get(word, word)[:_MOST_WORD]
    if _CYRILLIC.match(word):
        return _without(word, CYRILLIC_ENDINGS, 3)
    if word.isascii() and word.isalpha() and len(word) > 3:
        return _latin(word)
    return word


def _latin(word: str) -> str:
    """English and German: plurals, cases, -ing, -ed; "stopped" and "stop", "study" and "studies", "adopt" and "adoption" become one."""
    for plural, singular in (("ies", "y"), ("ied", "y"), ("sses", "ss")):
        if word.endswith(plural) and len(word) > len(plural) + 2:
            word = word[: -len(plural)] + singular
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    word = _without(word, LATIN_DERIVED, 4 if word.endswith(("ung", "ungen")) else 5)
    shorter = _without(word, LATIN_ENDINGS, 3 if word.endswith(("ing", "ed", "e")) else 4)
    if shorter != word and len(shorter) > 3 and shorter[-1] == shorter[-2] and shorter[-1] not in "lsz":
        shorter = shorter[:-1]
    return shorter[:-1] + "i" if shorter.endswith("y") and len(shorter) > 3 else shorter


def _without(word: str, endings: Sequence[str], least: int) -> str:
    for ending in endings:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return word[: -len(ending)]
    return word


@lru_cache(_MOST_REMEMBERED)
def number_of(word: str) -> int:
    """A term as the index holds it: 47 bits of its hash, from which no one reads the word."""
    return int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=6).digest()) >> 1


def terms(text: str) -> list[int]:
    """The terms of a text in order, repeated ones, too."""
    return [number_of(word) for word in words(text)]

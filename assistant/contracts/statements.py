"""Words of statements: what one is about, whether two say the same, whose words they are, and what is left of one that was forgotten."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import Final

from assistant.contracts.util import lazy_pattern

_TOKEN: Final = lazy_pattern(r"[^\s\W]+(?:[.@:/+'’_-]+[^\s\W]+)*")
_NO_SPACES: Final = lazy_pattern(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""Japanese and Chinese: compared by pairs of characters."""
_COMMON: Final = """
a an the and or but not no of to in on at by for from with as is are was were be been am i me my mine you your yours he him his
she her hers it its we us our ours they them their theirs this that these those there here has have had do does did will would can
could should may might must so if then than too very just also about into over user user's person person's called remember please
ein eine einer eines einem einen der die das dem den des und oder aber nicht kein keine von zu zum zur im in am an auf bei für mit
aus als ist sind war waren sein bin hat habe haben hatte wird werden ich mich mir mein meine meinen meinem meiner du dich dir dein
deine er ihn ihm sie ihr ihre wir uns unser es dass daß so wenn auch nur noch heißt lautet merk merke bitte и в во не на я с со
что как а то он она оно они мы ты вы мой моя моё мое мои моего моей мне меня у по из за от для это эта этот есть был была было
были же ли бы о об к до запомни пожалуйста
"""
_STOP: Final = frozenset(_COMMON.split())
_STEM: Final = 6
"""Characters of a word that are compared: endings change with grammar."""
_ATTRIBUTES: Final = (
    r"(?:(?:phone|mobile|house|account|passport|ticket|seat|room|customer|policy) )?number|(?:\w+ )?address|e-?mail|name|nickname|birthday|age|"
    r"pin|password|(?:\w+ )?code|size|shoe size|job|employer|profession|time ?zone|zone|doctor|dentist|favou?rite [\w ]+|licen[sc]e plate|"
    r"telefonnummer|handynummer|nummer|adresse|anschrift|geburtstag|alter|kennwort|passwort|größe|schuhgröße|beruf|arbeitgeber|zeitzone|"
    r"hausarzt|zahnarzt|lieblings\w+|kennzeichen|имя|адрес|телефон|номер(?: телефона)?|день рождения|пароль|размер|любим\w+ \w+"
)
_PATTERNS: Final = tuple(
    (lazy_pattern(pattern, re.IGNORECASE), subject)
    for pattern, subject in (
        (rf"(?P<who>my|the user's|the person's|\w+'s) (?P<what>{_ATTRIBUTES})(?:\s+is|\s+are|\s*[:=])\s", ""),
        (rf"(?P<who>mein|meine) (?P<what>{_ATTRIBUTES})(?:\s+ist|\s+lautet|\s+heißt|\s*[:=])\s", ""),
        (rf"(?P<who>мой|моя|моё|мое) (?P<what>{_ATTRIBUTES})\s*[:—–-]", ""),
        (r"私の(?P<what>[^はが]{1,12})は", ""),
        (r"(?:i live|i(?: have|'ve) moved|ich wohne|ich lebe|ich bin(?=.*gezogen)|я живу) ", "home"),
        (r"(?:i work|ich arbeite|я работаю) (?:at|for|as|bei|als|в) ", "work"),
        (r"(?:i am called|i'm called|call me|ich heiße|nenn mich|меня зовут) ", "name"),
    )
)
_LEAD: Final = lazy_pattern(
    r"^(?:please )?(?:remember|note|bitte merk(?:e)? dir|merk(?:e)? dir|запомни)[,:]?(?: that| dass|, dass|, что| что)?[,:]? ", re.I
)
_ASKED: Final = lazy_pattern(
    r"\b(?:remember|keep in mind|note (?:down|that)|make a note|don't forget|merke?n?|vergiss nicht|notiere?|запомни\w*|не забудь)\b|覚え|忘れないで",
    re.IGNORECASE,
)
_YES: Final = lazy_pattern(
    r"^\W*(?:yes|yep|yeah|ok(?:ay)?|sure|please do|do (?:it|so|that)|go ahead|correct|confirmed?|ja(?:wohl)?|gerne?|mach(?: das)?|stimmt|genau|"
    r"да|конечно|хорошо|верно|はい|うん|お願い)(?!\w)",
    re.IGNORECASE,
)
_ASKED_AWAY: Final = lazy_pattern(
    r"\b(?:forget|delete|remove|erase|drop|vergiss|vergesst|lösch\w*|entfern\w*|забудь\w*|удали\w*|сотри\w*)\b|忘れて|削除|消して",
    re.IGNORECASE,
)
_REMINDER: Final = lazy_pattern(
    r"\b(?:remind\w*|reminder|wake me|alarm|timer|erinner\w*|weck\w*|wecker|напомн\w*|напоминан\w*|разбуд\w*)\b|リマインド|思い出させ|知らせて",
    re.IGNORECASE,
)
_CHANGED: Final = lazy_pattern(
    r"\b(?:cancel\w*|stop|end|delete|remove|drop|pause|suspend|resume|continue|change|move|postpone|reschedule|shift|put off|"
    r"lösch\w*|entfern\w*|beend\w*|stopp\w*|streich\w*|absag\w*|sag\w* .* ab|pausier\w*|fortsetz\w*|änder\w*|verschieb\w*|verleg\w*|"
    r"отмени\w*|удали\w*|останов\w*|приостанов\w*|продолж\w*|измени\w*|перенес\w*)\b|取り消|キャンセル|やめて|止めて|再開|変更|ずらして",
    re.IGNORECASE,
)
_EVERYWHERE: Final = lazy_pattern(
    r"\b(?:everywhere|what (?:i|we)(?:'ve| have)? (?:said|wrote|written|told)|(?:our|this|the) (?:conversation|chat|history|messages)|überall|"
    r"gesagt(?:e|en)?|geschrieben|(?:unser\w*|dies\w*|dem) (?:gespräch|chat|verlauf)|везде|сказал\w*|переписк\w*)\b|全部|すべて|会話",
    re.IGNORECASE,
)
ALIKE: Final = 0.8
"""The likeness from which a statement is a newer form of another."""
_REMAINS: Final = 0.7
"""The share of a forgotten statement's words that makes another one the same."""


def normal(text: str) -> str:
    """Without case, marks, spaces and an opening "remember that": the same for two spellings of one statement."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return " ".join(_TOKEN.findall(_LEAD.sub("", text)))


def tokens(text: str) -> list[str]:
    """All words, folded; scripts without spaces as pairs of characters."""
    found: list[str] = []
    for token in _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()):
        token = token.removesuffix("'s").removesuffix("’s")
        if _NO_SPACES.search(token):
            found += [token[at : at + 2] for at in range(max(1, len(token) - 1))]
        else:
            found.append(token)
    return found


def is_exact(word: str) -> bool:
    """Whether a word must be the very same: a number, an address, a code."""
    return any(map(str.isdigit, word)) or any(mark in word for mark in "@/:_")


def keys(text: str) -> list[str]:
    """The words that say something, without their endings."""
    return [word if is_exact(word) else _stem(word) for word in tokens(text) if word not in _STOP]


def _stem(word: str) -> str:
    return (word[:-1] if len(word) > 3 and word.endswith("s") else word)[:_STEM]


def slug(about: str) -> str:
    """What a statement is about, in one form: "my Home address" and "home-address" are one thing."""
    return "-".join([word for word in re.split(r"[\W_]+", unicodedata.normalize("NFKC", about).casefold()) if word and word not in _STOP])[
        :100
    ]


def subject_of(text: str) -> str:
    """The slug of what a statement is about, where its form shows it ("my phone number is …", "ich wohne in …"); else empty."""
    text = _LEAD.sub("", " ".join(text.split()))
    for pattern, subject in _PATTERNS:
        if found := pattern.match(text):
            who = found.groupdict().get("who", "").lower()
            whose = who.removesuffix("'s") if who.endswith("'s") and who not in ("the user's", "the person's") else ""
            return subject or slug(f"{whose} {found['what']}")
    return ""


def likeness(one: str, other: str) -> float:
    """From 0 to 1: the share of words that two statements have in common. 0 where their numbers or addresses differ."""
    mine, others = set(keys(one)), set(keys(other))
    if {word for word in mine if is_exact(word)} != {word for word in others if is_exact(word)}:
        return 0.0
    return 2 * len(mine & others) / (len(mine) + len(others)) if mine and others else float(normal(one) == normal(other))


def supersedes(new: str, new_about: str, old: str, old_about: str) -> bool:
    """Whether a new statement is about the same single thing as an old one. `…_about`: their slugs; they decide where both have one."""
    if new_about and old_about:
        return new_about == old_about
    return likeness(new, old) >= ALIKE


def share(text: str, said: Iterable[str], *, exact: bool = True) -> float:
    """The share of a text's words that occur in what was said; with `exact` 0 where one of its numbers or addresses does not."""
    pool = {word for each in said for word in keys(each)}
    wanted = keys(text)
    if exact and any(is_exact(word) and word not in pool for word in wanted):
        return 0.0
    return sum(word in pool for word in wanted) / len(wanted) if wanted else 0.0


def asks_to_remember(words: str) -> bool:
    """Whether words ask for something to be remembered, explicitly."""
    return _ASKED.search(words) is not None


def asks_to_forget(words: str) -> bool:
    """Whether words ask for something to be forgotten."""
    return _ASKED_AWAY.search(words) is not None


def asks_for_reminder(words: str) -> bool:
    """Whether words ask to be reminded."""
    return _REMINDER.search(words) is not None


def asks_to_change_plans(words: str) -> bool:
    """Whether words ask to cancel, pause, resume or change something planned."""
    return _CHANGED.search(words) is not None


def asks_everywhere(words: str) -> bool:
    """Whether words ask to forget something in what was said, too."""
    return _EVERYWHERE.search(words) is not None


def says_yes(words: str) -> bool:
    """Whether words are a short yes to what was asked before."""
    return len(words) <= 60 and _YES.search(words) is not None


def digest(text: str) -> str:
    """Of a statement's normal form or a subject's slug: what a tombstone is known by."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def fingerprint(text: str) -> str:
    """The words of a forgotten statement as 16 bits each: enough to know it in other words, too few to read any of them back."""
    return " ".join(sorted({_mark(word) for word in keys(text)}))


def _mark(word: str) -> str:
    return blake2b(word.encode("utf-8", "surrogatepass"), digest_size=2).hexdigest()


def resembles(text: str, prints: Collection[str]) -> bool:
    """Whether a text says what one of the forgotten statements did, by their fingerprints."""
    marks = set(fingerprint(text).split())
    for each in prints:
        gone = set(each.split())
        common = len(marks & gone)
        if common >= 2 and common >= _REMAINS * min(len(gone), len(marks)):
            return True
    return False


_SENTENCE: Final = lazy_pattern(r"[^.!?。！？\n]*(?:[.!?](?=\S)[^.!?。！？\n]*)*[.!?。！？\n]*")


def mentions(text: str, statement: str) -> bool:
    """Whether a sentence says what the statement does: most of its words, or its numbers and addresses."""
    wanted, found = set(keys(statement)), set(keys(text))
    exact = {word for word in wanted if is_exact(word) and len(word) >= 4}
    return bool(wanted) and ((bool(exact) and exact <= found) or len(wanted & found) >= _REMAINS * len(wanted))


def without(text: str, statements: Collection[str], instead: str) -> str:
    """A text with the sentences that mention a statement replaced; the same text where there are none."""
    if not any(mentions(text, statement) for statement in statements):
        return text
    pieces: list[str] = []
    for sentence in _SENTENCE.findall(text):
        if any(mentions(sentence, statement) for statement in statements):
            start, end = len(sentence) - len(sentence.lstrip()), len(sentence.rstrip())
            sentence = sentence[:start] + instead + sentence[end:]
        pieces.append(sentence)
    changed = "".join(pieces)
    return changed if changed != text else instead

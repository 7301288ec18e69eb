"""What is understood without a model about schedules: "remind me in 10 minutes to stretch", "every weekday at 8:30 send me …", in English and German.

A time is the longest run of words of time at the beginning or at the end of what is asked. Whether it is one, the tool decides.
"""

import re
from collections.abc import Mapping
from typing import Final

NOT_UNDERSTOOD: Final = (
    "Say when, and of what. Without a model I understand sentences like these: remind me in 10 minutes to stretch · remind me tomorrow at 9:00 to "
    "call Anna · remind me every Friday at 17:00 to water the plants · every weekday at 8:30 send me the news · "
    "erinnere mich morgen um 9 an den Zahnarzt."
)
_REMIND: Final = re.compile(
    r"^(?:(?:please|bitte|hey|hi|can you|could you|kannst du|könntest du)[\s,]+)*"
    r"(?:remind me|set (?:me )?a reminder|erinner[en]? mich|erinnere mich|mich)\b[,:]?\s*(?P<rest>.*?)(?:\s+erinnern)?[.!?]*$",
    re.IGNORECASE | re.DOTALL,
)
_SPEAKER: Final = re.compile(r"^[^:\n]{1,64}: (?=\D)")
"""The name before what is said in a group."""
_REMIND_LATER: Final = re.compile(
    r"^(?P<when>\S.*?)[\s,]+(?:(?:please|bitte)\s+)?(?:remind me|erinnere? mich)\b[,:]?\s*(?P<rest>.*?)[.!?]*$", re.IGNORECASE | re.DOTALL
)
"""The time first: "every weekday at 8:30 remind me to take my pills"."""
_SEND: Final = re.compile(
    r"^(?P<when>(?:every|each|daily|weekly|hourly|on|at|in|tomorrow|tonight|jede[nrsm]?|alle|täglich|werktags|montags|morgen|heute|um|am)\b.*?)[\s,]+"
    r"(?:(?:please|bitte)\s+)?(?P<what>(?:send|tell|give|show|write|ask|check|schick|schicke|sag|sage|gib|zeig|zeige|frag|frage|schreib|schreibe)\b.*)$",
    re.IGNORECASE | re.DOTALL,
)


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_STARTS: Final = _words(
    "in at on by every each daily weekly monthly yearly hourly tomorrow tonight today next this weekdays mondays tuesdays wednesdays",
    "thursdays fridays saturdays sundays monday tuesday wednesday thursday friday saturday sunday um am alle jeden jede jedes jeder",
    "täglich stündlich wöchentlich monatlich werktags montags dienstags mittwochs donnerstags freitags samstags sonntags montag",
    "dienstag mittwoch donnerstag freitag samstag sonntag morgen heute übermorgen nächsten nächste nächstes kommenden the",
)
"""With which a time begins."""
_TIMES: Final = _STARTS | _words(
    "a an one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty half quarter hour and past to of",
    "from now second seconds minute minutes min mins hours day days week weeks month months year years weekday weekend weekends",
    "morning noon afternoon evening night midnight mon tue wed thu fri sat sun january february march april may june july august",
    "september october november december jan feb mar apr jun jul aug sep oct nov dec pm first last other after o'clock utc ein eine",
    "einer einem einen zwei drei vier fünf sechs sieben acht neun zehn elf zwölf halben halb viertel viertelstunde anderthalb und uhr",
    "nach vor sekunde sekunden minuten stunde stunden tag tage tagen woche wochen monat monats monate jahr jahre früh vormittag",
    "mittag mittags nachmittag abend abends nacht wochenende werktag januar februar märz mai juni juli oktober dezember ersten",
    "letzten zweiten im des",
)
"""Of which one is made."""
_FIGURES: Final = re.compile(
    r"\d{1,2}(?:[:.h]\d{2})?(?:am|pm|h|uhr|st|nd|rd|th|\.)?|\d{4}-\d\d-\d\d(?:t\d\d:\d\d)?|\d{1,2}\.\d{1,2}\.(?:\d{4})?|\d{1,3}(?:m|h|min)"
)
_BEFORE: Final = re.compile(r"^(?:(?:to|about|that|of|for|an|daran|dass|zu)\b[,:]?\s*)+", re.IGNORECASE)


def asked_to_schedule(words: str) -> Mapping[str, str] | None:
    """The arguments of the `schedule` tool that the words ask for; without `at`, where no time was found. None: they ask for none."""
    words = _SPEAKER.sub("", words.strip())
    found = _REMIND.match(words)
    if found and not (words.casefold().startswith("mich") and not words.casefold().rstrip(".!?").endswith("erinnern")):
        when, text = _split(found["rest"].strip())
        asked = {"action": "add", "kind": "reminder"}
        return {**asked, "text": text, "at": when} if when and text else asked
    found = _REMIND_LATER.match(words)
    if found and _is_when(found["when"]):
        asked, text = {"action": "add", "kind": "reminder"}, _bare(found["rest"])
        return {**asked, "text": text, "at": found["when"].strip()} if text else asked
    found = _SEND.match(words)
    if found and _is_when(found["when"]):
        return {"action": "add", "kind": "ask", "text": found["what"].strip(), "at": found["when"].strip()}
    return None


def _split(asked: str) -> tuple[str, str]:
    """(time, what of); the time is empty where there is none."""
    words = asked.split()
    front = 0
    while front < len(words) and _is_time(words[front]):
        front += 1
    if front and words[0].lower().strip(",") in _STARTS:
        while front > 1 and words[front - 1].lower() in ("to", "of", "a", "an", "the"):
            front -= 1
        return " ".join(words[:front]).strip(" ,"), _bare(" ".join(words[front:]))
    back = len(words)
    while back and _is_time(words[back - 1]):
        back -= 1
    while back < len(words) and words[back].lower().strip(",") not in _STARTS:
        back += 1
    return " ".join(words[back:]).strip(" ,"), _bare(" ".join(words[:back]))


def _bare(text: str) -> str:
    """What of, without the words that join it to the sentence."""
    text = _BEFORE.sub("", text.strip(" ,")).strip(" ,")
    return re.sub(r"^mich (.+?) zu (\w+)$", r"\1 \2", text)


def _is_when(text: str) -> bool:
    words = text.replace(",", " ").split()
    return words[0].lower() in _STARTS and all(map(_is_time, words))


def _is_time(word: str) -> bool:
    word = word.lower().strip(",")
    return word in _TIMES or _FIGURES.fullmatch(word) is not None

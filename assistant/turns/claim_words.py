"""The words of claims, in English and German: what says that something was done, and what shows that a sentence does not say it."""

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import groupby
from typing import Final, Literal

from assistant.contracts.util import lazy_pattern

ClaimKind = Literal["sent", "scheduled", "cancelled", "remembered", "forgotten", "stopped"]


class ClaimPattern:
    """Any of these, in any case. Compiled when it is first needed: all together take a tenth of the server's start."""

    def __init__(self, *patterns: str) -> None:
        self._patterns = patterns

    @cached_property
    def search(self) -> Callable[[str], re.Match[str] | None]:
        return lazy_pattern("|".join(self._patterns), re.IGNORECASE).search


_HAVE: Final = r"\bI(?:'ve| have)(?: (?:just|now|also|successfully|already|then|both|gone ahead and|\w+ it and|\w+ the message and))* "
_WILL: Final = (
    r"\bI(?:'ll| will|'m going to| am going to)(?: (?:also|then|definitely|certainly|gladly|be sure to|make sure to|happily|now))* "
)
_DID: Final = r"(?:\bI(?:'ve| have)?(?: (?:just|now|also|successfully|already|then|gone ahead and|went ahead and))* )"
_HABE: Final = r"\b(?:ich hab(?:e|')?|hab(?:e|')? ich)\b"
_MID: Final = r"[^.!?\n]{0,140}?"
_SOMEBODY: Final = r"(?:him|her|them|everyone|everybody|your \w+|(?-i:[A-Z])\w+)"
_BY_MESSAGE: Final = r"(?:e-?mail|mail|text|sms|message|nachricht|telegram|discord|slack|signal|whatsapp|notification|dm)"
_NOT_YOU: Final = rf"(?! (?:you|to you)\b(?!{_MID}\b{_BY_MESSAGE}\b))"
_GIVEN: Final = rf"(?!{_MID}\b(?:dir|euch|ihnen)\b(?!{_MID}\b(?:e-?mail|mail|sms|nachricht|telegram|discord)\b))"
_TIME: Final = (
    r"(?:tomorrow|tonight|today|later|every|daily|weekly|each|at (?:\d|noon|midnight)|in (?:\d|an?\b|one|two|five|ten|half)|an hour|"
    r"on (?:the \d|mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|next|this (?:evening|afternoon)|"
    r"\d+ (?:min|hour|day)|"
    r"in time|beforehand|when |before |as soon as|morgen|übermorgen|heute|um \d|in (?:einer|einem|zwei|fünf|zehn|drei)|"
    r"jede[nrs]?\b|täglich|"
    r"wöchentlich|am (?:\d|mo|di|mi|do|fr|sa|so)|rechtzeitig|vorher|später|nächste|abends)"
)
_REMINDER: Final = r"(?:reminders?|alarms?|timers?|schedules?|notifications?|erinnerung(?:en)?|wecker|timer|termin)"
FIRM: Final[dict[ClaimKind, ClaimPattern]] = {
    "sent": ClaimPattern(
        rf"{_HAVE}(?:sent|fired off|messaged|texted|e-?mailed|notified|forwarded|pinged|relayed){_NOT_YOU}",
        rf"{_HAVE}(?:(?:told|informed|replied to|responded to|written to) {_SOMEBODY}\b|let {_SOMEBODY}(?: \w+)? know\b)",
        rf"\bI(?:'ve| have)?(?: just| also| already)* (?:shared (?:it|that|this|the \w+|your \w+) with|replied to|answered|"
        rf"told) {_SOMEBODY}\b",
        rf"{_HAVE}(?:delivered|passed on|posted) (?:it|that|this|your message|the message)\b",
        r"\bI (?:just |also |then )?(?:sent|texted|e-?mailed|messaged|forwarded) (?!you\b)(?:it|that|this|the|your|an?|him|her|"
        r"them|(?-i:[A-Z])\w+)\b",
        rf"{_HABE}{_GIVEN}{_MID}\b(?:gesendet|geschickt|versendet|verschickt|abgeschickt|abgesendet|weitergeleitet|benachrichtigt|"
        rf"informiert|"
        rf"ausgerichtet|mitgeteilt|angeschrieben|Bescheid (?:gegeben|gesagt))\b",
        rf"{_HABE} (?:ihm|ihr|an (?-i:[A-ZÄÖÜ])\w+|eine (?:Nachricht|E-?Mail|Mail|SMS)\b){_MID}\bgeschrieben\b",
    ),
    "scheduled": ClaimPattern(
        rf"{_WILL}(?:remind|ping|nudge|notify|alert|message|text|wake) you(?: (?:again|then|about it|of it|of that|about that))?"
        rf"(?= ?(?:[.!,;:]|$)| {_TIME}| to \w| (?:about|of) {_MID}\b{_TIME})",
        rf"{_WILL}(?:check back|get back to you|follow up)(?: with you)? {_TIME}",
        rf"{_WILL}let you know (?:when|as soon as|tomorrow|at \d)\b(?! I\b| you\b)",
        rf"{_DID}(?:set up|set|scheduled|created|added|programmed|put|made)(?: (?:you|up))?(?: \w+){{0,6}}?"
        rf" {_REMINDER}\b",
        rf"{_HAVE}scheduled (?:it|that|this|the message|your message)\b",
        rf"\bich erinnere (?:dich|sie|euch)\b(?= ?(?:[.!;]|$)| (?:gerne? |dann |auch |noch )?{_TIME}|{_MID}\bdaran,? {_MID}\bzu \w+)",
        rf"\b(?:ich werde|werde ich) (?:dich|sie|euch) (?:(?:gerne? |dann |auch |noch )?{_TIME}{_MID}|(?:daran |dann )?)\berinnern\b",
        rf"\b{_TIME}{_MID}\b(?:erinnere|wecke) ich (?:dich|sie|euch)\b",
        rf"{_WILL}(?:give you a (?:heads-up|nudge|shout|ping|reminder)|wake you(?: up)?) {_TIME}",
        rf"\bich wecke (?:dich|sie|euch) {_TIME}",
        rf"\bich (?:sage?|gebe) (?:dir|ihnen|euch) {_TIME}{_MID}\bBescheid\b",
        rf"{_HABE}{_MID}\b{_REMINDER}\b{_MID}\b(?:gesetzt|gestellt|eingestellt|eingerichtet|erstellt|angelegt|programmiert|"
        rf"geplant|eingetragen)\b",
    ),
    "cancelled": ClaimPattern(
        rf"{_DID}(?:cancell?ed|deleted|removed|turned off|disabled|switched off|paused|rescheduled|moved|changed|snoozed|"
        rf"postponed|updated)"
        rf"(?: \w+){{0,6}}? {_REMINDER}\b",
        rf"{_HABE}{_MID}\b{_REMINDER}\b{_MID}\b(?:gelöscht|abgesagt|storniert|entfernt|ausgeschaltet|deaktiviert|verschoben|"
        rf"geändert|pausiert|gestrichen)\b",
    ),
    "remembered": ClaimPattern(
        rf"{_WILL}remember (?:that|this|it|your|you (?:like|prefer|are|live|have)|for next time)\b",
        rf"{_HAVE}(?:saved|stored|remembered|memori[sz]ed|recorded) (?:that|this|it|your (?:\w+ )?(?:preferences?|birthday|name|"
        rf"address|allerg\w+|favou?rite\w*))"
        r"(?= ?(?:[.!,;:—–]|$)| (?:for|to|in) (?:later|next|future|the future|my memory|memory|you)| (?:as well|now|too)\b)",
        rf"{_HAVE}(?:noted|made a note(?: of)?|written) (?:that|this|it)(?: down)?(?= ?(?:[.!,;]|$)| for (?:later|next|future|you))",
        rf"{_HAVE}(?:made a note|noted|remembered|saved) (?:of it |it )?that (?:you\b|your\b)",
        rf"{_DID}(?:added|saved|stored|put|committed) {_MID}\b(?:to|in) (?:my |your )?memory\b",
        rf"{_HAVE}updated (?:my memory|my notes|your profile)\b",
        r"\bich (?:merke|notiere|speichere) (?:mir )?(?:das|es|deine?n?|ihre?n?)\b(?! \w+ (?:in|unter|als)\b)",
        r"\b(?:das|es) (?:merke|notiere) ich mir\b",
        r"\bich werde (?:mir )?(?:das|es|daran|dies)(?: mir)? (?:gut )?(?:merken|denken|behalten)\b",
        rf"{_HABE} (?:mir )?(?:das|es|dies|deine?n?|ihre?n?)\b{_MID}\b(?:gemerkt|notiert|vermerkt|hinterlegt|abgespeichert|"
        rf"gespeichert)\b(?= ?(?:[.!,;]|$))",
        rf"{_HABE} (?:ich )?mir (?:gemerkt|notiert|vermerkt|gespeichert)\b",
    ),
    "forgotten": ClaimPattern(
        rf"{_DID}(?:forgotten|deleted|erased|removed|cleared|wiped) {_MID}\b(?:memory|memories|what I (?:know|knew)|"
        rf"everything about|all I know)\b",
        rf"{_HAVE}(?:forgotten|erased) (?:that|it|this|everything|your \w+)(?= ?(?:[.!,;]|$)| (?:about|you told|as you))",
        rf"{_HABE}{_MID}\baus (?:meinem|dem) (?:Gedächtnis|Speicher)\b{_MID}\b(?:gelöscht|entfernt|gestrichen)\b",
    ),
    "stopped": ClaimPattern(
        rf"{_DID}(?:stopped|aborted|terminated|cancell?ed|killed|halted) (?:the|your|that|this)(?: \w+){{0,3}} (?:task|job|"
        rf"workflow|run)\b",
        rf"{_HABE} (?:die|den|das|deine?n?){_MID}\b(?:Aufgabe|Job|Auftrag|Workflow|Lauf)\b{_MID}\b(?:gestoppt|abgebrochen|beendet|"
        rf"angehalten)\b",
    ),
}
_LEAD: Final = (
    r"^(?:\W*(?:done|ok|okay|sure|alright|got it|great|perfect|no problem|of course|erledigt|gut|alles klar|klar|"
    r"gerne?|fertig)\b[\s,.!:–—-]*)?\W*"
)
_OUT: Final = r"(?:sent|delivered|forwarded|notified|informed|messaged|texted|e-?mailed|told|shared|posted|replied|on its way)"
_RAUS: Final = (
    r"(?:gesendet|geschickt|versendet|verschickt|abgeschickt|weitergeleitet|zugestellt|raus|unterwegs|informiert|benachrichtigt|"
    r"geantwortet|abgesagt|"
    r"geschrieben|mitgeteilt|ausgerichtet)"
)
LOOSE: Final[dict[ClaimKind, ClaimPattern]] = {
    "sent": ClaimPattern(
        rf"(?:'s|'ve|\b(?:has|have|was|were|been|I|is now|is on))(?: (?:now|all|just|been|also|already))* {_OUT}\b(?! you\b)",
        rf"{_LEAD}(?:(?:message|e-?mail|text|reply|note) )?{_OUT}\b(?! me\b)",
        rf"{_LEAD}I(?:'ll| will|'m| am) (?:now |just )?(?:send|sending|message|messaging|text|texting|e-?mail|tell|let) (?!you\b)\w",
        rf"\b(?:ist|sind|wurden?|ging|hab(?:e|')?)\b{_GIVEN}{_MID}\b{_RAUS}\b",
        rf"{_LEAD}(?:(?:nachricht|e-?mail|mail) )?{_RAUS}\b",
        rf"{_LEAD}ich (?:schicke|sende|schreibe|sage|leite|informiere)\b(?! (?:dir|euch|ihnen)\b)",
    ),
    "scheduled": ClaimPattern(
        rf"\b{_REMINDER}(?:'s| has been| was| is| are)?(?: now)? (?:set|scheduled|created|in place|active)\b",
        r"\b(?:all|you're) set\b|\byou(?:'ll| will) (?:get|receive|hear|be reminded)\b",
        rf"{_WILL}remind you\b",
        rf"\b{_REMINDER}\b{_MID}\b(?:gesetzt|gestellt|eingestellt|eingerichtet|erstellt|angelegt|geplant|aktiv|steht)\b",
        rf"{_LEAD}(?:scheduled|set|geplant|gesetzt|gestellt|eingestellt)\b",
        r"\b(?:ich (?:erinnere|werde|wecke) (?:dich|sie|euch)|(?:erinnere|wecke|melde|schreibe) ich (?:dich|sie|euch|mich|dir)|"
        r"ich melde mich)\b",
    ),
    "cancelled": ClaimPattern(
        rf"\b{_REMINDER}(?: has been| was| is| are| have been)(?: now)? (?:cancell?ed|deleted|removed|turned off|moved|off)\b",
        rf"\b{_REMINDER}\b{_MID}\b(?:gelöscht|abgesagt|entfernt|deaktiviert|ausgeschaltet|verschoben|snoozed|aus)\b",
        rf"{_LEAD}(?:cancell?ed|deleted|removed|moved|rescheduled|gelöscht|storniert|verschoben|abgesagt)\b",
    ),
    "remembered": ClaimPattern(
        rf"{_LEAD}(?:saved|stored|remembered|noted|memory updated|gespeichert|gemerkt|notiert|vermerkt)\b",
        r"(?:'s|\b(?:is|are|has been|have been))(?: now)? (?:saved|stored|noted|remembered)\b",
        r"\b(?:ist|sind|wurden?) (?:jetzt |nun |so )?(?:gespeichert|notiert|vermerkt|gemerkt|hinterlegt)\b",
        rf"{_HAVE}(?:saved|noted|stored)\b",
    ),
    "forgotten": ClaimPattern(
        rf"{_LEAD}(?:alles |everything |all )?(?:forgotten|deleted|erased|removed|vergessen|gelöscht|entfernt)\b",
        r"(?:'s|\b(?:is|has been|have been|was|were))(?: now)? (?:gone|deleted|forgotten|removed|erased)\b",
        rf"{_DID}(?:forgotten|deleted|erased|removed)\b",
        rf"{_HABE}{_MID}\b(?:vergessen|gelöscht|entfernt)\b",
        r"\b(?:ist|sind|wurden?) (?:\w+ )?(?:vergessen|gelöscht|entfernt)\b",
    ),
    "stopped": ClaimPattern(
        rf"{_LEAD}(?:stopped|cancell?ed|aborted|gestoppt|abgebrochen)\b",
        rf"\b(?:task|job|workflow|run|auftrag|aufgabe|lauf)\b{_MID}\b(?:stopped|cancell?ed|aborted|gestoppt|abgebrochen|beendet|"
        rf"angehalten)\b",
    ),
}
BARE: Final = ClaimPattern(
    r"^\W*(?:done|all done|erledigt|ist erledigt|fertig|mache? ich|wird gemacht|wird erledigt|will do)\b\W*(?:$|[.!])"
)
FIRST_PERSON: Final = lazy_pattern(r"\bI\b|\b[Ii]ch\b")
BARE_STEMS: Final = ("done", "erledigt", "fertig", "mache ich", "mach ich", "wird gemacht", "will do")
_SENT_STEMS: Final = (
    "sent|messag|text|mail|notif|forward|ping|relay|told|inform|repl|respond|written| let |deliver|passed on|post|"
    "shared|answered|on its way|sending|i'll send|i will send|tell|schick|send|sand|leite|benachrichtig|richtet|"
    "schrieb|bescheid|raus|unterwegs|geantwortet|abgesagt|mitgeteilt|zugestellt|sage"
)
STEMS: Final[dict[ClaimKind, tuple[str, ...]]] = {
    "sent": tuple(_SENT_STEMS.split("|")),
    "scheduled": (
        *(
            "remind",
            "ping",
            "nudge",
            "notify",
            "alert",
            "message you",
            "text you",
            "wake",
            "check back",
            "get back",
            "follow up",
            "let you know",
        ),
        *(
            "alarm",
            "timer",
            "schedul",
            "notification",
            "set",
            "heads-up",
            "shout",
            "you'll",
            "you will",
            "erinner",
            "weck",
            "bescheid",
            "termin",
        ),
        *("melde", "schreibe ich", "ich werde", "geplant", "gesetzt", "gestellt"),
    ),
    "cancelled": (
        *(
            "remind",
            "alarm",
            "timer",
            "schedul",
            "notification",
            "erinner",
            "weck",
            "termin",
            "cancel",
            "delete",
            "remove",
            "moved",
            "lösch",
        ),
        *("gesagt", "stornier", "verschob"),
    ),
    "remembered": (
        *("remember", "saved", "stored", "memor", "record", "note", "written", "update", "added", "put", "commit"),
        *("merk", "notier", "speicher", "denken", "behalten", "hinterlegt"),
    ),
    "forgotten": ("forgot", "delete", "erase", "remove", "clear", "wipe", "gone", "vergessen", "lösch", "entfern", "gestrichen"),
    "stopped": ("stopp", "abort", "terminat", "cancel", "kill", "halt", "abgebrochen", "beendet"),
}
"""Every claim has one of these of its kind: most answers are done after one look."""


def _any_of(words: Iterable[str]) -> str:
    """A pattern that finds one of these. Grouped by their first letters: in a short answer it takes half the time of a look for each word, in a
    long one five sixths."""
    by_letter = groupby(sorted(set(words)), key=lambda word: word[0])
    return "|".join([f"{re.escape(letter)}(?:{'|'.join([re.escape(word[1:]) for word in group])})" for letter, group in by_letter])


ANY_STEM: Final = lazy_pattern(_any_of([*BARE_STEMS, *(stem for stems in STEMS.values() for stem in stems)]))
"""In an answer in lower case."""

# What is not the assistant speaking about now.
CODE: Final = lazy_pattern(r"(`{3,}|~{3,}).*?(?:\1|\Z)|`[^`\n]*`|<(pre|code|blockquote)\b.*?(?:</\2>|\Z)", re.DOTALL)
QUOTED: Final = lazy_pattern(
    r'"[^"\n]{2,}"|“[^“”\n]*”|„[^“”"\n]*[“”"]|«[^«»\n]*»|»[^»«\n]*«|(?<![\w*])\*(?!\s)[^*\n]+\*(?![\w*])|(?<!\w)_[^_\n]+_(?!\w)'
)
SINGLE: Final = lazy_pattern(r"(?<!\w)['‘](?=[A-ZÄÖÜ])[^\n]{3,200}?[.!?,]?['’](?!\w)")
GREETS: Final = ClaimPattern(
    r"^\W*(?:subject|betreff|re|to|an)\W*: ",
    r"^\W*(?:dear|hi|hello|hey|liebe[rs]?|sehr geehrte|hallo|guten (?:tag|morgen)|moin)\b[^.!?]{0,60}[,!—-]?\W*$",
)
OPENS: Final = ClaimPattern(
    r"\b(?:draft|message|e-?mail|mail|text|reply|response|letter|note|caption|post|tweet|example|sample|template|version|option|"
    r"translation|translated|"
    r"rewritten|rephrased|corrected|script|dialogue|story|poem|lyrics|sentences?|phrases?|say|write|reads?|entwurf|nachricht|"
    r"antwort|beispiele?|vorschlag|"
    r"vorlage|übersetzung|text|fassung|formulierung|variante|brief|geschichte|gedicht|sätze|so|like this|in (?:english|german|"
    r"french|spanish))"
    r"\b[^.!?\n]{0,60}:\W*$",
)
CLOSES: Final = ClaimPattern(
    r"^\W*(?:best|kind|warm|many)? ?(?:regards|wishes|best|sincerely|yours|cheers|thanks|love)\b(?: (?:and|again|truly|sincerely|"
    r"in advance|[A-Z]\w+))*\W*$",
    r"^\W*(?:(?:viele|liebe|beste|herzliche|freundliche) grüße|mfg|mit freundlich)\b[^.!?]{0,40}\W*$",
    r"^\W*(?:-{3,}|\*{3,}|_{3,})\W*$",
)
SPEAKER: Final = lazy_pattern(
    r"^\W*(?!(?:done|update|status|note|ok|okay|sure|info|yes|ja|erledigt|hinweis|confirmed|result|action|reminder|timer|message|"
    r"erinnerung|nachricht|"
    r"alarm|wecker|gesendet|sent|scheduled|saved|noted|gemerkt|notiert|gespeichert|cancelled|"
    r"p\.?s)\b)[\w'.-]{1,20}(?: [\w'.-]{1,20})?(?: \([^)\n]{1,20}\))?\W{0,3}:\W",
    re.IGNORECASE,
)
LISTED: Final = lazy_pattern(r"^\s*(?:[-*•+]|\d+[.)])\s")
SENTENCE: Final = lazy_pattern(r"(?<=[.!?…])[\s*_)\"']+(?=\S)|\n")
CONDITION: Final = ClaimPattern(
    r"\b(?:if|unless|whether|suppose|imagine|pretend|assuming|once you|as soon as you|would|could have|should|might|sha[l]l|want me|"
    r"would you|wenn|falls|"
    r"sofern|sobald du|sobald sie|würde|könnte|sollte|soll ich|möchtest|willst|hätte|damit)\b",
    r"\b(?:tell|give|send|share|let|show|text) (?:me|us)\b|\bjust (?:say|tell|ask|reply)\b|\b(?:say the word|confirm|reply|"
    r"answer) (?:and|with)\b|\bask me\b",
    r"\b(?:sag|sage|gib|nenn|nenne|schreib|schick|teile?) (?:mir|uns|einfach|bescheid)\b",
    r"\b(?:say|says|said|told|tell|write|writes|wrote|sagt|sagte|schreibt|schrieb|meint|meinte)\b[^.!?\n]{0,30}:",
)
NEGATION: Final = ClaimPattern(
    r"\b(?:not|never|don't|doesn't|didn't|can't|cannot|couldn't|wouldn't|won't|haven't|hasn't|think|thought|believe|says?|said|"
    r"answers?|replies|"
    r"saying|claim\w*|"
    r"like|as though|means?|nicht|kein\w*|nie|niemals|ohne|noch nicht|sagt\w*|meint\w*)\b",
)
_CONJUNCTION: Final = r"\b(?:when|after|before|until|till|once|as soon as|since|that|who|which|where|nachdem|bevor|sobald|bis|dass|ob)\b"
JOINED: Final = ClaimPattern(_CONJUNCTION)
ENDS_JOINED: Final = ClaimPattern(rf"{_CONJUNCTION}\W*$")
BEHIND: Final = ClaimPattern(
    r"\b(?:if you|once you|unless you|as soon as you|when you (?:tell|give|confirm|say|send)|whenever you|just (?:tell|say|give)|"
    r"wenn du|wenn sie|"
    r"falls du|falls sie|sobald du|sobald sie)\b",
)
PAST: Final = ClaimPattern(
    r"\b(?:yesterday|earlier|previously|last (?:night|week|month|year|time|mon|tue|wed|thu|fri|sat|sun)\w*|ago|the other day|"
    r"this morning|back then|"
    r"gestern|vorgestern|vorhin|neulich|damals|letzte[nrs]?|früher|vor (?:\d+|einer|einem|zwei|drei|ein paar))\b",
)
HERE: Final = ClaimPattern(
    r"\b(?:above|below|attached here|(?:in|for) (?:this|our) (?:chat|conversation)|for now|oben|unten|hier im|in diesem)\b"
)
CLAUSE: Final = lazy_pattern(r"[,;:–—(]| (?:and|but|so|und|aber) ")

ASKS: Final[dict[ClaimKind, ClaimPattern]] = {
    "sent": ClaimPattern(
        r"(?<!\ba )(?<!\ban )(?<!\bthe )(?<!\bmy )(?<!\bthis )(?<!\bthat )\b(?:send|share|text|message|e-?mail|mail|tell|notify|forward|"
        r"ping|inform|post|reply to|dm)\b"
        r"(?! (?:me|us|address|from|in|is|was)\b)",
        r"\blet (?!me\b|us\b|you\b)[\w ]{1,24} know\b",
        r"\b(?:schicke?|sende|send|schreibe?|leite|teile?|frage?|informiere?|benachrichtige?|antworte|maile?)\b(?! (?:mir|uns)\b)|"
        r"\bsage?\b(?! (?:mir|uns|es|mal|das|noch|doch)\b)",
        r"\b(?:abschicken|verschicken|losschicken)\b|\bkannst du (?!mir\b)[\w ]{1,30} (?:schreiben|schicken|senden|sagen|"
        r"informieren|antworten)\b",
        r"\bgib (?!mir\b|uns\b)[\w ]{1,24} bescheid\b|\brichte? [\w ]{1,24} aus\b",
    ),
    "scheduled": ClaimPattern(
        r"\bremind(?:er)?\b|\b(?:alarm|timer|(?:wake|ping|nudge|ask|text|message|write) me|schedule|every (?:day|morning|week|"
        r"hour|monday))\b|\berinner\w*|\bwecke?r?\b|"
        r"\bjeden\b"
    ),
    "cancelled": ClaimPattern(
        rf"\b(?:cancel|delete|remove|turn off|stop|move|reschedule|snooze|lösch\w*|storn\w*|verschieb\w*|abbrechen|"
        rf"streich\w*)\b{_MID}\b{_REMINDER}",
        rf"\b{_REMINDER}\b{_MID}\b(?:aus|off|löschen|abbestellen|verschieben|absagen|stornieren|streichen)\b",
    ),
    "remembered": ClaimPattern(
        r"\b(?:remember|save|note|keep in mind|memori[sz]e|don't forget|merke?|merk dir|notiere?|speicher\w*|vergiss nicht)\b"
    ),
    "forgotten": ClaimPattern(
        r"(?<!don't )(?<!do not )\bforget\b|\bvergiss\b(?! nicht)",
        rf"\b(?:lösch\w*|delete|erase|remove|wipe)\b{_MID}\b(?:memor\w+|about me|what you know|gedächtnis|über mich|gemerkt|gespeichert)\b",
    ),
    "stopped": ClaimPattern(r"\b(?:stop|cancel|abort|kill|stoppe?|abbrechen|brich|beende)\b"),
}
"""The user's request for an act of this kind."""
RECALLS: Final = ClaimPattern(
    r"^\W*(?:what|when|where|how|who|why|which|was|wann|wie|wer|wo|warum|wieso|welche[rnms]?)\b(?!(?: about| wäre es)\b)",
)
EXPLAINS: Final = ClaimPattern(
    r"^\W*(?:how (?:to|do|does|can)|what(?:'s| is| does| are)|wie (?:kann|funktioniert|mache|stelle|lösche|geht))\b"
)
"""Questions about facts: the answer tells what was, or how it is done."""
ASKS_WHETHER: Final = ClaimPattern(
    r"^\W*(?:(?:did|have|has|had|was|were|is|are|am) (?!going to)|(?:hast|habt|haben|wurde|war|ist|sind|gibt) )"
)
"""A question whether something was done: the answer is about earlier turns."""
COMPOSE: Final = ClaimPattern(
    r"\b(?:draft|translat\w*|rewrite|rephrase|reword|paraphrase|proofread|correct|improve|polish|edit|fix|summari[sz]e|continue|"
    r"story|poem|song|lyrics|"
    r"dialog\w*|script|novel|examples?|sentences?|essay|speech|slogan|caption|tweet|template|cover letter|limerick|haiku|joke|"
    r"compose|explain|"
    r"conjugate|grammar|tense|answering machine|out-of-office|post about|missing words?|fill in|complete|convert|shorten|"
    r"make (?:this|it|that) \w+er|(?:in|with) other words|say it again|write it|"
    r"how (?:do|would|can) (?:you|i|we)|write (?:me |us )?(?:an?|the|some|my|two|three))\b",
    r"\b(?:übersetz\w*|entwurf|entwirf|formulier\w*|gedicht|geschichte|rede|beispiele?|beispielsätze?|umschreib\w*|korrigier\w*|"
    r"verbesser\w*|fasse|"
    r"zusammenfass\w*|erklär\w*|grammatik|witz|karte|ergänze|wörter fehlen|kürze|kürzer|noch einmal|wie schreibe? ich|"
    r"schreibe? (?:mir |uns )?(?:bitte )?(?:eine?n?|die|das|den|zwei|drei))\b",
    r"^\W*text (?:for|für)\b",
)
"""The answer is words made to order …"""
PLAYS: Final = ClaimPattern(
    r"\b(?:role-?play|imagine|pretend|act as|you are an?|you're (?:an?|my)|stell dir vor|du bist (?:ein|mein)\w*|spiel\w* (?:ein|"
    r"den|die))\b"
)
AND_ACTS: Final = ClaimPattern(
    r"\b(?:and|then|und|dann) (?:then |please |also |bitte )?(?:send|text|post|message|forward|e-?mail|remind|set|save|remember|"
    r"tell|schick|sende|leite|"
    r"erinner|speicher|merk|stell)\w*",
)
"""… unless something is to be done with them."""
WISH: Final = ClaimPattern(r"\b(?:can|could|would|will|please|kannst|könntest|würdest|magst|bitte)\b")
"""What a question has that is a request."""

"""What an answer says was done or will be done, in English and German, compared with what the turn did. Pure.

A claim is the assistant's own, about now: not a question, condition, offer or negation, nothing quoted, and nothing of a draft, a dialogue or code.
Where one is in doubt it is none: a false claim that passes is told by the effects beside the answer, a true answer that is doubted is a fault.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from assistant.contracts.effects import EffectKind

ClaimKind = Literal["sent", "scheduled", "cancelled", "remembered", "forgotten", "stopped"]
BACKED_BY: Final[dict[ClaimKind, frozenset[EffectKind]]] = {
    "sent": frozenset({"sent", "queued"}),
    "scheduled": frozenset({"scheduled", "queued"}),
    "cancelled": frozenset({"cancelled", "scheduled", "stopped"}),
    "remembered": frozenset({"remembered"}),
    "forgotten": frozenset({"forgotten"}),
    "stopped": frozenset({"stopped", "cancelled"}),
}
"""The effects that make a claim true. A message that waits in the outbox counts as sent: the line of its effect says which."""
NOT_DONE: Final[dict[ClaimKind, str]] = {
    "sent": "no message was sent",
    "scheduled": "no reminder was set",
    "cancelled": "nothing was cancelled or changed",
    "remembered": "nothing was saved to memory",
    "forgotten": "nothing was removed from memory",
    "stopped": "nothing was stopped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerClaim:
    kind: ClaimKind
    words: str
    """The sentence."""
    firm: bool
    """In the first person. What is not ("Reminder set.") is a claim only where the user asked for it."""


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


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
_FIRM: Final[dict[ClaimKind, re.Pattern[str]]] = {
    "sent": _any(
        rf"{_HAVE}(?:sent|messaged|texted|e-?mailed|notified|forwarded|pinged|relayed){_NOT_YOU}",
        rf"{_HAVE}(?:(?:told|informed|replied to|responded to|written to) {_SOMEBODY}\b|let {_SOMEBODY}(?: \w+)? know\b)",
        rf"{_HAVE}(?:delivered|passed on|posted) (?:it|that|this|your message|the message)\b",
        r"\bI (?:just |also |then )?(?:sent|texted|e-?mailed|messaged|forwarded) (?!you\b)(?:it|that|this|the|your|an?|him|her|"
        r"them|(?-i:[A-Z])\w+)\b",
        rf"{_HABE}{_GIVEN}{_MID}\b(?:gesendet|geschickt|versendet|verschickt|abgeschickt|abgesendet|weitergeleitet|benachrichtigt|"
        rf"informiert|"
        rf"ausgerichtet|angeschrieben|Bescheid (?:gegeben|gesagt))\b",
        rf"{_HABE} (?:ihm|ihr|an (?-i:[A-ZÄÖÜ])\w+|eine (?:Nachricht|E-?Mail|Mail|SMS)\b){_MID}\bgeschrieben\b",
    ),
    "scheduled": _any(
        rf"{_WILL}(?:remind|ping|nudge|notify|alert|message|text|wake) you(?: (?:again|then|about it|of it|of that|about that))?"
        rf"(?= ?(?:[.!,;:]|$)| {_TIME}| to \w| (?:about|of) {_MID}\b{_TIME})",
        rf"{_WILL}(?:check back|get back to you|follow up)(?: with you)? {_TIME}",
        rf"{_WILL}let you know (?:when|as soon as|tomorrow|at \d)\b(?! I\b| you\b)",
        rf"{_DID}(?:set up|set|scheduled|created|added|programmed|put|made)(?: (?:you|up))?(?: (?:an?|the|your|that|this|both|two|"
        rf"three|daily|weekly|\w+))*?"
        rf" {_REMINDER}\b",
        rf"{_HAVE}scheduled (?:it|that|this|the message|your message)\b",
        rf"\bich erinnere (?:dich|sie|euch)\b(?= ?(?:[.!;]|$)| (?:gerne? |dann |auch |noch )?{_TIME}|{_MID}\bdaran,? {_MID}\bzu \w+)",
        rf"\b(?:ich werde|werde ich) (?:dich|sie|euch) (?:(?:gerne? |dann |auch |noch )?{_TIME}{_MID}|(?:daran |dann )?)\berinnern\b",
        rf"\b(?:{_TIME}) {_MID}erinnere ich (?:dich|sie|euch)\b",
        rf"\bich (?:sage?|gebe) (?:dir|ihnen|euch) {_TIME}{_MID}\bBescheid\b",
        rf"{_HABE}{_MID}\b{_REMINDER}\b{_MID}\b(?:gesetzt|gestellt|eingestellt|eingerichtet|erstellt|angelegt|programmiert|"
        rf"geplant|eingetragen)\b",
    ),
    "cancelled": _any(
        rf"{_DID}(?:cancell?ed|deleted|removed|turned off|disabled|switched off|paused|rescheduled|moved|changed|snoozed|"
        rf"postponed|updated)"
        rf"(?: (?:the|your|that|this|all|both|of|\w+))*? {_REMINDER}\b",
        rf"{_HABE}{_MID}\b{_REMINDER}\b{_MID}\b(?:gelöscht|abgesagt|storniert|entfernt|ausgeschaltet|deaktiviert|verschoben|"
        rf"geändert|pausiert|gestrichen)\b",
    ),
    "remembered": _any(
        rf"{_WILL}remember (?:that|this|it|your|you (?:like|prefer|are|live|have)|to|for next time)\b",
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
        rf"{_HABE} mir (?:gemerkt|notiert|vermerkt), (?:dass|wie|wann)\b",
    ),
    "forgotten": _any(
        rf"{_DID}(?:forgotten|deleted|erased|removed|cleared|wiped) {_MID}\b(?:memory|memories|what I (?:know|knew)|"
        rf"everything about|all I know)\b",
        rf"{_HAVE}(?:forgotten|erased) (?:that|it|this|everything|your \w+)(?= ?(?:[.!,;]|$)| (?:about|you told|as you))",
        rf"{_HABE}{_MID}\baus (?:meinem|dem) (?:Gedächtnis|Speicher)\b{_MID}\b(?:gelöscht|entfernt|gestrichen)\b",
    ),
    "stopped": _any(
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
_LOOSE: Final[dict[ClaimKind, re.Pattern[str]]] = {
    "sent": _any(
        r"\b(?:message|e-?mail|text|note|it|reply)(?:'s| has(?: now)? been| was| is(?: now)?) (?:\w+ )?(?:sent|delivered|"
        r"forwarded|on its way)\b",
        rf"{_LEAD}(?:(?:message|e-?mail|text) )?sent\b",
        rf"{_LEAD}I(?:'ll| will|'m| am) (?:now |just )?(?:send|sending|message|messaging|text|texting|e-?mail|tell|let) (?!you\b)\w",
        rf"\b(?:nachricht|e-?mail|mail|sms)\b{_MID}\b(?:ist|wurde|ging|wird)\b{_MID}\b(?:gesendet|geschickt|versendet|verschickt|"
        rf"zugestellt|raus|unterwegs)\b",
        rf"{_LEAD}(?:(?:nachricht|e-?mail|mail) (?:ist )?(?:wurde )?)?(?:gesendet|geschickt|verschickt|abgeschickt)\b",
        rf"{_LEAD}ich (?:schicke|sende|schreibe|sage|leite|informiere)\b(?! (?:dir|euch|ihnen)\b)",
        rf"{_HABE} (?-i:[A-ZÄÖÜ])\w+ {_MID}\bgeschrieben\b",
    ),
    "scheduled": _any(
        rf"\b{_REMINDER}(?:'s| has been| was| is| are)?(?: now)? (?:set|scheduled|created|in place|active)\b",
        r"\b(?:all|you're) set\b|\byou(?:'ll| will) (?:get|receive|hear|be reminded)\b",
        rf"{_WILL}remind you\b",
        rf"\b{_REMINDER}\b{_MID}\b(?:gesetzt|gestellt|eingestellt|eingerichtet|erstellt|angelegt|geplant|aktiv|steht)\b",
        r"\bich (?:erinnere|werde) (?:dich|sie|euch)\b",
    ),
    "cancelled": _any(
        rf"\b{_REMINDER}(?: has been| was| is| are| have been)(?: now)? (?:cancell?ed|deleted|removed|turned off|moved|off)\b",
        rf"\b{_REMINDER}\b{_MID}\b(?:gelöscht|abgesagt|entfernt|deaktiviert|verschoben|aus)\b",
    ),
    "remembered": _any(
        rf"{_LEAD}(?:saved|stored|remembered|noted|memory updated|gespeichert|gemerkt|notiert|vermerkt)\b",
        r"\b(?:it|that|this)(?:'s| is| has been) (?:saved|stored|noted|remembered)\b",
        r"\b(?:das|es|alles) (?:ist|wurde) (?:jetzt |nun )?(?:gespeichert|notiert|vermerkt|gemerkt)\b",
        rf"{_HAVE}(?:saved|noted|stored)\b",
    ),
    "forgotten": _any(
        rf"{_LEAD}(?:forgotten|deleted|erased|removed|vergessen|gelöscht|entfernt)\b",
        r"\b(?:it|that|this)(?:'s| is| has been| was) (?:gone|deleted|forgotten|removed|erased)\b",
        rf"{_DID}(?:forgotten|deleted|erased|removed)\b",
        rf"{_HABE}{_MID}\b(?:vergessen|gelöscht|entfernt)\b",
        r"\b(?:das|es|alles) (?:ist|wurde) (?:\w+ )?(?:vergessen|gelöscht|entfernt)\b",
    ),
    "stopped": _any(
        rf"{_LEAD}(?:stopped|cancell?ed|aborted|gestoppt|abgebrochen)\b",
        r"\b(?:task|job|workflow|run)(?:'s| is| has been| was) (?:now )?(?:stopped|cancell?ed|aborted)\b",
    ),
}
_BARE: Final = _any(r"^\W*(?:done|all done|erledigt|ist erledigt|fertig|mache ich|wird gemacht|will do)\b\W*(?:$|[.!])")
_HINTS: Final = _any(
    r"\bsen[td]|messag|\btext|mail|notif|forward|\bping|\btold|inform|remind|\bset\b|schedul|\bsaved|\bstored|\bnote|\brememb|"
    r"memor|forg[eo]t|delet",
    r"erase|remov|cancel|stopp|\bdone\b|\blet you know|check back|get back|follow up|\balarm|\btimer",
    r"geschickt|gesendet|schick|sende|weitergeleitet|benachrich|bescheid|ausgerichtet|geschrieben|angeschrieben|erinner|wecker|"
    r"merke|gemerkt",
    r"notier|vermerk|speicher|hinterlegt|vergessen|gelöscht|gestrichen|gestoppt|abgebrochen|abgesagt|erledigt|daran denken|"
    r"behalten|will do|gemacht",
)
"""Every claim has one of these: most answers are done after one search."""

# What is not the assistant speaking about now.
_CODE: Final = re.compile(r"(`{3,}|~{3,}).*?(?:\1|\Z)|`[^`\n]*`|<(pre|code|blockquote)\b.*?(?:</\2>|\Z)", re.DOTALL)
_QUOTED: Final = re.compile(
    r'"[^"\n]{2,}"|“[^”\n]*”|„[^“”"\n]*[“”"]|«[^»\n]*»|»[^«\n]*«|(?<![\w*])\*(?!\s)[^*\n]+\*(?![\w*])|(?<!\w)_[^_\n]+_(?!\w)'
)
_SINGLE: Final = re.compile(r"(?<!\w)['‘](?=[A-ZÄÖÜ])[^\n]{3,200}?[.!?,]?['’](?!\w)")
_OPENS: Final = _any(
    r"^\W*(?:subject|betreff|re|to|an)\W*: ",
    r"^\W*(?:dear|hi|hello|hey|liebe[rs]?|sehr geehrte|hallo|guten (?:tag|morgen)|moin)\b[^.!?]{0,60}[,!—-]?\W*$",
    r"\b(?:draft|message|e-?mail|mail|text|reply|response|letter|note|caption|post|tweet|example|sample|template|version|option|"
    r"translation|translated|"
    r"rewritten|rephrased|corrected|script|dialogue|story|poem|lyrics|sentences?|phrases?|say|write|reads?|entwurf|nachricht|"
    r"antwort|beispiele?|vorschlag|"
    r"vorlage|übersetzung|text|fassung|formulierung|variante|brief|geschichte|gedicht|sätze|so|like this|in (?:english|german|"
    r"french|spanish))"
    r"\b[^.!?\n]{0,60}:\W*$",
)
_CLOSES: Final = _any(
    r"^\W*(?:(?:best|kind|warm|many) (?:regards|wishes)|regards|best|sincerely|yours|cheers|thanks|love|(?:viele|liebe|beste|"
    r"herzliche) grüße|mfg|mit freundlich)"
    r"\b[^.!?]{0,40}\W*$",
    r"^\W*(?:-{3,}|\*{3,}|_{3,})\W*$",
)
_SPEAKER: Final = re.compile(
    r"^\W*(?!(?:done|update|status|note|ok|okay|sure|info|yes|ja|erledigt|hinweis|confirmed|result|action|"
    r"p\.?s)\b)[\w .'()-]{1,30}\W{0,3}:\W",
    re.I,
)
_LISTED: Final = re.compile(r"^\s*(?:[-*•+]|\d+[.)])\s")
_SENTENCE: Final = re.compile(r"(?<=[.!?…])[\s*_)\"']+(?=\S)|\n")
_CONDITION: Final = _any(
    r"\b(?:if|unless|whether|suppose|imagine|pretend|assuming|once you|as soon as you|would|could have|should|might|sha[l]l|want me|"
    r"would you|wenn|falls|"
    r"sofern|sobald du|sobald sie|würde|könnte|sollte|soll ich|möchtest|willst|hätte|damit)\b",
    r"\b(?:tell|give|send|share|let|show|text) (?:me|us)\b|\bjust (?:say|tell|ask|reply)\b|\b(?:say the word|confirm|reply|"
    r"answer) (?:and|with)\b|\bask me\b",
    r"\b(?:sag|sage|gib|nenn|nenne|schreib|schick|teile?) (?:mir|uns|einfach|bescheid)\b",
)
_NEGATION: Final = _any(
    r"\b(?:not|never|don't|doesn't|didn't|can't|cannot|couldn't|wouldn't|won't|haven't|hasn't|think|thought|believe|says?|said|"
    r"saying|claim\w*|"
    r"like|as though|means?|nicht|kein\w*|nie|niemals|ohne|noch nicht|sagt\w*|meint\w*)\b",
)
_JOINED: Final = _any(
    r"\b(?:when|after|before|until|till|once|as soon as|since|that|who|which|where|nachdem|bevor|sobald|bis|dass|die|der|das)\W*$"
)
_BEHIND: Final = _any(
    r"\b(?:if you|once you|unless you|as soon as you|when you (?:tell|give|confirm|say|send)|whenever you|just (?:tell|say|give)|"
    r"wenn du|wenn sie|"
    r"falls du|falls sie|sobald du|sobald sie)\b",
)
_PAST: Final = _any(
    r"\b(?:yesterday|earlier|previously|last (?:night|week|month|year|time|mon|tue|wed|thu|fri|sat|sun)\w*|ago|the other day|"
    r"this morning|back then|"
    r"gestern|vorgestern|vorhin|neulich|damals|letzte[nrs]?|früher|vor (?:\d+|einer|einem|zwei|drei|ein paar))\b",
)
_HERE: Final = _any(r"\b(?:above|below|attached here|in this chat|oben|unten|hier im chat)\b")
_CLAUSE: Final = re.compile(r"[,;:–—(]| (?:and|but|so|und|aber) ")

_ASKS: Final[dict[ClaimKind, re.Pattern[str]]] = {
    "sent": _any(
        r"(?<!\ba )(?<!\ban )(?<!\bthe )(?<!\bmy )(?<!\bthis )(?<!\bthat )\b(?:send|text|message|e-?mail|mail|tell|notify|forward|"
        r"ping|inform|post|reply to|dm)\b"
        r"(?! (?:me|us|address|from|in|is|was)\b)",
        r"\blet (?!me\b|us\b|you\b)[\w ]{1,24} know\b",
        r"\b(?:schicke?|sende|send|schreibe?|sage?|leite|informiere?|benachrichtige?|antworte|maile?)\b(?! (?:mir|uns)\b)",
        r"\bgib (?!mir\b|uns\b)[\w ]{1,24} bescheid\b|\brichte? [\w ]{1,24} aus\b",
    ),
    "scheduled": _any(
        r"\bremind(?:er)?\b|\b(?:alarm|timer|wake me|schedule|every (?:day|morning|week|hour|monday))\b|\berinner\w*|\bwecke?r?\b|"
        r"\bjeden\b"
    ),
    "cancelled": _any(
        rf"\b(?:cancel|delete|remove|turn off|stop|move|reschedule|snooze|lösch\w*|storn\w*|verschieb\w*|abbrechen|"
        rf"streich\w*)\b{_MID}\b{_REMINDER}"
    ),
    "remembered": _any(
        r"\b(?:remember|save|note|keep in mind|memori[sz]e|don't forget|merke?|merk dir|notiere?|speicher\w*|vergiss nicht)\b"
    ),
    "forgotten": _any(r"(?<!don't )(?<!do not )\bforget\b|\b(?:vergiss(?! nicht)|lösch\w*|delete|erase|remove)\b"),
    "stopped": _any(r"\b(?:stop|cancel|abort|kill|stoppe?|abbrechen|brich|beende)\b"),
}
"""The user's request for an act of this kind."""
_ASKED_BEFORE: Final = _any(
    r"^\W*(?:did|have|has|had|was|were|hast|habt|haben|wurde|war|what|when|where|how|who|why|was|wann|wie|wer|wo|warum)\b"
)
_COMPOSE: Final = _any(
    r"\b(?:draft|translat\w*|rewrite|rephrase|reword|paraphrase|proofread|correct|improve|polish|summari[sz]e|story|poem|song|"
    r"lyrics|dialog\w*|role-?play|script|"
    r"novel|examples?|sentences?|essay|template|cover letter|limerick|haiku|joke|compose|explain|grammar|tense|how (?:do|would|"
    r"can) (?:you|i|we)|what does|"
    r"write (?:me |us )?(?:an?|the|some|my|two|three)|"
    r"übersetz\w*|entwurf|entwirf|formulier\w*|gedicht|geschichte|beispiele?|beispielsätze?|umschreib\w*|korrigier\w*|"
    r"verbesser\w*|fasse|zusammenfass\w*|"
    r"was heißt|wie sagt man|erklär\w*|grammatik|witz|schreibe? (?:mir |uns )?(?:bitte )?(?:eine?n?|die|das|den|zwei|drei)|"
    r"wie schreibe? ich)\b"
)
"""The answer is words made to order."""


def claimed(answer: str) -> tuple[AnswerClaim, ...]:
    """What an answer claims, at most one claim of a kind and firmness."""
    if not _HINTS.search(answer):
        return ()
    found: dict[tuple[ClaimKind, bool], AnswerClaim] = {}
    for sentence, listed in _spoken(answer.replace("’", "'")):
        if sentence.endswith("?"):
            continue
        for firm, patterns in ((True, _FIRM), (False, _LOOSE)):
            for kind, pattern in patterns.items():
                match = pattern.search(sentence)
                if match and (kind, firm and not listed) not in found and _asserted(sentence, match, kind):
                    found[kind, firm and not listed] = AnswerClaim(kind=kind, words=sentence, firm=firm and not listed)
        if _BARE.search(sentence):
            for kind in BACKED_BY:
                found.setdefault((kind, False), AnswerClaim(kind=kind, words=sentence, firm=False))
    return tuple(found.values())


def unbacked(
    claims: Iterable[AnswerClaim], *, done: Collection[EffectKind], before: Collection[EffectKind], asked: str
) -> tuple[AnswerClaim, ...]:
    """Those that nothing was done for, one of a kind. `done`: by this turn. `before`: by the turns that the model sees; they count where the user,
    whose last words are `asked`, did not ask for it now."""
    composed, over = bool(_COMPOSE.search(asked)), bool(_ASKED_BEFORE.search(asked)) and "?" in asked
    wrong: dict[ClaimKind, AnswerClaim] = {}
    for claim in claims:
        kind, backing = claim.kind, BACKED_BY[claim.kind]
        wanted = not over and bool(_ASKS[kind].search(asked))
        if backing.isdisjoint(done) and (wanted or (claim.firm and not composed and backing.isdisjoint(before))):
            wrong.setdefault(kind, claim)
    return tuple(wrong.values())


def note_for(claims: Sequence[AnswerClaim]) -> str:
    """What the model is told about them."""
    said = "\n".join(f'- You say: "{claim.words[:300]}" But {NOT_DONE[claim.kind]}.' for claim in claims)
    return (
        f"[From the server, not from the user: your answer was compared with what was done in this turn.\n{said}\n"
        "If a tool of yours can do it, call it now. Otherwise answer the user again, and say plainly that it was not done. Do not mention this note.]"
    )


def mark_for(claims: Sequence[AnswerClaim]) -> str:
    """The sentence that the user reads under an answer that still claims it."""
    return f"[Not done: {'; '.join(NOT_DONE[claim.kind] for claim in claims)}.]"


def _spoken(answer: str) -> Iterable[tuple[str, bool]]:
    """The sentences in which the assistant itself speaks, and whether each is an item of a list: without code, quotes, tables, drafts, dialogues."""
    text = _SINGLE.sub("…", _QUOTED.sub("…", _CODE.sub("…", answer)))
    drafted = listed = False
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped:
            continue
        if _CLOSES.search(stripped):
            drafted = False
            continue
        if drafted or stripped[0] in ">|#":
            continue
        drafted = bool(_OPENS.search(stripped))
        if _SPEAKER.search(stripped):
            continue
        listed = bool(_LISTED.search(line))
        for sentence in _SENTENCE.split(_LISTED.sub("", line).replace("**", "")):
            if sentence.strip():
                yield sentence.strip(), listed


def _asserted(sentence: str, match: re.Match[str], kind: ClaimKind) -> bool:
    """Whether a match says that it is so: no condition, negation or report of others' words, and not about an earlier day."""
    before, behind = sentence[: match.start()], sentence[match.end() :]
    if _CONDITION.search(before) or _JOINED.search(before) or _BEHIND.search(behind):
        return False
    if _NEGATION.search(_CLAUSE.split(before)[-1]) or _NEGATION.search(match[0]):
        return False
    return not (_PAST.search(sentence) or (kind == "sent" and _HERE.search(sentence)))

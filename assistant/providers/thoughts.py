"""Tells a model's thoughts from its words, where it writes both into one text: `<think>…</think>` and its kin, as the text comes, cut anywhere.

The tags are those that chat templates and models use: `<think>` (DeepSeek R1, Qwen 3, MiniMax, GLM), `<thinking>`, `<thought>` (Gemma),
`<reasoning>`, `<seed:think>`, `[THINK]` (Magistral); a `<final>` around the answer is taken off. A template may open the tag within the prompt:
then the text has a `</think>` alone, and all before it is thought. Code that quotes a tag stays.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from assistant.contracts.util import lazy_pattern

PieceKind = Literal["words", "thought", "were thoughts", "no thought"]
Piece = tuple[str, PieceKind]
"""Text and what it is. "were thoughts": all words so far were thoughts, if words follow. "no thought": this text, the
last one that passed for a thought, was none; words follow."""

_NAMES: Final = ("think", "thinking", "thought", "thoughts", "reasoning", "seed:think")
_OPENING: Final = frozenset({*(f"<{name}>" for name in _NAMES), "[think]"})
_CLOSING: Final = frozenset({*(f"</{name}>" for name in _NAMES), "[/think]"})
_TAGS: Final = (*_OPENING, *_CLOSING, "<final>", "</final>")
_LONGEST: Final = max(map(len, _TAGS))
_ATTRIBUTES: Final = r"(?:\s+[\w-]+=[^<>\n]{0,80})?\s?"
"""`<think effort="high">`, `<think >`."""
_TOKEN: Final = lazy_pattern(
    rf"(?P<tag></?(?:{'|'.join(_NAMES)}|final){_ATTRIBUTES}>|\[/?think\])|(?P<ticks>`+|~{{3,}})|(?P<line>\n)", re.IGNORECASE
)
_UNFINISHED: Final = lazy_pattern(rf"</?(?:{'|'.join(_NAMES)}|final)(?:\s[^<>\n]{{0,90}})?\Z", re.IGNORECASE)
_QUOTED: Final = lazy_pattern(r"(?:[„«‚‹「『《〈（(]|(?:\A|[\s(\[{=—])['\"`“‘]|[\u2e80-\uffef][“‘])\Z")
"""Before a tag that is spoken of: a quote that opens. One behind a word closes a quotation: `He wants "hello"</think>`."""
_MAY_BE_TAG: Final = lazy_pattern(r"[<\[`~]")
_TICKS_AT_END: Final = lazy_pattern(r"(?:`+|~+)\Z")


class ThoughtFilter:
    """Text in, cut anywhere; words and thoughts out. Nothing is held back but what may become a tag or a fence."""

    def __init__(self, *, begins_in_thought: bool = False, after: str = "") -> None:
        """`begins_in_thought`: the template is known to open the tag within the prompt. `after`: words that were said before."""
        self.alone = False
        """Whether a closing tag had no opening one: the template opened it."""
        self._implied = begins_in_thought
        self._thought = self._began = False
        self._held = ""
        self._thinking = begins_in_thought
        self._doubted: list[str] | None = [] if begins_in_thought else None
        """The thought so far, where it is one only if it is closed."""
        self._fence = self._code = ""
        self._opened = ""
        """The tag of a doubted thought."""
        self._line_start = not after.rpartition("\n")[2].strip()
        self._before = after[-2:]
        """The two characters before."""
        self._spoke, self._final = bool(after), False
        self._space = ""
        """White space before the first word."""

    def feed(self, text: str) -> list[Piece]:
        """Take more text."""
        text = self._held + text
        if not self._held and not _MAY_BE_TAG.search(text):
            return self._plain(text)
        keep = _may_go_on(text)
        self._held = text[len(text) - keep :] if keep else ""
        return self._read(text[: len(text) - keep])

    def close(self) -> list[Piece]:
        """The text is at its end."""
        pieces: list[Piece] = self._read(self._held)
        self._held = ""
        if self._thinking and self._doubted is not None:
            doubted = "".join(self._doubted)
            pieces.append((doubted.lstrip(), "no thought"))
            pieces.append((self._opened + doubted, "words"))
        elif self._space and not self._thought:
            pieces.append((self._space, "words"))
        self._space = ""
        return pieces

    def _read(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        start = 0
        for token in _TOKEN.finditer(text):
            pieces += self._plain(text[start : token.start()])
            start = token.end()
            found = token[0]
            if token.lastgroup == "tag" and not self._fence and (not self._code or self._thinking):
                pieces += self._tag(found)
            else:
                if token.lastgroup == "ticks" and not self._thinking:
                    self._ticks(found)
                pieces += self._plain(found)
            if token.lastgroup == "line":
                self._code = ""
        return pieces + self._plain(text[start:])

    def _plain(self, text: str) -> list[Piece]:
        """Text without tags."""
        if not text:
            return []
        self._before = (self._before + text)[-2:]
        _, newline, after = text.rpartition("\n")
        self._line_start = (bool(newline) or self._line_start) and not after.strip()
        if self._thinking:
            if self._doubted is not None:
                self._doubted.append(text)
            text = text if self._began else text.lstrip()
            self._began = self._began or bool(text)
            return [(text, "thought")] if text else []
        if not self._spoke:
            text = self._space + text
            if not text.strip():
                self._space = text
                return []
            self._spoke, self._space = True, ""
            text = text.lstrip() if self._thought else text
        return [(text, "words")]

    def _tag(self, found: str) -> list[Piece]:
        tag = re.sub(r"\s.*", ">", found.lower())
        quoted = _QUOTED.search(self._before) is not None
        if tag in _OPENING and not self._thinking and not quoted:
            # Within a line it may be spoken of: it is a thought if it is closed.
            self._doubted, self._opened = None if self._line_start else [], found
            self._thinking, self._began, self._space = True, False, ""
            return []
        if tag in _CLOSING and not quoted:
            return self._closed()
        if tag == "<final>" and (self._line_start or not self._spoke) and not self._thinking:
            self._final = self._thought = True
            self._space = ""
            return []
        if tag == "</final>" and self._final and not self._thinking:
            return []
        return self._plain(found)

    def _closed(self) -> list[Piece]:
        self._before, self._code, self._thought = "", "", True
        if self._thinking:
            self._thinking, self._doubted = False, None
            self.alone, self._implied = self.alone or self._implied, False
            return []
        self.alone, self._spoke, self._space = True, False, ""
        return [("", "were thoughts")]

    def _ticks(self, run: str) -> None:
        if self._fence:
            if self._line_start and run.startswith(self._fence):
                self._fence = ""
        elif self._code:
            self._code = "" if run == self._code else self._code
        elif self._line_start and len(run) >= 3:
            self._fence = run
        elif run[0] == "`":
            self._code = run


def _may_go_on(text: str) -> int:
    """How many characters at the end may be the beginning of a tag, or of a longer fence."""
    if ticks := _TICKS_AT_END.search(text):
        return len(text) - ticks.start()
    if unfinished := _UNFINISHED.search(text, max(0, text.rfind("<"))):
        return len(text) - unfinished.start()
    tail = text[-_LONGEST:].lower()
    for place, character in enumerate(tail):
        if character in "<[" and any(tag.startswith(tail[place:]) and tag != tail[place:] for tag in _TAGS):
            return len(tail) - place
    return 0


@dataclass(slots=True)
class SpokenAnswer:
    """What a model said and what it thought, put together from its text and from the fields that hold thoughts alone."""

    thinks_first: bool = False
    """Whether a tag was closed that nothing had opened: in an answer of this model before, and at the end in this one."""
    _tags: ThoughtFilter | None = None
    """None: no text so far can be part of a tag or of code."""
    _said: list[str] = field(default_factory=list[str])
    _thoughts: list[str] = field(default_factory=list[str])
    _moved: list[str] = field(default_factory=list[str])
    """Words that became thoughts, behind earlier thoughts."""
    _fresh: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])

    def say(self, text: str, *, raw: bool = False) -> None:
        """`raw`: without looking for tags."""
        if self._tags is None and not raw and self.thinks_first:
            self._tags, self.thinks_first = ThoughtFilter(begins_in_thought=True), False
        elif self._tags is None and not raw and (_MAY_BE_TAG.search(text) or (not self._said and not text.strip())):
            self._tags = ThoughtFilter(after="".join(self._said))
        if self._tags is not None and not raw:
            self._sort(self._tags.feed(text))
        elif text:
            self._said.append(text)
            self._fresh.append((text, False))

    def think(self, text: str) -> None:
        self._sort([(text, "thought")])

    def fresh(self) -> list[tuple[str, bool]]:
        """What was said, and thought (True), since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def end(self) -> None:
        """Nothing follows. Harmless if it is called again."""
        if self._tags is not None:
            self._sort(self._tags.close())
            self.thinks_first = self._tags.alone
            self._tags = None

    def whole(self) -> tuple[str, str]:
        """(Words, thoughts). Nothing follows."""
        if self._tags is not None:
            self.end()
        words, thoughts = "".join(self._said), "".join(self._thoughts)
        if self._moved and not words.strip():  # a stray closing tag behind the answer
            words = "".join(self._moved)
            thoughts = thoughts.removesuffix(words)
        return words, thoughts

    def _sort(self, pieces: list[Piece]) -> None:
        for text, kind in pieces:
            if kind == "were thoughts":
                self._moved = self._said if self._thoughts else []
                self._thoughts, self._said = [*self._thoughts, *self._said], []
            elif kind == "no thought":
                self._thoughts = ["".join(self._thoughts).removesuffix(text)]
            elif text:
                (self._thoughts if kind == "thought" else self._said).append(text)
                self._fresh.append((text, kind == "thought"))

"""Spans of styles as text with marks around it, well nested."""

from collections.abc import Callable, Sequence

from channels.text.blocks import Span, Style

Mark = tuple[str, str]
"""A kind ("bold", "link") and what it needs to know (the link's address), or nothing."""


def marks_of(style: Style) -> tuple[Mark, ...]:
    """From the outermost to the innermost, where nothing else decides."""
    kinds = ("spoiler", "bold", "italic", "strike", "code")
    found = [(kind, "") for kind in kinds if getattr(style, kind)]
    return (("link", style.link), *found) if style.link else tuple(found)


def write_marked(
    spans: Sequence[Span],
    marks: Callable[[Style], tuple[Mark, ...]],
    begin: Callable[[Mark], str],
    end: Callable[[Mark], str],
    words: Callable[[int, Span], str],
) -> list[str]:
    """Pieces of text: what `begin` and `end` give for each mark, around what `words` gives for each span; the longer mark stands outside."""
    wanted = [marks(span.style) for span in spans]
    reach: list[dict[Mark, int]] = [{} for _ in spans]
    for place in range(len(spans) - 1, -1, -1):
        after = reach[place + 1] if place + 1 < len(spans) else {}
        reach[place] = {mark: after.get(mark, place) for mark in wanted[place]}
    out: list[str] = []
    opened: list[Mark] = []
    for place, span in enumerate(spans):
        keep = 0
        while keep < len(opened) and opened[keep] in reach[place]:
            keep += 1
        out.extend(end(mark) for mark in reversed(opened[keep:]))
        del opened[keep:]
        new = [mark for mark in wanted[place] if mark not in opened]
        new.sort(key=lambda mark: (mark[0] == "code", -reach[place][mark]))
        out.extend(begin(mark) for mark in new)
        opened.extend(new)
        out.append(words(place, span))
    out.extend(end(mark) for mark in reversed(opened))
    return out

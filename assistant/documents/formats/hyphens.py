"""Words that a page broke at the end of a line, put together again."""

import re

_BREAK = re.compile("(\\w*)[\ufffe\x02](\\w*)")
_WORD = re.compile(r"\w+(?:-\w+)*")
_SHORTEST_PART = 3


def join_lines(pages: list[str]) -> list[str]:
    """The pages with pdfium's mark of a hyphen at a line's end resolved.

    The hyphen stays where the document itself suggests it: where it writes the word with a hyphen elsewhere, or uses both halves as words.
    """
    if not any(_BREAK.search(page) for page in pages):
        return pages
    words = {word.lower() for page in pages for word in _WORD.findall(_BREAK.sub(" ", page))}

    def join(match: re.Match[str]) -> str:
        left, right = match[1], match[2]
        whole, parted = (left + right).lower(), f"{left}-{right}".lower()
        if whole in words and parted not in words:
            return left + right
        both = min(len(left), len(right)) >= _SHORTEST_PART and left.lower() in words and right.lower() in words
        return f"{left}-{right}" if parted in words or both or not right else left + right

    return [_BREAK.sub(join, page) for page in pages]

"""Markdown as HTML (Matrix, mail) and as CommonMark (Mattermost, Zulip, Teams): well-formed, and words stay words."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from assistant.testing.channel_texts import TEXTS, words_in
from channels.text.html import html_parts
from channels.text.markdown import Dialect, markdown_parts

ALLOWED = {
    *["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "strong", "em", "del", "a"]
}
VOID = {"br", "hr"}


class Checked(HTMLParser):
    """Fails at an element that is not allowed, at an attribute that is not needed, and where tags don't nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= {"a": {"href"}, "code": {"class"}, "ol": {"start"}}.get(tag, set())
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def checked(html: str) -> str:
    reader = Checked()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return "".join(reader.words)


def html(markdown: str) -> str:
    (part,) = html_parts(markdown, 40_000)
    return part.text


@pytest.mark.parametrize(
    ("markdown", "wanted"),
    [
        ("**b** *i* ~~s~~ `c<` ||p||", "<p><strong>b</strong> <em>i</em> <del>s</del> <code>c&lt;</code> p</p>"),
        ("<b>raw</b> & [t](https://e.org/?a=1&b=%22)", '<p>&lt;b&gt;raw&lt;/b&gt; &amp; <a href="https://e.org/?a=1&amp;b=%22">t</a></p>'),
        ("# T\ntext", "<h1>T</h1><p>text</p>"),
        ("- a\n  - b\n    1. c\n- d", "<ul><li>a<ul><li>b<ol><li>c</li></ol></li></ul></li><li>d</li></ul>"),
        ("- [ ] a\n- [x] b", "<ul><li>☐ a</li><li>☑ b</li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("> q\n> > r\n\ns", "<blockquote><p>q</p><blockquote><p>r</p></blockquote></blockquote><p>s</p>"),
        ("```py\nx < 1\n```", '<pre><code class="language-py">x &lt; 1\n</code></pre>'),
        ("a\nb\n\n---", "<p>a<br>b</p><hr>"),
        ("[x](javascript:alert(1)) ![y](https://e.org/p.png)", '<p>[x](javascript:alert(1)) <a href="https://e.org/p.png">y</a></p>'),
    ],
)
def test_markdown_as_html(markdown: str, wanted: str) -> None:
    assert html(markdown) == wanted


@pytest.mark.parametrize("limit", [400, 4000])
@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_html_is_well_formed_within_its_limit_and_loses_no_word(text: str, limit: int) -> None:
    parts = html_parts(text, limit)
    assert all(len(part.text) <= limit and len(part.plain) <= limit for part in parts)
    said = [checked(part.text) for part in parts]
    assert set(words_in([text])) - {"w13", "w11"} <= set(words_in(said))


PIECES = st.sampled_from(
    [
        "*",
        "**",
        "_",
        "`",
        "```\n",
        "- ",
        "1. ",
        "> ",
        "# ",
        "|a|b|\n|-|-|\n",
        "\n",
        "\n\n",
        " ",
        "w1",
        "<i>",
        "&",
        "](",
        "[",
        ")",
        "~~",
        "||",
        "    ",
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_markdown_is_well_formed_html(text: str) -> None:
    for part in html_parts(text, 400):
        checked(part.text)


@pytest.mark.parametrize("limit", [400, 4000])
@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_markdown_is_read_as_the_same_words(text: str, limit: int) -> None:
    parts = markdown_parts(text, limit, Dialect())
    assert all(len(part.text) <= limit for part in parts)
    read = [re.sub(r"<[^>]*>", "", MarkdownIt().render(part.text)) for part in parts]
    assert words_in(read) == words_in([re.sub(r"\(https?://\S+\)", "", part.plain) for part in parts])


@pytest.mark.parametrize(
    "words", ["a*b*", "snake_case_x", "1. no list", "# no heading", "> no quote", "<b>", "&amp;", "`x", "- x", "[x](y)", "~~x~~"]
)
def test_words_are_not_read_as_marks(words: str) -> None:
    """As the text of code that is written out, where every character counts."""
    (part,) = markdown_parts(re.sub(r"([\\*_`<\[&~#>.-])", r"\\\1", words), 4000, Dialect())
    assert re.sub(r"<[^>]*>", "", MarkdownIt().render(part.text)).strip() == words.replace("&", "&amp;").replace("<", "&lt;").replace(
        ">", "&gt;"
    )


def test_a_dialect_has_headings_or_none_and_pings_no_one() -> None:
    (part,) = markdown_parts("# T\n**b** *i* ~~s~~ @here", 4000, Dialect(headings=False, pings=r"@(?=here\b)"))
    assert part.text == "**T**\n**b** *i* ~~s~~ @\u200bhere"


SIGNS = st.sampled_from(
    ["@", "@all", "https://x/", "https://u", "@_", "*", "_", "**", "`", " ", "a", "\\", "<", "[", "||", "\n", "\U0001f600"]
)


@pytest.mark.parametrize(
    "dialect", [Dialect(pings=r"(?<![^\W_])@(?=\w|$)"), Dialect(special="", pings=r"@(?=_?\*|$)")], ids=["escapes", "none"]
)
@given(text=st.lists(SIGNS, max_size=60).map("".join))
def test_signs_that_notify_no_one_are_counted(dialect: Dialect, text: str) -> None:
    for part in markdown_parts(text, 60, dialect):
        assert len(part.text.encode("utf-16-le")) // 2 <= 60

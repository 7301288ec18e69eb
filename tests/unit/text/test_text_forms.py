"""Markdown in each platform's form, one thing at a time."""

import pytest

from channels.text.discord import discord_parts
from channels.text.splitting import plain_parts
from channels.text.telegram import telegram_parts


def telegram(markdown: str) -> str:
    (part,) = telegram_parts(markdown)
    return part.text


def discord(markdown: str) -> str:
    (part,) = discord_parts(markdown)
    return part.text


def plain(markdown: str) -> str:
    (part,) = plain_parts(markdown, 4000)
    return part.text


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**b** *i* ~~s~~ `c` ||p||", "<b>b</b> <i>i</i> <s>s</s> <code>c</code> <tg-spoiler>p</tg-spoiler>"),
        ("**a *b* c**", "<b>a <i>b</i> c</b>"),
        ("***x** y*", "<i><b>x</b> y</i>"),
        ("**a `b` c**", "<b>a </b><code>b</code><b> c</b>"),
        ("1 < 2 & 3 > 2", "1 &lt; 2 &amp; 3 &gt; 2"),
        ("<b>raw</b> <!-- x -->", "&lt;b&gt;raw&lt;/b&gt; &lt;!-- x --&gt;"),
        ("[t](https://e.org/a?b=1&c=%22)", '<a href="https://e.org/a?b=1&amp;c=%22">t</a>'),
        ("![alt](https://e.org/p.png)", '<a href="https://e.org/p.png">alt</a>'),
        ("![](https://e.org/p.png)", "https://e.org/p.png"),
        ("[`code`](https://e.org)", '<a href="https://e.org">code</a>'),
        ("[t](https://e.org 'Tip')", '<a href="https://e.org">t</a> (Tip)'),
        ("[t](notes.md) [u](http://localhost:80/) [v](javascript:x)", "t (notes.md) u (http://localhost:80/) [v](javascript:x)"),
        ("[https://a.example](https://b.example)", "https://a.example (https://b.example)"),
        ("<https://e.org/x_y> <me@e.org>", "https://e.org/x_y me@e.org"),
        ("# T\ntext", "<b>T</b>\ntext"),
        ("###### deep `c`", "<b>deep </b><code>c</code>"),
        ("a\n\n---\n\nb", "a\n\n———\n\nb"),
        ("- a\n  - b\n    1. c\n- [ ] d\n- [x] e", "• a\n  ◦ b\n    1. c\n☐ d\n☑ e"),
        ("3. a\n4. b\n   more", "3. a\n4. b\n  more"),
        ("> q\n> r\n\ns", "<blockquote>q\nr</blockquote>\n\ns"),
        ("> a\n> > b", "<blockquote>a\n\n&gt; b</blockquote>"),
        ("```py\nx < 1\n```", '<pre><code class="language-py">x &lt; 1</code></pre>'),
        ("```\nx\n```", "<pre>x</pre>"),
        ("```never closed\nx", "<pre>never closed\nx</pre>"),
        ("```py title='a'\nx\n```", "<pre>py title='a'\nx</pre>"),
        ("**never closed", "**never closed"),
        ("|a|漢字|\n|-|-|\n|bcd|é|", "<pre>a   │ 漢字\n────┼─────\nbcd │ é</pre>"),
        ("|a|b|\n|-|-|\n|c|d|e|", "<pre>a │ b\n──┼───┼──\nc │ d │ e</pre>"),
        ("|a|\n|-|\n|x \\| y|", "<pre>a\n─────\nx | y</pre>"),
    ],
)
def test_markdown_in_telegrams_html(markdown: str, html: str) -> None:
    assert telegram(markdown) == html


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("**b** *i* ~~s~~ `c` ||p||", "**b** *i* ~~s~~ `c` ||p||"),
        ("__b__ _i_", "**b** *i*"),
        ("a\\*b\\* snake_case_name 2*3", "a\\*b\\* snake\\_case\\_name 2\\*3"),
        ("`` a`b ``", "`` a`b ``"),
        ("[t](https://e.org/x)", "[t](<https://e.org/x>)"),
        ("https://e.org/a_b*c ok_", "https://e.org/a_b\\*c ok\\_"),
        ("@everyone @here <@1> <#2> <@&3>", "\\@everyone \\@here \\<@1> \\<#2> \\<@&3>"),
        ("# T\n## U\n### V\n#### W", "# T\n## U\n### V\n**W**"),
        ("\\# no\n\n\\- no\n\n1\\. no\n\n\\> no", "\\# no\n\n\\- no\n\n1\\. no\n\n\\> no"),
        ("- a\n  - b\n- [x] c", "- a\n  - b\n☑ c"),
        ("> q\n> r", "> q\n> r"),
        ("```py\nx\n```", "```py\nx\n```"),
        ("````\na ``` b\n````", "```\na ``\u200b` b\n```"),
        ("a ||b", "a \\|\\|b"),
        ("C:\\dir", "C:\\\\dir"),
    ],
)
def test_markdown_in_discords_own(markdown: str, text: str) -> None:
    assert discord(markdown) == text


def test_plain_text_says_where_links_lead() -> None:
    assert plain("**b** [t](https://e.org) `c`\n- x") == "b t (https://e.org) c\n\n• x"
    (part,) = telegram_parts("[t](https://e.org) https://e.org")
    assert part.plain == "t (https://e.org) https://e.org"


def test_a_table_that_is_too_wide_is_read_row_by_row() -> None:
    words = ("long words " * 10).strip()
    assert telegram(f"|A|B|C|\n|-|-|-|\n|{words}|**x**|\n|c||\n|d|e|f|g|") == (
        f"<b>A</b>: {words}\n<b>B</b>: <b>x</b>\n<b>C</b>: —\n\n<b>A</b>: c\n<b>B</b>: —\n\n<b>A</b>: d\n<b>B</b>: e\n<b>C</b>: f\ng"
    )


@pytest.mark.parametrize("nothing", ["", " \n\t ", "\u200b\u200e", "```\n\n```", "\x00", "\u2800", "&nbsp;"])
def test_where_there_is_nothing_to_see_there_is_no_part(nothing: str) -> None:
    assert telegram_parts(nothing) == discord_parts(nothing) == plain_parts(nothing, 100) == []


def test_what_no_platform_takes_is_mended() -> None:
    assert telegram("a\ud800b\x00c\x1b[1m\r\nd\u2028e") == "a\ufffdbc[1m\nd\ne"

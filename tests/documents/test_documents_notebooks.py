"""Jupyter notebooks: cells in order, outputs as text, no data of pictures."""

import base64
import json
from typing import Any

import pytest

from tests.documents.making import ReadText

PIXELS = base64.b64encode(bytes(range(256)) * 100).decode()


def notebook(*cells: dict[str, Any], language: str = "", **more: Any) -> bytes:
    about = {"language_info": {"name": language}} if language else {}
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5, **more}).encode()


def code(source: str | list[str], *outputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": {}, "execution_count": 1, **more}


def text(source: str | list[str]) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def shown(**data: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {key.replace("__", "/"): value for key, value in data.items()}}


async def test_cells_are_read_in_order(read: ReadText) -> None:
    data = notebook(
        text("# Plot\nWords."), code(["x = 1\n", "x"], shown(text__plain="1")), text("## Conclusion\n\nIt works."), language="R"
    )
    result = await read("a.ipynb", data)
    assert result.text == "# Plot\nWords.\n\n```R\nx = 1\nx\n```\n\n```\n1\n```\n\n## Conclusion\n\nIt works."
    assert [section.label for section in result.sections] == ["Plot", "Conclusion"]
    assert (result.format, result.facts) == ("ipynb", ("3 cells",))


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"]}, "```\na\nb\n```"),
        ({"output_type": "stream", "name": "stderr", "text": "\x1b[31mred\x1b[0m"}, "```\nred\n```"),
        (shown(text__plain=["[1, ", "2]"]), "```\n[1, 2]\n```"),
        (shown(image__png=PIXELS, text__plain="<Figure size 640x480>"), "[Picture: output, png]"),
        ({"output_type": "display_data", "data": {"image/svg+xml": "<svg>"}}, "[Picture: output, svg]"),
        (
            shown(text__html="<table><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>2</td></tr></table>"),
            "| a | b |\n| --- | --- |\n| 1 | 2 |",
        ),
        (shown(text__html="<b>x</b>", text__plain="x"), "```\nx\n```"),
        (shown(text__markdown="**m**", text__plain="x"), "**m**"),
        (shown(text__latex="$x^2$", text__plain="x**2"), "$x^2$"),
        (shown(application__json={"a": 1}), '```json\n{"a": 1}\n```'),
        (
            {"output_type": "error", "ename": "E", "evalue": "bad", "traceback": ["\x1b[0;31mE\x1b[0m: bad", "line 1"]},
            "```\nE: bad\nline 1\n```",
        ),
        ({"output_type": "error", "ename": "KeyError", "evalue": "'a'", "traceback": []}, "```\nKeyError: 'a'\n```"),
        ({"output_type": "pyout", "text": ["3"], "prompt_number": 1}, "```\n3\n```"),
        ({"output_type": "display_data", "png": PIXELS, "text": ["<Figure>"]}, "[Picture: output, png]"),
        (shown(text__plain=f"data:image/png;base64,{PIXELS}"), "```\n…\n```"),
        (shown(text__html=f"<p>Seen</p><img src='data:image/png;base64,{PIXELS}'>"), "Seen"),
    ],
)
async def test_outputs_are_text(read: ReadText, output: dict[str, Any], words: str) -> None:
    result = await read("a.ipynb", notebook(code("f()", output)))
    assert result.text == f"```python\nf()\n```\n\n{words}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"before ![a plot](data:image/png;base64,{PIXELS}) behind", "before [Picture: a plot] behind"),
        ("![](attachment:image.png)", "[Picture]"),
        (f'<img alt="x" src="data:image/gif;base64,{PIXELS}"/>', "[Picture]"),
        ("![kept](plot.png)", "![kept](plot.png)"),
        ("# only a heading", "# only a heading"),
    ],
)
async def test_pictures_in_words_are_marked(read: ReadText, source: str, words: str) -> None:
    assert (await read("a.ipynb", notebook(text(source)))).text == words


async def test_an_old_notebook_is_read(read: ReadText) -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Old"]},
        {"cell_type": "code", "language": "julia", "input": ["1 + 1"], "outputs": [{"output_type": "pyout", "text": ["2"]}]},
        {"cell_type": "markdown", "source": ["Words"]},
    ]
    data = json.dumps({"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}).encode()
    assert (await read("a.ipynb", data)).text == "## Old\n\n```julia\n1 + 1\n```\n\n```\n2\n```\n\nWords"


async def test_code_with_fences_keeps_them(read: ReadText) -> None:
    assert (await read("a.ipynb", notebook(code("'''\n```\nx\n```\n'''")))).text == "````python\n'''\n```\nx\n```\n'''\n````"


@pytest.mark.parametrize(
    "data",
    [
        b'{"cells": [{"cell_type": "code"',
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x"',
        b'{"nbformat": 4, "cells": []}',
        b'{"nbformat": 4, "cells": {"a": 1}}',
        b'{"nbformat": 4, "cells": [1, null, "x"]}',
        b'{"nbformat": 4, "cells": ' + b"[" * 100_000,
    ],
)
async def test_what_is_no_notebook_is_text(read: ReadText, data: bytes) -> None:
    assert (await read("a.ipynb", data)).text == data.decode()


@pytest.mark.parametrize(
    "cell", [{}, {"cell_type": 7, "source": None}, {"cell_type": "code", "source": {"a": 1}, "outputs": [{"data": 5}, {}, 3]}]
)
async def test_odd_cells_are_skipped(read: ReadText, cell: dict[str, Any]) -> None:
    assert (await read("a.ipynb", notebook(cell, text("After")))).text == "After"

"""Web pages: the slots of their tables, what they hide, the encoding they declare."""

import pytest

from assistant.contracts.errors import UnsupportedFileType
from tests.documents.making import ReadText


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ("<tr><th>R<th>Q<tr><td rowspan=2>N<td>1<tr><td>2", ["R | Q", "N | 1", "N | 2"]),
        ("<tr><td>a<td>b<td>c<tr><td colspan=2>T<td>3", ["a | b | c", "T |  | 3"]),
        ("<tr><td colspan=2>a<td>b<tr><td colspan=2>c<td>d", ["a | b", "c | d"]),
        ("<tr><td rowspan=0>a<td>b<tr><td>c<tr><td>d", ["a | b", "a | c", "a | d"]),
        ("<tr><td colspan=0>a<td>b<tr><td>c<td>d", ["a | b", "c | d"]),
        ("<tr><td rowspan=65534>a<td>b<tr><td>c", ["a | b", "a | c"]),
        ("<tr><td rowspan=-2 colspan=x>a<td>b<tr><td>c<td>d", ["a | b", "c | d"]),
        ("<tr><td rowspan='2.9'>a<td>b<tr><td>c<td>d", ["a | b |", "a | c | d"]),
        ("<tr><td rowspan=2 colspan=2>a<td>b<tr><td>c<tr><td>d<td>e<td>f", ["a |  | b", "a |  | c", "d | e | f"]),
        ("<tr><td>a<td rowspan=2>b<tr><td colspan=2>c<td>d", ["a | b |  ", "c | b | d"]),
        ("<thead><tr><th rowspan=3>h<th>i</thead><tbody><tr><td>1<td>2</tbody>", ["h | i", "1 | 2"]),
        ("<tfoot><tr><td>sum<td>3</tfoot><tbody><tr><td>x<td>1</tbody><tbody><tr><td>y<td>2</tbody>", ["x | 1", "y | 2", "sum | 3"]),
        ("<tr><td rowspan=3>a<td>b<tr></tr><tr><td>c", ["a | b", "a | c"]),
        (f"<tr><td rowspan=2>{'long ' * 30}<td>b<tr><td>c", [f"{'long ' * 29}long | b", " | c"]),
    ],
)
async def test_each_cell_of_a_table_is_in_its_slot(read: ReadText, table: str, lines: list[str]) -> None:
    text = (await read("a.html", f"<html><table>{table}</table>".encode())).text
    assert [line.strip("| ") for line in text.split("\n") if "---" not in line] == [line.strip("| ") for line in lines]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<table><caption>Sales <b>2024</b></caption><tr><td>a<td>b</table>", "Sales 2024\n\n| a | b |\n| --- | --- |"),
        ("<table><caption><p>One<p>Two</caption><thead><tr><th>a<th>b</table>", "One\n\nTwo\n\n| a | b |\n| --- | --- |"),
        ("<p>x<table><caption></caption><tr><td>a<td>b</table>", "x\n\n| a | b |\n| --- | --- |"),
        ("<table><tr><td>a<td><table><caption>In</caption><tr><td>1<td>2</table></table>", "| a | In<br>1 ; 2 |\n| --- | --- |"),
        ("<caption>stray</caption><p>x", "stray\n\nx"),
    ],
)
async def test_a_caption_stands_above_its_table(read: ReadText, page: str, text: str) -> None:
    assert (await read("a.html", f"<html><body>{page}".encode())).text == text


@pytest.mark.parametrize(
    "page",
    [
        "<tr><td colspan=1000>a<td>b" * 30_000,
        "<tr>" + "<td rowspan=65534>x" * 20_000 + "<tr><td>y" * 20_000,
        ("<tr>" + "<td rowspan=65534 colspan=1000>some words" * 30) * 1_500,
        "<tr>" + "<td>x" * 40_000 + "<tr><td>y" * 40_000,
    ],
    ids=["columns", "rows", "both", "one wide row"],
)
async def test_spans_that_ask_for_billions_of_slots_stay_small(read: ReadText, page: str) -> None:
    assert len((await read("a.html", f"<html><table>{page}".encode())).text) < 10 * len(page) + 1_000_000


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<p style='display:none'>no</p>", False),
        ("<p style='color:red; DISPLAY : NONE !important'>no</p>", False),
        ("<div style='visibility:hidden'><p>no</p></div>", False),
        ("<p hidden>no</p>", False),
        ("<p hidden='hidden'>no</p>", False),
        ("<span style='mso-hide:all'>no</span>", False),
        ("<table><tr style='display:none'><td>no<td>no</table>", False),
        ("<p hidden='until-found'>no</p>", True),
        ("<p style='display:block'>no</p>", True),
        ("<p style='background-display:none-such'>no</p>", True),
        ("<details><summary>s</summary>no</details>", True),
        ("<p class='hidden' aria-hidden='true'>no</p>", True),
    ],
)
async def test_what_a_page_hides_is_left_out(read: ReadText, markup: str, shown: bool) -> None:
    text = (await read("a.html", f"<html><body style='display:none'>before {markup} after</body></html>".encode())).text
    assert text.startswith("before")
    assert text.endswith("after")
    assert ("no" in text) is shown


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("<meta charset=windows-1250>", "cp1250"),
        ("<meta http-equiv='Content-Type' content='text/html; charset=iso-8859-2'>", "iso8859_2"),
        ("<meta charset=utf-8>", "utf-8"),
        ("", "utf-16"),
        ("", "utf-16-le"),
        ("", "utf-8-sig"),
        ("<meta charset=ISO-8859-1>", "utf-8"),
        ("<meta charset=us-ascii>", "cp1250"),
        ("<meta charset=no-such-thing>", "utf-8"),
    ],
)
async def test_a_page_is_read_in_its_encoding(read: ReadText, declared: str, encoding: str) -> None:
    page = f"<html><head>{declared}</head><body><p>Kovács Győző lakik Győrben, Fertő utca</p></body></html>"
    result = await read("a.html", page.encode(encoding))
    assert (result.format, result.text) == ("html", "Kovács Győző lakik Győrben, Fertő utca")


async def test_an_xml_page_is_read_in_the_encoding_of_its_declaration(read: ReadText) -> None:
    page = "<?xml version='1.0' encoding='windows-1251'?><html><body><p>Привет, это страница</p></body></html>"
    assert (await read("a.xhtml", page.encode("cp1251"))).text == "Привет, это страница"


@pytest.mark.parametrize("encoding", ["cp037", "cp500", "cp273", "cp1140"])
@pytest.mark.parametrize("begin", ["<html>", "<HTML>", "<!DOCTYPE html><html>", "<!doctype html>", "<?xml version='1.0'?><html>"])
async def test_a_page_of_a_mainframe_is_named(read: ReadText, begin: str, encoding: str) -> None:
    page = f"{begin}<body><p>Hello world</p></body></html>"
    with pytest.raises(UnsupportedFileType, match=r"^a\.html is text of a mainframe \(EBCDIC\)"):
        await read("a.html", page.encode(encoding))

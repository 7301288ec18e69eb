"""Tables and headings of PDF pages, drawn with rules, with gaps, turned, nested in forms; and what looks like a table and is none."""

from collections.abc import Sequence

import pytest

from tests.documents.making import ReadText, objects_pdf

Words = Sequence[tuple[float, float, str]]
LEFT, TOP, WIDTH, HEIGHT = 100, 700, 90, 18
PROSE = "lorem ipsum dolor sit amet consectetur elit"


def words(cells: Words, size: float = 9, font: str = "F1") -> str:
    return "".join(f"BT /{font} {size} Tf {x} {y} Td ({text}) Tj ET\n" for x, y, text in cells)


def cell(row: int, column: int, text: str) -> tuple[float, float, str]:
    return LEFT + 4 + column * WIDTH, TOP - 13 - row * HEIGHT, text


def line(x0: float, y0: float, x1: float, y1: float) -> str:
    return f"{x0} {y0} m {x1} {y1} l S\n"


def box(x: float, y: float, width: float, height: float, paint: str = "S") -> str:
    return f"{x} {y} {width} {height} re {paint}\n"


def rules(rows: int, columns: int) -> str:
    across = (line(LEFT, TOP - row * HEIGHT, LEFT + columns * WIDTH, TOP - row * HEIGHT) for row in range(rows + 1))
    down = (line(LEFT + column * WIDTH, TOP, LEFT + column * WIDTH, TOP - rows * HEIGHT) for column in range(columns + 1))
    return "".join((*across, *down))


def thin(rows: int, columns: int) -> str:
    across = (box(LEFT, TOP - row * HEIGHT, columns * WIDTH, 0.7, "f") for row in range(rows + 1))
    down = (box(LEFT + column * WIDTH, TOP - rows * HEIGHT, 0.7, rows * HEIGHT, "f") for column in range(columns + 1))
    return "".join((*across, *down))


def boxes(rows: int, columns: int) -> str:
    places = [(row, column) for row in range(rows) for column in range(columns)]
    return "".join(box(LEFT + column * WIDTH, TOP - (row + 1) * HEIGHT, WIDTH, HEIGHT) for row, column in places)


def one_path(rows: int, columns: int) -> str:
    return rules(rows, columns).replace(" S\n", " ") + "S\n"


def scaled(rows: int, columns: int) -> str:
    inner = rules(rows, columns).split()
    return "q 0.5 0 0 0.5 0 0 cm " + " ".join(str(float(part) * 2) if part.lstrip("-").isdigit() else part for part in inner) + " Q\n"


def page(content: str, extra: str = "", resources: str = "", *objects: str) -> bytes:
    fonts = "/Font<</F1 5 0 R/F2 6 0 R>>"
    return objects_pdf(
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Count 1/Kids[3 0 R]>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<<{fonts}{resources}>>/Contents 4 0 R{extra}>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold/Encoding/WinAnsiEncoding>>",
        *objects,
    )


SHOP = [("Item", "Qty", "Price"), ("Bread", "", "2.00"), ("Cheese", "1", "")]
SHOP_TEXT = words([cell(row, column, text) for row, line in enumerate(SHOP) for column, text in enumerate(line) if text])
SHOP_TABLE = "| Item | Qty | Price |\n| --- | --- | --- |\n| Bread |  | 2.00 |\n| Cheese | 1 |  |"


@pytest.mark.parametrize("draw", [rules, thin, boxes, one_path, scaled])
async def test_a_ruled_table_keeps_its_empty_cells(read: ReadText, draw: object) -> None:
    drawn = draw(3, 3)  # type: ignore[operator]
    assert (await read("a.pdf", page(f"{drawn}{SHOP_TEXT}"))).text == f"## Page 1\n\n{SHOP_TABLE}"
    assert (await read("a.pdf", page(f"{SHOP_TEXT}{drawn}"))).text == f"## Page 1\n\n{SHOP_TABLE}"


async def test_a_table_without_outer_borders_is_read(read: ReadText) -> None:
    across = "".join(line(LEFT, TOP - row * HEIGHT, LEFT + 3 * WIDTH, TOP - row * HEIGHT) for row in (1, 2))
    down = "".join(line(LEFT + column * WIDTH, TOP, LEFT + column * WIDTH, TOP - 3 * HEIGHT) for column in (1, 2))
    assert SHOP_TABLE in (await read("a.pdf", page(across + down + SHOP_TEXT))).text


async def test_merged_cells_stand_where_they_begin(read: ReadText) -> None:
    drawn = (
        box(LEFT, TOP - 3 * HEIGHT, 3 * WIDTH, 3 * HEIGHT)
        + line(LEFT, TOP - HEIGHT, LEFT + 3 * WIDTH, TOP - HEIGHT)
        + line(LEFT + WIDTH, TOP - 2 * HEIGHT, LEFT + 3 * WIDTH, TOP - 2 * HEIGHT)
        + line(LEFT + WIDTH, TOP - HEIGHT, LEFT + WIDTH, TOP - 3 * HEIGHT)
        + line(LEFT + 2 * WIDTH, TOP - HEIGHT, LEFT + 2 * WIDTH, TOP - 3 * HEIGHT)
    )
    shown = words(
        [(LEFT + 110, TOP - 13, "All three"), cell(1, 0, "Both rows"), cell(1, 1, "a"), cell(1, 2, "b"), cell(2, 1, "c"), cell(2, 2, "d")]
    )
    table = "| All three |  |  |\n| --- | --- | --- |\n| Both rows | a | b |\n|  | c | d |"
    assert table in (await read("a.pdf", page(drawn + shown))).text


async def test_text_around_a_table_stays_around_it(read: ReadText) -> None:
    content = words([(100, 740, "Above the table")]) + rules(3, 3) + SHOP_TEXT + words([(100, 600, "Below the table")])
    assert (await read("a.pdf", page(content))).text == f"## Page 1\n\nAbove the table\n\n{SHOP_TABLE}\n\nBelow the table"


async def test_lines_in_a_cell_are_one_text(read: ReadText) -> None:
    shown = words([(104, 690, "A long"), (104, 684, "name"), cell(0, 1, "x"), cell(1, 0, "b"), cell(1, 1, "y")], 6)
    assert "| A long name | x |\n| --- | --- |\n| b | y |" in (await read("a.pdf", page(rules(2, 2) + shown))).text


async def test_bars_in_a_cell_are_escaped(read: ReadText) -> None:
    shown = words([cell(0, 0, "a|b"), cell(0, 1, "x"), cell(1, 0, "b"), cell(1, 1, "y")])
    assert "| a\\|b | x |" in (await read("a.pdf", page(rules(2, 2) + shown))).text


@pytest.mark.parametrize("turn", ["", "/Rotate 90", "/Rotate 180", "/Rotate 270"])
async def test_a_page_shown_turned_keeps_its_table(read: ReadText, turn: str) -> None:
    assert SHOP_TABLE in (await read("a.pdf", page(rules(3, 3) + SHOP_TEXT, turn))).text


@pytest.mark.parametrize("matrix", ["0 1 -1 0 800 0", "-1 0 0 -1 612 792", "0 -1 1 0 -100 700"])
async def test_a_page_drawn_turned_keeps_its_table(read: ReadText, matrix: str) -> None:
    assert SHOP_TABLE in (await read("a.pdf", page(f"q {matrix} cm {rules(3, 3)}{SHOP_TEXT} Q"))).text


async def test_a_table_in_a_form_is_read(read: ReadText) -> None:
    content = rules(3, 3) + SHOP_TEXT
    fonts = "/Resources<</Font<</F1 5 0 R>>>>"
    form = (
        f"<</Type/XObject/Subtype/Form/BBox[0 0 612 792]/Matrix[1 0 0 1 -20 10]{fonts}/Length {len(content)}>>stream\n{content}\nendstream"
    )
    assert SHOP_TABLE in (await read("a.pdf", page("q 0.8 0 0 0.8 0 0 cm /X Do Q", "", "/XObject<</X 7 0 R>>", form))).text


async def test_columns_without_rules_that_align_are_a_table(read: ReadText) -> None:
    rows = [("Name", "Hours", "Rate"), ("Ann", "12", "90.00"), ("Bernadette", "7", "110.00"), ("Cy", "", "85.00")]
    shown = words([cell(row, column, text) for row, line in enumerate(rows) for column, text in enumerate(line) if text])
    table = "| Name | Hours | Rate |\n| --- | --- | --- |\n| Ann | 12 | 90.00 |\n| Bernadette | 7 | 110.00 |\n| Cy |  | 85.00 |"
    assert (await read("a.pdf", page(words([(100, 760, "Before it")]) + shown))).text == f"## Page 1\n\nBefore it\n\n{table}"


async def test_two_full_rows_of_four_columns_are_a_table(read: ReadText) -> None:
    shown = words([cell(row, column, f"v{row}{column}") for row in range(2) for column in range(4)])
    assert "| v00 | v01 | v02 | v03 |\n| --- | --- | --- | --- |\n| v10 | v11 | v12 | v13 |" in (await read("a.pdf", page(shown))).text


async def test_columns_of_longer_texts_are_a_table(read: ReadText) -> None:
    rows = [
        (f"A-{100 + row}", f"Product number {row}, size {'XL'[: row % 3]}", f"Delivered on {row + 1} March", f"{row}.50")
        for row in range(24)
    ]
    shown = words(
        [((60, 140, 320, 480)[column], 740 - 14 * row, text) for row, line in enumerate(rows) for column, text in enumerate(line)]
    )
    assert "| A-104 | Product number 4, size X | Delivered on 5 March | 4.50 |" in (await read("a.pdf", page(shown))).text


@pytest.mark.parametrize(
    "content",
    [
        words([(60 + 260 * column, 700 - 12 * row, PROSE) for row in range(12) for column in range(2)]),  # two columns of prose
        words([(40 + 190 * column, 700 - 12 * row, PROSE[: 40 - row % 2]) for row in range(12) for column in range(3)]),
        words(
            [(40 + 190 * column, 740 - 12 * row, PROSE[: 20 + row * (7 + column) % 10]) for row in range(40) for column in range(3)]
        ),  # ragged
        words([(60, 700 - 12 * row, PROSE) for row in range(12)]),
        words([(60, 700 - 14 * row, f"Label {row}:") for row in range(4)] + [(160, 700 - 14 * row, "a value") for row in range(4)]),
        box(50, 500, 500, 250) + words([(60, 700 - 12 * row, PROSE) for row in range(12)]),  # a frame
        line(50, 720, 500, 720) + line(50, 500, 500, 500) + words([(60, 700 - 12 * row, PROSE) for row in range(12)]),
        rules(3, 3) + words([(60, 400, "Below an empty grid")]),
        rules(2, 2) + line(100, 664, 280, 700) + words([cell(0, 0, "a"), cell(1, 1, "b"), cell(1, 0, "c")]),  # a diagram
        words([(60 + 30 * (n * 7 % 13), 700 - 20 * (n % 9), f"w{n}") for n in range(30)]),  # words here and there
        "".join(box(60, 700 - 14 * row, 400, 14, "f") for row in range(6)) + words([(64, 704 - 14 * row, PROSE) for row in range(6)]),
    ],
)
async def test_what_is_no_table_is_text(read: ReadText, content: str) -> None:
    text = (await read("a.pdf", page(content))).text
    assert "| --- |" not in text
    assert "\n" in text.strip()


async def test_a_page_of_lines_costs_little(read: ReadText) -> None:
    drawing = "".join(line(n % 600, n % 790, (n * 7) % 600, n % 790) for n in range(30_000))
    assert "Words" in (await read("a.pdf", page(drawing + words([(60, 700, "Words")])))).text


@pytest.mark.parametrize(
    ("heads", "marked"),
    [
        ([(24, "F1", "The Title"), (14, "F1", "A Section")], ["### The Title", "#### A Section"]),
        ([(14, "F2", "Bold and larger")], ["### Bold and larger"]),
        ([(9, "F2", "Bold alone")], ["### Bold alone"]),
        ([(9, "F2", "1.2 Numbered")], ["### 1.2 Numbered"]),
        ([(11, "F1", "A little larger")], ["### A little larger"]),
        ([(9, "F1", "Plain line")], []),
        ([(9, "F2", "A bold sentence that ends.")], []),
        ([(9, "F2", "Label:")], []),
        ([(30, "F1", "7")], []),
        ([(6, "F1", "Small print")], []),
    ],
)
async def test_headings_are_told_by_size_and_weight(read: ReadText, heads: list[tuple[float, str, str]], marked: list[str]) -> None:
    content, y = "", 740.0
    for size, font, text in heads:
        content += words([(60, y, text)], size, font)
        y -= 30
        content += words([(60, y - 12 * row, PROSE) for row in range(6)])
        y -= 110
    lines = (await read("a.pdf", page(content))).text.split("\n")
    assert [line for line in lines if line.startswith("###")] == marked


async def test_the_lines_of_a_heading_are_one(read: ReadText) -> None:
    head = words([(60, 740, "A heading that goes"), (60, 722, "on in a second line")], 16)
    text = (await read("a.pdf", page(head + words([(60, 690 - 12 * row, PROSE) for row in range(9)])))).text
    assert "### A heading that goes on in a second line\n\nlorem" in text


async def test_the_scale_of_the_page_counts_for_the_size(read: ReadText) -> None:
    head = "BT /F1 1 Tf 20 0 0 20 60 740 Tm (Scaled up) Tj ET\n"
    body = "".join(f"BT /F1 1 Tf 9 0 0 9 60 {700 - 12 * row} Tm ({PROSE}) Tj ET\n" for row in range(9))
    assert "### Scaled up" in (await read("a.pdf", page(head + body))).text


FOX = [
    "The fox went down the long hill to the river, where",
    "it drank, and lay in the shade of an old willow tree",
    "until the heat of the day was over. Then it rose and",
    "went on along the bank, past the mill and the bridge",
    "of stone, to the village in which all were asleep.",
    "It came home late.",
]
CROW = [
    "A crow had seen it from far above and told all others",
    "that something red was moving among the reeds again",
    "and that they had better watch it. They sat down on a",
    "roof beside the bridge, and waited there in a long row",
    "for whatever was to come, but nothing came at all, so",
    "that they left.",
]


def side_by_side(*columns: list[str], width: float = 260, by_rows: bool = True) -> str:
    places = [(60 + width * number, 680 - 12 * row, text) for number, lines in enumerate(columns) for row, text in enumerate(lines)]
    return words(sorted(places, key=lambda place: (-place[1], place[0])) if by_rows else places, 9)


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("matrix", ["1 0 0 1 0 0", "0 1 -1 0 800 0"])
async def test_columns_of_prose_are_read_one_after_the_other(read: ReadText, by_rows: bool, matrix: str) -> None:
    around = words([(60, 740, "Some words that go across both of the columns of the page from the left one to the right one")], 9)
    below = words([(60, 560, "What stands below them")], 9)
    text = (await read("a.pdf", page(f"q {matrix} cm {around}{side_by_side(FOX, CROW, by_rows=by_rows)}{below} Q"))).text
    lines = [line for line in text.split("\n") if line]
    assert lines[2:] == [*FOX, *CROW, "What stands below them"]


async def test_three_columns_of_prose_are_read_one_after_the_other(read: ReadText) -> None:
    shorter = [[line[:30].rsplit(" ", 1)[0] if len(line) > 30 else line for line in lines] for lines in (FOX, CROW, FOX)]
    filled = [[f"{line} {'x' * (29 - len(line))}" if len(line) < 29 else line for line in lines] for lines in shorter]
    text = (await read("a.pdf", page(side_by_side(*filled, width=170)))).text
    assert [line for line in text.split("\n") if line][1:] == [line for lines in filled for line in lines]


@pytest.mark.parametrize(
    "rows",
    [
        [("What is it made of, and where?", "Of oak, in a small workshop by the sea"), ("How long does it last?", "For years")] * 4,
        [("Delivered by the end of the month", "Paid on the first day of the one after it"), ("Returned", "Within a week")] * 4,
        [(f"Label {row}:", "a longer value that belongs to this label and to no other") for row in range(8)],
        [("The fox went down the long hill to", "A crow had seen it from far above")] * 3,
        [(f"Room {n} on the first floor, by the stairs", f"booked by Ann for Monday at {n}") for n in range(101, 110)],
        [(f"invoice number {n} of the second quarter", f"Paid by Bob Lee in March, file {n}") for n in range(101, 110)],
        [(f"Did you listen to any soothing music, {part}?", "yes no what?____________________") for part in ("at 8", "at 9", "no", "so")]
        * 2,
    ],
)
async def test_rows_that_belong_together_stay_together(read: ReadText, rows: list[tuple[str, str]]) -> None:
    text = (await read("a.pdf", page(side_by_side(*map(list, zip(*rows, strict=True)))))).text
    assert all(f"{left} {right}" in text for left, right in rows)

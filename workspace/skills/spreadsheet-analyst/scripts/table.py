"""Looks at a table: CSV, TSV or the first sheet of an .xlsx file. Needs nothing but Python.

table.py profile FILE                       columns, kinds, gaps, sums, duplicates
table.py group FILE --by COLUMN [--sum C]   rows and sums by group, the largest first
table.py rows FILE [--where C=VALUE] [--limit N]
table.py csv FILE                           the table as CSV
"""

import argparse
import csv
import io
import re
import sys
import zipfile
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from xml.etree import ElementTree

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
MOST_XML = 200 * 1024 * 1024


def read(file, sheet):
    path = Path(file)
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        rows = read_xlsx(path, sheet)
    else:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        first = text.partition("\n")[0]
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=max("\t;,", key=first.count)))
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        sys.exit(f"{file} has no rows.")
    width = max(map(len, rows))
    head = [name or f"column {place}" for place, name in enumerate(rows[0] + [""] * (width - len(rows[0])), 1)]
    return head, [row + [""] * (width - len(row)) for row in rows[1:]]


def read_xlsx(path, wanted):
    with zipfile.ZipFile(path) as book:

        def xml(name):
            if book.getinfo(name).file_size > MOST_XML:
                sys.exit(f"{name} of {path} is too large.")
            return ElementTree.fromstring(book.read(name))

        sheets = {each.get("name"): each.get(LINK) for each in xml("xl/workbook.xml").iter(f"{MAIN}sheet")}
        name = wanted or next(iter(sheets))
        if name not in sheets:
            sys.exit(f"There is no sheet {name!r}. There are: {', '.join(sheets)}.")
        targets = {each.get("Id"): each.get("Target") for each in xml("xl/_rels/workbook.xml.rels")}
        target = targets[sheets[name]].lstrip("/")
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            shared = ["".join(text.text or "" for text in each.iter(f"{MAIN}t")) for each in xml("xl/sharedStrings.xml")]
        dated = date_styles(xml("xl/styles.xml")) if "xl/styles.xml" in book.namelist() else set()
        if len(sheets) > 1:
            print(f"Sheet {name} of {', '.join(sheets)}.", file=sys.stderr)
        return [cells(row, shared, dated) for row in xml(target if target.startswith("xl/") else f"xl/{target}").iter(f"{MAIN}row")]


def date_styles(styles):
    """The places of cell formats that show a day."""
    own = {each.get("numFmtId"): each.get("formatCode", "") for each in styles.iter(f"{MAIN}numFmt")}
    formats = styles.find(f"{MAIN}cellXfs")
    used = [each.get("numFmtId", "0") for each in formats] if formats is not None else []
    plain = {each: re.sub(r'"[^"]*"|\[[^\]]*\]', "", code) for each, code in own.items()}
    return {str(place) for place, each in enumerate(used) if 14 <= int(each) <= 22 or re.search("[dy]", plain.get(each, ""))}


def cells(row, shared, dated):
    found = []
    for cell in row:
        letters = re.match(r"[A-Z]+", cell.get("r", "")) or None
        place = 0
        for letter in letters[0] if letters else "":
            place = place * 26 + ord(letter) - 64
        found += [""] * (place - 1 - len(found))
        kind, value = cell.get("t"), cell.findtext(f"{MAIN}v") or ""
        if kind == "s":
            value = shared[int(value)]
        elif kind == "inlineStr":
            value = "".join(text.text or "" for text in cell.iter(f"{MAIN}t"))
        elif cell.get("s") in dated and number(value) is not None:
            value = str(date(1899, 12, 30) + timedelta(days=int(float(value))))
        found.append(value)
    return found


def number(text):
    """1,234.50, 1.234,50, 12 %, €5; one dot is a decimal point: 1.234. None: no number."""
    plain = re.sub(r"[\s€$£¥%'\u00a0]", "", text)
    if re.fullmatch(r"-?\d{1,3}(\.\d{3})+,\d+|-?\d{1,3}(\.\d{3}){2,}|-?\d+,\d{1,2}|-?0,\d+", plain):
        plain = plain.replace(".", "").replace(",", ".")
    try:
        value = Decimal(plain.replace(",", ""))
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def column(head, name):
    places = [place for place, each in enumerate(head) if each.casefold() == name.casefold()]
    if not places:
        sys.exit(f"There is no column {name!r}. There are: {', '.join(head)}.")
    return places[0]


def profile(head, rows):
    print(f"{len(rows)} rows, {len(head)} columns")
    for place, name in enumerate(head):
        values = [row[place] for row in rows if row[place]]
        numbers = [each for each in map(number, values) if each is not None]
        line = f"- {name}: {len(rows) - len(values)} empty, {len(set(values))} different"
        if numbers and len(numbers) >= 0.8 * len(values):
            line += f"; numbers from {min(numbers)} to {max(numbers)}, sum {sum(numbers)}, mean {sum(numbers) / len(numbers):.4f}"
            odd = [each for each in values if number(each) is None]
            line += f"; NOT a number: {', '.join(odd[:5])}" if odd else ""
        elif values:
            line += "; most often " + ", ".join(f"{each[:40]} ({count})" for each, count in Counter(values).most_common(3))
        print(line)
    twice = sum(count - 1 for count in Counter(map(tuple, rows)).values())
    totals = [place for place, row in enumerate(rows, 2) if any(re.match(r"(grand )?total|sum(me)?\b|gesamt", cell, re.I) for cell in row)]
    print(f"Rows that stand twice: {twice}" + (f"; rows that look like totals: {', '.join(map(str, totals[:10]))}" if totals else ""))


def group(head, rows, by, summed):
    place, value = column(head, by), column(head, summed) if summed else None
    counts, sums, left_out = Counter(), defaultdict(Decimal), 0
    for row in rows:
        counts[row[place]] += 1
        if value is not None:
            amount = number(row[value])
            left_out += amount is None
            sums[row[place]] += amount or 0
    print(f"{by}\trows" + (f"\tsum of {summed}" if summed else ""))
    for name in sorted(counts, key=lambda each: (sums[each] if summed else 0, counts[each]), reverse=True):
        print(f"{name or '(empty)'}\t{counts[name]}" + (f"\t{sums[name]}" if summed else ""))
    print(f"all\t{len(rows)}" + (f"\t{sum(sums.values())}" if summed else ""))
    if left_out:
        print(f"{left_out} rows have no number in {summed} and are not in its sums.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["profile", "group", "rows", "csv"])
    parser.add_argument("file")
    for option in ("--sheet", "--by", "--sum", "--where"):
        parser.add_argument(option)
    parser.add_argument("--limit", type=int, default=20)
    asked = parser.parse_args()
    head, rows = read(asked.file, asked.sheet)
    if asked.where:
        name, _, value = asked.where.partition("=")
        place = column(head, name)
        rows = [row for row in rows if row[place].casefold() == value.casefold()]
    if asked.what == "profile":
        profile(head, rows)
    elif asked.what == "group":
        group(head, rows, asked.by or sys.exit("Name the column: --by COLUMN."), asked.sum)
    else:
        shown = rows if asked.what == "csv" else rows[: asked.limit]
        csv.writer(sys.stdout).writerows([head, *shown])
        if len(shown) < len(rows):
            print(f"{len(rows) - len(shown)} more rows: --limit {len(rows)}", file=sys.stderr)


if __name__ == "__main__":
    main()

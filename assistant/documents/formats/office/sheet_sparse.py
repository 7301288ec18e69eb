"""Sheets with few values far apart, by openpyxl, which streams rows where calamine would make room for the whole rectangle."""

from collections.abc import Iterator
from io import BytesIO
from typing import cast

from openpyxl import load_workbook
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from assistant.documents.formats.office.sheet_values import Value


def sparse_rows(data: bytes, sheet: str) -> Iterator[tuple[int, list[Value]]]:
    """The rows that hold something, with their numbers from 0."""
    book = load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)
    rows = cast("ReadOnlyWorksheet", book[sheet])
    rows.reset_dimensions()  # what the file says about its size would fill every row up to it
    for number, values in enumerate(rows.iter_rows(values_only=True)):
        if any(value is not None for value in values):
            yield number, [cast("Value", "" if value is None else value) for value in values]

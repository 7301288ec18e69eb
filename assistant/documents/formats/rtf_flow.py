"""Paragraphs and tables of RTF, put together as their marks come."""

from assistant.documents.formats.markdown import table


class RtfFlow:
    """A run of paragraphs and tables: the body, a note, a header, a text box."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.line: list[str] = []
        self.level = 0
        self.in_table = False
        self._cell: list[str] = []
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._inner: list[str] = []
        self._running = False
        """The last block is a paragraph that the next one follows without an empty one between."""
        self.boxes: list[str] = []
        """The texts of boxes, set behind the paragraph that they are anchored in."""

    def end_paragraph(self) -> None:
        words = whole("".join(self.line)).strip(" \n")
        self.line.clear()
        if self.in_table:
            self._cell += [words] if words.strip() else []
        elif words.strip() and self.level:
            self._end_table()
            self.blocks.append(f"{'#' * self.level} {' '.join(words.split())}")
        elif words.strip() and self._running and not self._rows:
            self.blocks[-1] += f"\n{words}"
        elif words.strip():
            self._end_table()
            self.blocks.append(words)
        self._running = not self.in_table and bool(words.strip()) and not self.level
        if self.boxes and not self.in_table:
            self._end_table()
            self.blocks += self.boxes
            self.boxes, self._running = [], False

    def end_cell(self, *, nested: bool) -> None:
        self.in_table = True
        self.end_paragraph()
        words = "\n".join((*self._cell, *self.boxes))
        self._cell, self.boxes = [], []
        if nested:
            self._inner.append(words)
        else:
            self._cells.append(words)

    def end_row(self, *, nested: bool) -> None:
        if nested:  # the rows of a table in a cell become lines
            self._cell.append("; ".join(filter(None, self._inner)))
            self._inner = []
        else:
            self._rows.append(self._cells)
            self._cells, self.in_table = [], False

    def _end_table(self) -> None:
        if self._cells:
            self.end_row(nested=False)
        if max((len(row) for row in self._rows), default=0) > 1:
            self.blocks.append(table(self._rows))
        else:
            self.blocks += [words for row in self._rows for words in row]
        self._rows = []

    def finish(self) -> list[str]:
        self.in_table = self.in_table and bool(self._cell or self._cells)
        self.end_paragraph()
        if self._cell:
            self.end_cell(nested=False)
        self._end_table()
        return [block for block in self.blocks if block.strip()]


def whole(text: str) -> str:
    """The text with pairs of surrogates joined into the characters that they stand for."""
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

"""DrawingML, which Word, Excel and PowerPoint share: charts, diagrams (SmartArt), and paragraphs in shapes."""

from assistant.documents.formats.markdown import table
from assistant.documents.formats.office.ooxml import XmlElement, attribute, child, children, descendants, local

_MOST_POINTS = 10_000


def chart_text(root: XmlElement | None) -> str:
    """A chart as a table: a row for each category, a column for each series; its titles before it."""
    if root is None:
        return ""
    titles = [words for title in descendants(root, "title") if (words := _plain(title))]
    series = [_read_series(element) for element in descendants(root, "ser")]
    names = [name for name, _, _ in series]
    labels: dict[int, str] = {}
    for _, categories, _ in series:
        labels = categories | labels
    points = sorted({index for _, _, values in series for index in values} | set(labels))[:_MOST_POINTS]
    rows = [["", *names], *([labels.get(index, str(index + 1)), *(values.get(index, "") for _, _, values in series)] for index in points)]
    head = f"Chart: {'; '.join(titles)}" if titles else "Chart:"
    return f"{head}\n\n{table(rows)}" if series else head if titles else ""


def diagram_text(root: XmlElement | None) -> str:
    """The texts of a SmartArt diagram as a list, in the order of its data."""
    if root is None:
        return ""
    lines = [" ".join(words.split()) for point in descendants(root, "pt") if (words := "\n".join(shape_texts(child(point, "t"))))]
    return "\n".join(f"- {line}" for line in lines if line)


def shape_texts(body: XmlElement | None) -> list[str]:
    """The paragraphs of a shape's text, without the empty ones."""
    lines = (run_text(paragraph) for paragraph in children(body, "p"))
    return [line for line in lines if line.strip()]


def run_text(paragraph: XmlElement) -> str:
    """The words of one DrawingML paragraph."""
    parts: list[str] = []
    for item in paragraph.iter():
        name = local(item)
        if name == "t":
            parts.append(item.text or "")
        elif name == "br":
            parts.append("\n")
    return "".join(parts)


def _read_series(element: XmlElement) -> tuple[str, dict[int, str], dict[int, str]]:
    """A series' name, its categories and its values, both by index."""
    name = " ".join(_points(child(element, "tx")).values())
    categories: dict[int, str] = {}
    values: dict[int, str] = {}
    for item in element:
        if local(item) in {"cat", "xVal"}:
            categories = _categories(item)
        elif local(item) in {"val", "yVal"}:
            values = _points(item)
    return name, categories, values


def _categories(element: XmlElement) -> dict[int, str]:
    """Category names; those of several levels joined, the outermost first."""
    levels = [_points(level) for level in descendants(element, "lvl")]
    if not levels:
        return _points(element)
    return {index: " / ".join(level[index] for level in reversed(levels) if index in level) for index in levels[0]}


def _points(element: XmlElement | None) -> dict[int, str]:
    points: dict[int, str] = {}
    for point in descendants(element, "pt"):
        index = attribute(point, "idx", "0")
        value = child(point, "v")
        if value is not None and value.text and index.isdecimal():
            points[int(index)] = value.text
    if not points and element is not None:
        direct = child(element, "v")
        if direct is not None and direct.text:
            points[0] = direct.text
    return points


def _plain(element: XmlElement) -> str:
    words = " ".join("\n".join(run_text(paragraph) for paragraph in descendants(element, "p")).split())
    return words or " ".join(_points(element).values())

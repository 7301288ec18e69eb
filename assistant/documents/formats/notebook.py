"""Jupyter notebooks (.ipynb, nbformat 3 and 4): their cells in order, code fenced, outputs as text."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, cast

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.html import to_markdown
from assistant.documents.formats.markdown import DocumentBuilder, count
from assistant.documents.formats.pictures import DocumentPictures
from assistant.documents.formats.text import decode
from assistant.documents.formats.text import read as read_text
from assistant.documents.protocol import IllustratedDocument, ReadLimits

_HEADING = re.compile(r"\s*#{1,2} +(.+)")
_EMBEDDED_PICTURE = re.compile(
    r"!\[([^\]]*)\]\(\s*(?:data:image/|attachment:)[^)]*\)|<img\b[^>]*\bsrc\s*=\s*[\"']?data:[^>]*>", re.IGNORECASE
)
_EMBEDDED = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.-]+)*;base64,[A-Za-z0-9+/=\s]{40,}")
_ANSI = re.compile("\x1b\\[[0-9;?]*[A-Za-z]")
_FENCES = re.compile("^`{3,}", re.MULTILINE)
_OLD_TEXTS = ("text", "latex")
_Object = dict[str, Any]


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument | IllustratedDocument:
    """The cells; the file as plain text where it is no notebook. Pictures are marked, never written out; those of outputs can be seen."""
    try:
        notebook: object = json.loads(decode(data))
    except (ValueError, RecursionError):
        notebook = None
    cells = _cells(_object(notebook))
    if not cells:
        return read_text(data, "json", limits)
    language = _language(_object(notebook))
    builder, pictures = DocumentBuilder(limits.text_chars), DocumentPictures(limits)
    for cell in cells:
        source, kind = _text(cell.get("source", cell.get("input"))), cell.get("cell_type")
        if kind == "code":
            builder.add(_fence(source, str(cell.get("language") or language)))
            for output in _outputs(cell, pictures):
                builder.add(output)
        else:
            words = f"{'#' * _level(cell)} {source}" if kind == "heading" else _without_data(source)
            if heading := _HEADING.match(words):
                builder.begin(heading[1])
            builder.add(words)
        if builder.full:
            break
    return pictures.illustrate(builder.finish(name, facts=(count(len(cells), "cell"),)))


def _object(value: object) -> _Object:
    return cast("_Object", value) if isinstance(value, dict) else {}


def _objects(value: object) -> list[_Object]:
    return [cast("_Object", item) for item in cast("list[object]", value) if isinstance(item, dict)] if isinstance(value, list) else []


def _cells(notebook: _Object) -> list[_Object]:
    """The cells; up to nbformat 3 they are in worksheets."""
    sheets = [_objects(sheet.get("cells")) for sheet in _objects(notebook.get("worksheets"))]
    return _objects(notebook.get("cells")) or [cell for sheet in sheets for cell in sheet]


def _language(notebook: _Object) -> str:
    about = _object(notebook.get("metadata"))
    found = _object(about.get("language_info")).get("name") or _object(about.get("kernelspec")).get("language")
    return found if isinstance(found, str) else "python"


def _level(cell: _Object) -> int:
    level = cell.get("level")
    return level if isinstance(level, int) and 1 <= level <= 6 else 1


def _text(value: object) -> str:
    """A text, which may be stored as a list of lines."""
    if isinstance(value, list):
        return "".join(item for item in cast("list[object]", value) if isinstance(item, str))
    return value if isinstance(value, str) else ""


def _without_data(text: str) -> str:
    """A text without the files that are written into it."""
    marked = _EMBEDDED_PICTURE.sub(lambda match: f"[Picture: {match[1]}]" if match[1] else "[Picture]", text)
    return _EMBEDDED.sub("…", marked)


def _fence(text: str, language: str = "") -> str:
    if not text.strip():
        return ""
    fence = "`" * max(3, 1 + max((len(found) for found in _FENCES.findall(text)), default=0))
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"


def _outputs(cell: _Object, pictures: DocumentPictures) -> Iterator[str]:
    printed: list[str] = []
    for output in _objects(cell.get("outputs")):
        kind = output.get("output_type")
        if kind == "stream":
            printed.append(_ANSI.sub("", _text(output.get("text"))))
            continue
        if printed:
            yield _fence(_without_data("".join(printed)))
            printed = []
        if kind in {"error", "pyerr"}:
            yield _error(output)
        else:
            yield _shown(_object(output.get("data")) or output, pictures)
    yield _fence(_without_data("".join(printed)))


def _error(output: _Object) -> str:
    trace = "\n".join(_text(line) for line in cast("list[object]", output.get("traceback") or ()))
    words = _ANSI.sub("", trace).strip() or f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
    return _fence(_without_data(words))


def _bytes(value: object) -> bytes | None:
    """A picture's bytes; None: it is not written in base64, as SVG is not."""
    try:
        return base64.b64decode(_text(value)) or None
    except ValueError:
        return None


def _shown(data: _Object, pictures: DocumentPictures) -> str:
    """The richest form of one output that is text, and a mark for its picture. `data`: by media type; in nbformat 3 by "png", "text" …"""
    picture = next((kind for kind in data if kind.startswith("image/") or kind in {"png", "jpeg", "svg"}), "")
    if picture:
        return pictures.mark(_bytes(data[picture]), f"output, {picture.removeprefix('image/').removesuffix('+xml')}")
    if words := _text(data.get("text/markdown")) or _text(data.get("text/latex")):
        return _without_data(words)
    if words := next((found for key in ("text/plain", *_OLD_TEXTS) if (found := _text(data.get(key)))), ""):
        return _fence(_ANSI.sub("", _without_data(words)))
    if page := _text(data.get("text/html")) or _text(data.get("html")):
        return _without_data("\n\n".join(to_markdown(page)))
    found = data.get("application/json", data.get("json"))
    return _fence(_without_data(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)), "json") if found else ""

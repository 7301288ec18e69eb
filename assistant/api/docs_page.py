"""GET /docs: the description of the API as one page, without scripts or anything from another server.

FastAPI's own page loads its program from elsewhere, runs it in this server's origin, and is blank offline.
"""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from assistant.api.openapi import Schema, data_of

HEADERS: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"}
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem } code { background: #f3f3f3; padding: .1em .3em }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; vertical-align: top }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818 } code { background: #2a2a2a } a { color: #8cf } td, th { border-color: #444 }
}
"""


def docs_page(openapi: Schema) -> str:
    """The HTML of an OpenAPI document."""
    title, about = escape(openapi["info"]["title"]), openapi["info"]
    body = [f"<h1>{title} {escape(about['version'])}</h1>", _paragraph(about.get("description", ""))]
    body.append('<p>The same for programs: <a href="/openapi.json">/openapi.json</a></p>')
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            body += _operation(f"{method.upper()} {path}", operation)
    for name, schema in sorted(openapi["components"]["schemas"].items()):
        body.append(f'<h2 id="{escape(name)}">{escape(name)}</h2>{_paragraph(schema.get("description", ""))}')
        rows = [
            (escape(field) + (" *" if field in schema.get("required", ()) else ""), _type(value), escape(value.get("description", "")))
            for field, value in schema.get("properties", {}).items()
        ]
        body.append(_table(("field (* needed)", "type", ""), rows) if rows else f"<p>{_type(schema)}</p>")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>'


def _operation(name: str, operation: Schema) -> Iterator[str]:
    yield f"<h2><code>{escape(name)}</code></h2><p>{escape(operation.get('summary', ''))}</p>"
    yield _paragraph(operation.get("description", ""))
    if parameters := operation.get("parameters"):
        rows = [(each["name"], each["in"], _type(each["schema"]), escape(each.get("description", ""))) for each in parameters]
        yield _table(("parameter", "in", "type", ""), rows)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Takes <code>{escape(kind)}</code>: {_type(content['schema'])}</p>"
    rows = [
        (status, " or ".join(map(_content, answer.get("content", {}).values())), escape(answer["description"]))
        for status, answer in operation["responses"].items()
    ]
    yield _table(("status", "answer", ""), rows)


def _content(content: Schema) -> str:
    data = data_of(content)
    return _type(content.get("schema", {})) if data is None else f"events of {_type(data)}"


def _type(schema: Schema) -> str:
    """A schema in a few words, as HTML, with links to those that have a name."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(_type(option) for option in schema[choice])
    if "const" in schema or "enum" in schema:
        return " or ".join(f"<code>{escape(repr(value))}</code>" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most")) if key in schema]
    return escape(" ".join([schema.get("type", "anything"), *limits]))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = ["".join(f"<th>{cell}</th>" for cell in head), *["".join(f"<td>{cell}</td>" for cell in row) for row in rows]]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""

"""docs/errors.md: every error that a caller can get."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Final

from assistant.contracts.errors import NanobotError
from docs.made.markdown import page, table

_PARTS: Final = ("assistant.contracts", "assistant.api", "assistant.access", "assistant.inbound")


def errors_page() -> str:
    found: dict[tuple[int, str, str], type[NanobotError]] = {}
    for error in errors():
        found.setdefault((error.status, error.code, error.type), error)
    return page(
        "# Errors of the API",
        'An answer of 400 or more is `{"error": {"message", "type", "param", "code"}}`. Go by `code`: the message says what is wrong with this very '
        "request, and may change. `param` is the path of the field that is wrong. A 429 and a 503 say in `Retry-After` when to come back, and "
        "`x-should-retry: false` says that the same request would fail again. [api.md](api.md#errors) has more; the words below are those of the "
        "error where nothing more precise is known.",
        table(
            ("status", "`code`", "`type`", "what it says"),
            [
                (str(status), f"`{code}`", f"`{kind}`", error.__doc__ or "")
                for (status, code, kind), error in sorted(found.items(), key=_place)
            ],
        ),
    )


def errors() -> list[type[NanobotError]]:
    """Those of the parts that answer requests, parents first."""
    for part in _PARTS:
        for module in pkgutil.walk_packages(import_module(part).__path__, f"{part}."):
            import_module(module.name)
    return list(dict.fromkeys(_below(NanobotError)))


def _below(error: type[NanobotError]) -> Iterator[type[NanobotError]]:
    yield error
    for inner in error.__subclasses__():
        if inner.__module__.startswith(_PARTS):
            yield from _below(inner)


def _place(row: tuple[tuple[int, str, str], type[NanobotError]]) -> tuple[int, str, str]:
    return row[0]

"""Requests drawn from a description: valid, invalid, and at the edges."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, BaseSchema, Case, GenerationMode
from schemathesis.config import GenerationConfig, OutputConfig, SanitizationConfig

_ROUNDS: Final = 2
"""Objects that one round creates are used by the next."""
_EDGES_FROM: Final = 3_000
"""From this many cases on, all edges are tried: there are some 1,600, and making them takes seconds."""

_NOT_DRAWN: Final = frozenset({("/v1/changes", "get"), ("/v1/login", "post")})
"""One never ends; ten wrong guesses at the other block the address."""

Try = Callable[[Case, int], None]
"""Gets a case, and a number that seeds its other choices."""


def operations_of(document: dict[str, Any]) -> list[APIOperation]:
    config = schemathesis.Config(
        output=OutputConfig(sanitization=SanitizationConfig(enabled=False))
    )  # a finding can be sent again unchanged
    schema = schemathesis.openapi.from_dict(document, config=config)
    rejection = schema.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]  # too long is wrong, too
    found = [each.ok() for each in schema.get_all_operations()]
    return [operation for operation in found if (operation.path, operation.method.lower()) not in _NOT_DRAWN]


def run(operations: list[APIOperation], count: int, seed: int, attempt: Try) -> None:
    """Some `count` cases, the same ones for the same seed. Operations with a body get a larger share."""
    if count >= _EDGES_FROM:
        for number, case in enumerate(_edges(operations)):
            attempt(case, seed + number)
            count -= 1
    parts = [(operation, mode) for operation in operations for mode in _modes(operation)]
    weights = [6 if operation.body else 1 for operation, _ in parts]
    for turn in range(_ROUNDS):
        for place, ((operation, mode), weight) in enumerate(zip(parts, weights, strict=True)):
            share = max(1, round(count * weight / sum(weights) / _ROUNDS))
            _draw(operation, mode, share, seed=hash((seed, turn, place)), attempt=attempt)


def _modes(operation: APIOperation) -> Iterator[GenerationMode]:
    yield GenerationMode.POSITIVE
    if operation.body or operation.query or operation.headers:  # any text is a path, so a path alone can't be wrong
        yield GenerationMode.NEGATIVE


def _draw(operation: APIOperation, mode: GenerationMode, count: int, *, seed: int, attempt: Try) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), number=st.integers(0, 2**32))
    def draw(case: Case, number: int) -> None:
        attempt(case, number)

    try:
        draw()
    except Unsatisfiable:  # too few cases to find one
        return


def _edges(operations: list[APIOperation]) -> Iterator[Case]:
    modes = list(GenerationMode)
    for operation in operations:
        schema: BaseSchema = operation.schema
        yield from schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=GenerationConfig())


def json_of(content: bytes) -> object:
    """None where it is none."""
    try:
        return json.loads(content)
    except ValueError:
        return None

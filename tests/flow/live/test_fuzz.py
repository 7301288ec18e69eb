"""The server against its own description: no answer is outside of it, and none is a failure of the server."""

import os

import pytest

from tests.fuzz.trial import trial

_CASES = int(os.environ.get("CASES", "500"))
_MOST_GROWTH = 64.0
"""MiB. A server that has been asked for everything once holds some 12 MiB more; one that keeps what it is sent would soon hold more than this."""


@pytest.mark.timeout(180 + _CASES // 10)
def test_no_request_drawn_from_the_description_fails_the_server_or_gets_an_answer_that_is_not_described() -> None:
    verdict = trial(_CASES, seed=1)
    assert verdict.holds, verdict.report()
    assert verdict.ran.cases >= _CASES * 0.9
    # No request that is drawn makes a task or an approval: their routes by an id can only refuse.
    can_do = [route for route in verdict.ran.tried if "{task_id}" not in route and "{approval_id}" not in route]
    assert len(verdict.ran.done_well) >= len(can_do) * 0.8, verdict.report()
    assert verdict.health_seconds < 1, verdict.report()
    assert verdict.grown < _MOST_GROWTH, verdict.report()

"""The server against its own description: no answer is outside of it, and none is a failure of the server."""

import os

import pytest

from tests.fuzz.trial import trial

_CASES = int(os.environ.get("CASES", "600"))
_MOST_GROWTH = 64.0
"""MiB. A server that has been asked for everything once holds some 12 MiB more; one that keeps what it is sent would soon hold more than this."""


@pytest.mark.timeout(180 + _CASES // 10)
def test_no_request_drawn_from_the_description_fails_the_server_or_gets_an_answer_that_is_not_described() -> None:
    verdict = trial(_CASES, seed=1)
    assert verdict.holds, verdict.report()
    assert verdict.ran.cases >= _CASES * 0.9
    # No request that is drawn makes one of these: their routes by an id can only refuse.
    never_made = ("{task_id}", "{approval_id}", "{browser_id}", "{attachment_id}", "POST /v1/pairings", "{sender_id}")
    can_do = [route for route in verdict.ran.tried if not any(id in route for id in never_made)]
    assert len(verdict.ran.done_well) >= len(can_do) * 0.8, verdict.report()
    assert verdict.health_seconds < 1, verdict.report()
    assert verdict.grown < _MOST_GROWTH, verdict.report()

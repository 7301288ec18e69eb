"""What the prompts of jobs take counts against the limits of the job's owner."""

import asyncio
from dataclasses import dataclass, field

from assistant.access.authenticator import Allowance
from assistant.contracts.access import UNLIMITED, Admission, ApiKey, Limits, Measure
from assistant.contracts.errors import ProviderFailed, RateLimited
from assistant.contracts.util import utc_now
from assistant.testing.scripted import ScriptedModel

from .works import GREET, OWNER, Works, heard, run

LIMITS = Limits.of(tokens_per_minute=1_000, requests_per_minute=5)
TOOK = 11
"""Tokens of a scripted answer of one piece."""


async def left(works: Works, owner: str, limits: Limits) -> Measure | None:
    return (await works.outbox.store.limits.admit(owner, limits)).standing.tokens


async def test_the_prompts_of_a_job_take_their_owners_tokens_and_are_no_requests(works: Works) -> None:
    works.write(greet=GREET)
    for _ in range(2):
        await run(works.service(ScriptedModel("Hello Rome!"), defaults=LIMITS), "greet", {"city": "Rome"})
    admission = await works.outbox.store.limits.admit(OWNER, LIMITS)
    assert admission.standing.tokens is not None
    assert admission.standing.requests is not None
    assert (admission.standing.tokens.remaining, admission.standing.requests.remaining) == (1_000 - 2 * TOOK, 4)


async def test_a_keys_own_limits_hold_for_its_jobs_after_its_end_too(works: Works) -> None:
    works.write(greet=GREET)
    keys = works.outbox.store.keys
    limits = Limits.of(tokens_per_minute=2_000)
    key = ApiKey(id="k1", name="k", prefix="nbk_ab12", scopes=frozenset({"workflows"}), models=None, limits=limits, created=utc_now())
    await keys.add(key, "digest")
    await keys.revoke("k1")
    await run(works.service(ScriptedModel("Hello Rome!"), defaults=LIMITS), "greet", {"city": "Rome"}, owner="key:k1")
    standing = await left(works, "key:k1", limits)
    assert standing is not None
    assert standing.remaining == 2_000 - TOOK


async def test_a_job_of_a_person_counts_for_the_key_that_started_it_in_any_process(works: Works) -> None:
    works.write(greet=GREET)
    keys, limits = works.outbox.store.keys, Limits.of(tokens_per_minute=2_000)
    key = ApiKey(id="k1", name="k", prefix="nbk_ab12", scopes=frozenset({"workflows"}), models=None, limits=limits, created=utc_now())
    await keys.add(key, "digest")
    service = works.service(ScriptedModel("Hello Rome!"), defaults=LIMITS)
    job = await service.start("telegram:42", "greet", {"city": "Rome"}, {}, caller="key:k1")
    assert (await heard(service, job.id, owner="telegram:42"))[-1].job.state == "completed"
    for caller, limited, remaining in (("key:k1", limits, 2_000 - TOOK), ("telegram:42", LIMITS, 1_000)):
        standing = await left(works, caller, limited)
        assert standing is not None
        assert standing.remaining == remaining


async def test_a_prompt_that_fails_gives_back_what_it_had_reserved(works: Works) -> None:
    works.write(greet=GREET)
    job = await run(works.service(ScriptedModel(ProviderFailed(retryable=False)), defaults=LIMITS), "greet", {"city": "Rome"})
    assert job.state == "failed"
    assert await left(works, OWNER, LIMITS) == Measure(limit=1_000, remaining=1_000, reset=0)


@dataclass
class Full:
    """A limiter without room, until it was asked some times."""

    refusals: int
    asked: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    async def admit(self, owner: str, limits: Limits) -> Admission:
        raise AssertionError("a job's prompt is no request")

    async def spend(self, owner: str, limits: Limits, tokens: int) -> Admission:
        self.asked.append((owner, tokens))
        if len(self.asked) <= self.refusals:
            raise RateLimited(retry_after=0.001)
        return UNLIMITED


async def test_where_there_is_no_room_a_prompt_waits_for_it(works: Works) -> None:
    limiter = Full(refusals=3)
    allowance = Allowance(keys=works.outbox.store.keys, limiter=limiter, defaults=LIMITS)
    async with asyncio.timeout(30):
        assert await allowance.reserve("key:gone", 7) is UNLIMITED
    assert limiter.asked == [("key:gone", 7)] * 4

"""One trial: sends the cases to a server, checks each answer, then checks the server."""

import time
from dataclasses import dataclass
from random import Random
from typing import Final

import requests
from schemathesis import Case, Response
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.fuzz.cases import json_of, operations_of, run
from tests.fuzz.description import closed, fields_of_bodies
from tests.fuzz.feeding import Larder
from tests.fuzz.findings import Finding, Ran
from tests.fuzz.rig import HOOK, Rig, running_rig
from tests.process_usage import resident_mib

_CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
_FORM: Final = "multipart/form-data"
_PATIENCE: Final = 30.0
"""Seconds."""
_SHOWN: Final = 600
"""Characters of an answer."""
_BAD_SIGNS: Final = ("Traceback", "api.bug", "internal_error", " ERROR ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    ran: Ran
    log: tuple[str, ...]
    """Lines of the server's log that must not appear."""
    grown: float
    """MiB of resident memory, from before the first case to after the last."""
    health_seconds: float
    """The time /health took, afterwards."""

    @property
    def holds(self) -> bool:
        return not self.ran.findings and not self.log

    def report(self) -> str:
        words = f"{self.ran.cases} cases, {len(self.ran.findings)} findings; the server grew by {self.grown:.1f} MiB"
        return "\n".join([self.ran.report(), *self.log, words])


def trial(cases: int, seed: int) -> Verdict:
    with running_rig() as rig, requests.Session() as session:
        document = session.get(f"{rig.server.url}/openapi.json", headers=_bearer(rig, "key"), timeout=_PATIENCE).json()
        sent = _Sender(rig, session, Larder(fields_of_bodies(document), chat_id=rig.chat, name=HOOK))
        before = resident_mib(rig.server.process.pid)
        run(operations_of(closed(document)), cases, seed, sent)
        began = time.perf_counter()
        requests.get(f"{rig.server.url}/health", timeout=_PATIENCE).raise_for_status()
        health_seconds = time.perf_counter() - began
        grown = resident_mib(rig.server.process.pid) - before
        log = rig.server.log.read_text(encoding="utf-8", errors="replace").splitlines()
        bad = tuple(line for line in log if any(sign in line for sign in _BAD_SIGNS))
        return Verdict(ran=sent.ran, log=bad, grown=grown, health_seconds=health_seconds)


class _Sender:
    """Sends each case and records the result."""

    def __init__(self, rig: Rig, session: requests.Session, larder: Larder) -> None:
        self.ran = Ran()
        self._rig = rig
        self._session = session
        self._larder = larder
        load_all_checks()
        for path in ("/v1/models", "/v1/sessions", "/v1/files", "/v1/jobs", "/v1/deliveries", "/workflows"):
            self._larder.learn(session.get(rig.server.url + path, headers=_bearer(rig, "key"), timeout=_PATIENCE).json())

    def __call__(self, case: Case, number: int) -> None:
        random = Random(number)
        self._larder.feed(case, random)
        headers = self._key(case, random)
        self.ran.cases += 1
        try:
            response = case.call(self._rig.server.url, self._session, headers, timeout=_PATIENCE)
        except requests.RequestException as error:
            self._found(case, "No answer", repr(error), headers, "")
            return
        self.ran.answered(case.operation.label, response.status_code, response.elapsed)
        self._larder.learn(json_of(response.content))
        if response.status_code < 300:
            self._larder.learn_what_works(case)
        self._check(case, response, headers)

    def _check(self, case: Case, response: Response, headers: dict[str, str]) -> None:
        # A form holds only text and files, so the generator doesn't know what makes one invalid.
        checks = [check for check in _CHECKS if case.media_type != _FORM or check is not negative_data_rejection]
        try:
            case.validate_response(response, checks=checks, headers=headers)
        except FailureGroup as group:
            for failure in group.exceptions:
                title = failure.title if isinstance(failure, Failure) else type(failure).__name__
                shown = f"{response.status_code} {response.content[:_SHOWN].decode(errors='replace')}"
                self._found(case, title, str(getattr(failure, "message", failure)), headers, shown)

    def _found(self, case: Case, title: str, message: str, headers: dict[str, str], answer: str) -> None:
        request = case.as_curl_command(headers, base_url=self._rig.server.url)
        self.ran.found(Finding(operation=case.operation.label, title=title, message=message, request=request, answer=answer))

    def _key(self, case: Case, random: Random) -> dict[str, str]:
        """Mostly the full key; sometimes none, or one with few scopes."""
        schemes = [name for option in case.operation.definition.raw.get("security", []) for name in option]
        if not schemes or (chance := random.random()) < 0.03:
            return {}
        return _bearer(self._rig, "few" if chance > 0.97 and schemes[0] == "key" else schemes[0])


def _bearer(rig: Rig, scheme: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {rig.secrets[scheme]}"}

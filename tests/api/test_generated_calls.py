"""Calls drawn from the served OpenAPI document, to a real server: all are answered as the document says, none with 500.

Schemathesis (https://schemathesis.readthedocs.io) draws calls that fit the document and calls that do not. The limits
of a caller's address are lifted by their variables: GLOBAL_API_RATE_LIMIT is 0, and behind TRUSTED_PROXIES every call
comes from an address of its own, so that sign-in and registration never meet the limit of 20 in 20 minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import count
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import server
from tests.databases import Database
from tests.ports import free_port
from tests.server import Gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

AnyOperation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DRAWN = {"GET": 3, "POST": 8, "PUT": 8, "DELETE": 3}  # by method and kind; what takes nothing has one call only
COVERING = 5  # of each operation, out of the calls that go through the bounds of the document one by one
CASES = 2_000  # at least, of all callers together
DONE = 45  # operations that were carried out for somebody, not only refused
LAST = "PUT /api/option"  # it changes what the others do: registration, e-mail, sign-in
ANONYMOUS, USER, ADMIN, ROOT = 0, 1, 10, 100

# What says that the caller is not known any more: the account is deleted, disabled or signed out, the token renewed.
GONE = {"无权进行此操作，access token 无效", "用户已被封禁", "无权进行此操作，未登录且未提供 access token"}


@pytest.fixture(scope="module")
def running(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One worker; calls to upstreams end at a proxy that is not there."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere}
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        yield gateway


@dataclass
class Person:
    """A caller with an account of its own, made anew whenever a call has ended it."""

    gateway: Gateway
    name: str
    role: int
    by_session: bool
    made: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    def renew(self) -> None:
        """A fresh account, and one of each thing it may ask for by id."""
        if self.role == ANONYMOUS:
            return
        self.made += 1
        order = self.gateway.operator
        user_id = order("user", username=f"{self.name}{self.made}", quota=1_000, role=self.role)
        if self.by_session:
            self.headers = {"Cookie": f"session={order('session', user_id=user_id)}"}
        else:
            self.headers = {"Authorization": f"Bearer {order('access_token', user_id=user_id)}"}
        other = f"known to {self.name} {self.made}"
        self.known = {
            "username": other,
            "user": order("user", username=other, quota=1_000),
            "token": order("token", user_id=user_id)["id"],
            "channel": self.gateway.add_channel("http://127.0.0.1:9", "gpt-4o-mini"),
        }
        self.gateway.api("POST", "/api/redemption", json={"name": "code", "count": 1, "quota": 5})
        self.known["redemption"] = self.gateway.api("GET", "/api/redemption")[0]["id"]

    def is_gone(self, answer: schemathesis.Response) -> bool:
        if self.role == ANONYMOUS or not answer.content.startswith(b'{"success":false'):
            return False
        return answer.json()["message"] in GONE


@dataclass
class Run:
    """Every case is sent by all people, one after the other. `failures` holds the first of each kind."""

    people: list[Person]
    session: requests.Session = field(default_factory=requests.Session)
    calls: int = 0
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def judge(self, case: AnyCase, *, aimed: bool = False) -> None:
        for person in self.people:
            if aimed:
                aim(case, person.known)
            answer = self.ask(person, case)
            if person.is_gone(answer):
                person.renew()
                answer = self.ask(person, case)
                assert not person.is_gone(answer), f"{case.operation.label}: {answer.text}"
            self.calls += 1
            person.done[case.operation.label] += answer.content.startswith(b'{"success":true')
            try:
                case.validate_response(answer, checks=CHECKS)
            except FailureGroup as group:
                self.note(person, case, answer, *group.exceptions)
            except Failure as failure:
                self.note(person, case, answer, failure)

    def ask(self, person: Person, case: AnyCase) -> schemathesis.Response:
        self.session.cookies.clear()
        address = str(IPv4Address("10.0.0.0") + self.calls)
        return case.call(session=self.session, headers={**person.headers, "X-Forwarded-For": address}, timeout=30)

    def note(self, person: Person, case: AnyCase, answer: schemathesis.Response, *failures: Failure) -> None:
        for failure in failures:
            told = f"{failure.title}: {failure.message}\n{answer.status_code} {answer.text[:500]}"
            text = f"{case.operation.label} as {person.name}: {told}\n{case.as_curl_command()}"
            self.failures.setdefault((case.operation.label, failure.title), text[:3000])


def aim(case: AnyCase, known: dict[str, Any]) -> None:
    """At a row that is there, which an id drawn from 2⁶³ never is."""
    kind = case.operation.path.split("/")[2]
    for name in case.path_parameters or {}:
        case.path_parameters[name] = known.get(kind, 1)
    if isinstance(case.body, dict):
        for name in ("base_url", "config", "model_mapping"):  # no drawn text is an address, or JSON
            case.body.pop(name, None)
        aims = {"id": known.get(kind, 1), "user_id": known.get("user", 1)}
        if "action" in case.body:
            aims["username"] = known.get("username", "nobody")
        case.body.update({name: value for name, value in aims.items() if name in case.body})


def go_through(run: Run, operation: AnyOperation) -> None:
    """Bounds first, then drawn calls; of those that fit, half are aimed at rows that are there."""
    modes = list(GenerationMode)
    covering = operation.schema.iter_coverage_cases(
        operation, generation_modes=modes, generation_config=GenerationConfig(modes=modes)
    )
    cases = [case for case in covering if case.method == operation.method.upper()]
    for case in cases[:: max(1, len(cases) // COVERING)]:
        run.judge(case)
    for mode in modes:
        # What takes nothing, or any text, has no call that does not fit.
        with nullcontext() if mode is GenerationMode.POSITIVE else suppress(hypothesis.errors.Unsatisfiable):
            draw(run, operation, mode)


def draw(run: Run, operation: AnyOperation, mode: GenerationMode) -> None:
    drawn = count()

    @hypothesis.settings(
        max_examples=DRAWN[operation.method.upper()],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(mode))
    def judge(case: AnyCase) -> None:
        run.judge(case, aimed=mode is GenerationMode.POSITIVE and next(drawn) % 2 == 1)

    judge()


def test_every_drawn_call_is_answered_as_the_document_says(running: Gateway) -> None:
    schema = schemathesis.openapi.from_url(f"{running.base_url}/api/schema")
    people = [
        Person(running, "anonymous", ANONYMOUS, by_session=False),
        Person(running, "user", USER, by_session=True),
        Person(running, "admin", ADMIN, by_session=False),
        Person(running, "root", ROOT, by_session=True),
    ]
    run = Run(people)
    operations = [schema[path][method] for path in schema for method in schema[path]]
    for operation in sorted(operations, key=lambda one: one.label == LAST):
        for person in people:
            person.renew()
        go_through(run, operation)

    assert not run.failures, "\n\n".join(run.failures.values())
    assert run.calls >= CASES
    assert len({label for person in people for label, times in person.done.items() if times}) >= DONE

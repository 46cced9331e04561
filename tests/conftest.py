"""Fixtures of all tests: the provider's process, real servers on fresh databases, and people and channels by name.

Two kinds of tests. Those with Django's `db` run in this process on the database that TEST_DATABASE names
(tests/settings.py). Those with `gateway` talk to a server process; one that asks for `database` runs once on each kind.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import databases, emptying, fake_upstream, migrated, server, static_files
from tests.databases import Database, Server
from tests.fake_upstream import FakeUpstream
from tests.server import Gateway

if TYPE_CHECKING:
    from accounts.models import User
    from channels_app.models import Channel

# Here, before tests are imported, for what they set themselves is added to it. A machine that is slow fails no test by
# that, and what is drawn is the same in every run: an example that fails comes to light where it was brought about.
hypothesis.settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

MakeGateway = Callable[..., Gateway]


# Fixtures after which a test runs on the database that TEST_DATABASE names. `database` is each kind in turn, anyway.
ON_ONE_DATABASE = frozenset({"db", "transactional_db", "live_server", "module_database"})


def pytest_configure(config: pytest.Config) -> None:
    if migrated.begin():
        config.add_cleanup(migrated.end)


def pytest_collection_finish() -> None:
    """What was collected stays until the end: the collector of garbage need not look at it again and again.

    It spent a seventh of the processor's time of tests inside Django on that.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what another TEST_DATABASE makes another test."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("django_db") or fixtures & ON_ONE_DATABASE:
            item.add_marker(pytest.mark.one_database)


@pytest.fixture(scope="session", autouse=True)
def _what_clients_repeat_is_done_quickly() -> None:
    emptying.install()
    static_files.install()


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [f"Django-level tests on: {os.environ.get('TEST_DATABASE', 'sqlite')}"]
    for kind in databases.NAMES:
        version = databases.version(kind)
        lines.append(f"database {kind}: {version or 'NOT REACHABLE'}")
    return lines


def pytest_terminal_summary(terminalreporter: Any) -> None:
    used = sorted({one for report in terminalreporter.stats.get("passed", []) for one in _kinds(report.nodeid)})
    if used:
        terminalreporter.write_line(f"servers ran on: {', '.join(used)}")


def _kinds(nodeid: str) -> list[str]:
    parameters = nodeid.partition("[")[2].rstrip("]").split("-")
    return [kind for kind in databases.NAMES if kind in parameters]


@pytest.fixture(params=databases.NAMES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """One of each kind for a server; what does not answer is a skip, with REQUIRE_SERVICES=1 a failure."""
    see_that_it_answers(request.param)
    with migrated.copy(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=databases.NAMES)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The same, without a table: for what migrates by itself."""
    see_that_it_answers(request.param)
    with databases.fresh(request.param, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def module_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for a whole module, of the kind TEST_DATABASE names."""
    kind = os.environ.get("TEST_DATABASE", "sqlite")
    see_that_it_answers(kind)
    with migrated.copy(kind, tmp_path_factory.mktemp("database")) as made:
        yield made


def see_that_it_answers(kind: str) -> None:
    if databases.version(kind) is None:
        message = f"{kind} does not answer at {Server.of(kind).dsn.rpartition('@')[2]}"
        databases.missing(message)


@pytest.fixture(scope="session")
def upstream_process() -> Iterator[FakeUpstream]:
    with fake_upstream.running() as running:
        yield running


@pytest.fixture
def upstream(upstream_process: FakeUpstream) -> FakeUpstream:
    """The scripted provider, with nothing seen yet."""
    upstream_process.reset()
    return upstream_process


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[MakeGateway]:
    """`gateway(database, workers=1, **settings)` starts a server; it ends with the test."""
    with ExitStack() as stack:

        def make(database: Database, workers: int = 1, **settings: str) -> Gateway:
            return stack.enter_context(server.running(database, workers, tmp_path, settings))

        yield make


# People and channels of tests inside Django


@pytest.fixture
def alice(db: None) -> User:
    """A user with 1,000 points, entered as the opening balance."""
    return _person("alice", 1_000)


@pytest.fixture
def bob(db: None) -> User:
    """Somebody else, with 1,000 points."""
    return _person("bob", 1_000)


def _person(username: str, quota: int) -> User:
    from accounts.services import create_user
    from billing.models import EntryKind
    from billing.services import credit

    user = create_user(username=username, password=f"{username}'s password")
    credit(user.pk, quota, kind=EntryKind.OPENING)
    user.refresh_from_db()
    return user


@pytest.fixture
def gpt(db: None, upstream: FakeUpstream) -> Channel:
    """A channel of OpenAI's type to the scripted provider, serving gpt-3.5-turbo and gpt-4o-mini to everybody."""
    from audit.services import SYSTEM
    from channels_app.models import Channel
    from channels_app.services import create_channels

    fields = {"type": 1, "name": "gpt", "base_url": upstream.url, "models": "gpt-3.5-turbo,gpt-4o-mini"}
    (channel_id,) = create_channels(SYSTEM, fields, ["sk-upstream"])
    return Channel.objects.get(pk=channel_id)

"""One site for each kind of database and run of the suite; the table at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from tests import databases
from tests.chaos import report, site, upstream_raw
from tests.chaos.servers import NotInstalled
from tests.chaos.site import Site, Standing
from tests.chaos.storm import SHORT, Storm, Trial
from tests.fake_upstream import FakeUpstream

Try = Callable[[str], AbstractAsyncContextManager[Trial]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """CHAOS=short: each fault on the one kind of database that its `chaos` mark names, where it names one."""
    if not SHORT:
        return
    left = [item for item in items if "chaos" in item.path.parts and not _in_short_form(item)]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)


def _in_short_form(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("chaos")
    assert isinstance(item, pytest.Function)
    return mark is not None and item.callspec.params["anywhere"] in mark.args


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in report.table() if report.ROWS else ():
        terminalreporter.write_line(line)
    if path := report.write():
        terminalreporter.write_line(f"written to {path}")


@pytest.fixture(scope="session")
def raw_upstream() -> Iterator[str]:
    with upstream_raw.running() as address:
        yield address


@pytest.fixture(scope="session", params=site.DATABASES)
def anywhere(
    request: pytest.FixtureRequest,
    upstream_process: FakeUpstream,
    raw_upstream: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A site on each kind of database in turn."""
    try:
        with site.opened(request.param, tmp_path_factory.mktemp("site"), upstream_process, raw_upstream) as made:
            yield made
    except NotInstalled as reason:
        databases.missing(str(reason))


@pytest.fixture
def attempt(anywhere: Site) -> Try:
    """`async with attempt("name of the fault") as trial`: the site at rest before, everything checked after."""

    @asynccontextmanager
    async def begun(fault: str) -> AsyncIterator[Trial]:
        async with Storm(anywhere):  # pools are full and caches warm: what comes on top later is the fault's
            pass
        before: Standing = anywhere.standing()
        async with Trial(anywhere, fault, before) as trial:
            yield trial

    return begun

"""Old log lines go in many small statements, so that nobody waits for one large one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.services import SYSTEM
from billing import reports, retention
from billing.models import Log


def by_hand() -> int:
    return reports.purge(SYSTEM, 100)


def by_the_clock() -> int:
    return retention.purge(100)


@pytest.mark.django_db
@pytest.mark.parametrize("purge", [by_hand, by_the_clock])
def test_no_statement_deletes_more_than_a_batch(purge: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PURGE_BATCH", 3)
    monkeypatch.setattr(retention, "BATCH", 3)
    Log.objects.bulk_create(Log(user_id=1, type=2, status=200, created_at=50) for _ in range(10))
    Log.objects.create(user_id=1, type=2, created_at=100)

    with CaptureQueriesContext(connection) as queries:
        assert purge() == 10

    deletes = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletes) == 4
    assert max(sql.count(",") for sql in deletes) == 2  # three ids
    assert Log.objects.count() == 1

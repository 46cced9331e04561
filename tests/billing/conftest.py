"""Tests of whole transactions end with their invariants asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.billing.money import check, forget_connections


@pytest.fixture
def in_order(transactional_db) -> Iterator[None]:
    """The test's money is in order at its end."""
    yield
    forget_connections()
    check()

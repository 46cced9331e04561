"""What meets a code at the same moment. Real threads with connections of their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from django.db import connections, transaction

from audit.services import SYSTEM
from redemptions import services
from redemptions.models import Redemption
from redemptions.services import CodeMissing


@pytest.mark.django_db(transaction=True)
def test_an_order_that_is_sent_twice_at_once_makes_its_codes_once() -> None:
    def order() -> list[str]:
        try:
            return services.create_codes(SYSTEM, name="spring", count=50, quota=100, once="a" * 32)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        told = [one.result() for one in [threads.submit(order) for _ in range(4)]]

    assert told == [told[0]] * 4
    assert sorted(told[0]) == sorted(Redemption.objects.values_list("key", flat=True))
    assert len(set(told[0])) == 50


@pytest.mark.django_db(transaction=True)
def test_an_edit_that_meets_the_deletion_finds_no_code() -> None:
    services.create_codes(SYSTEM, name="spring", count=1, quota=100)
    number = Redemption.objects.get().pk

    def run() -> Redemption:
        try:
            return services.update_code(SYSTEM, number, {"name": "autumn"})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            services.delete_code(SYSTEM, number)
            edited = threads.submit(run)
            wait([edited], timeout=1)  # by then it stands before the row

        assert isinstance(edited.exception(), CodeMissing)

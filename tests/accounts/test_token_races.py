"""What meets a token at the same moment. Real threads with connections of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from django.db import connections, transaction

from accounts import tokens
from accounts.models import Token, TokenStatus, User
from accounts.refusals import NotFound


@pytest.mark.parametrize(
    "edit",
    [
        lambda user_id, token_id: tokens.update_token(user_id, token_id, {"name": "renamed"}),
        lambda user_id, token_id: tokens.set_token_status(user_id, token_id, TokenStatus.DISABLED),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_an_edit_that_meets_the_deletion_finds_no_token(edit: Callable[[int, int], Token], alice: User) -> None:
    token = tokens.create_token(user_id=alice.pk, name="work")

    def run() -> Any:
        try:
            return edit(alice.pk, token.pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            tokens.delete_token(alice.pk, token.pk)
            edited = threads.submit(run)
            wait([edited], timeout=1)  # by then it stands before the row

        assert isinstance(edited.exception(), NotFound)

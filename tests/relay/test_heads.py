"""What is read out of a request's head."""

from __future__ import annotations

from relay.asgi import read_head


def test_of_a_header_that_comes_twice_the_first_counts_but_hops_add_up() -> None:
    lines = [
        (b"authorization", b"Bearer first"),
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"authorization", b"Bearer second"),
        (b"x-forwarded-for", b"10.0.0.2"),
        (b"accept", b"*/*"),
    ]
    scope = {
        "method": "POST", "path": "/v1/models", "raw_path": b"/v1/models", "query_string": b"a=1",
        "headers": lines, "client": ("127.0.0.1", 5000),
    }  # fmt: skip

    head = read_head(scope, ())

    assert head.headers == {"authorization": "Bearer first", "x-forwarded-for": "10.0.0.1,10.0.0.2", "accept": "*/*"}
    assert (head.method, head.query, head.ip) == ("POST", "a=1", "127.0.0.1")

"""The content security policy, and how one answer is allowed more (console reference, 11.9)."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from console.policy import allow, origin_of, policy


def directive(text: str, name: str) -> str:
    return next((part.removeprefix(f"{name} ") for part in text.split("; ") if part.startswith(f"{name} ")), "")


def test_a_page_frames_nothing_and_runs_nothing_inline() -> None:
    text = policy(RequestFactory().get("/"))

    assert text == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
    )


def test_a_source_is_added_to_one_answer_alone() -> None:
    request = RequestFactory().get("/")
    allow(request, "frame-src", "https://chat.example:8443/path?x=1#y")
    allow(request, "img-src", "https://logo.example/a.png")
    allow(request, "img-src", "https://logo.example/b.png")

    assert directive(policy(request), "frame-src") == "https://chat.example:8443"
    assert directive(policy(request), "img-src") == "'self' data: https://logo.example"
    assert "example" not in policy(RequestFactory().get("/"))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "//host.example/",
        "https://",
        "https://a;script-src/",
        "https://*/",
        "https://a.example:port/",
        "https://a,b/",
        "https://bücher.example/",
        "https://[::1",
    ],
)
def test_what_is_no_plain_web_address_adds_nothing(address: str) -> None:
    request = RequestFactory().get("/")
    allow(request, "frame-src", address)

    assert origin_of(address) == ""
    assert "frame-src" not in policy(request)


def test_an_ipv6_host_keeps_its_brackets() -> None:
    assert origin_of("http://[2001:db8::1]:3000/x") == "http://[2001:db8::1]:3000"

"""Whom a load generator asks, and how: told by the environment, so that no key stands in a list of processes."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bench import scenario


@dataclass(frozen=True, slots=True)
class Target:
    """A port on 127.0.0.1. `headers` are what this server wants beside a key, as `Name: value`."""

    port: int
    key: str = "none"
    model: str = scenario.MODEL
    headers: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "BENCH_KEY": self.key,
            "BENCH_MODEL": self.model,
            "BENCH_HEADERS": "\n".join(self.headers),
            "BENCH_BODY": scenario.request(self.model).decode(),
        }


def told(port: int) -> Target:
    """The target that `environment` described."""
    headers = tuple(os.environ.get("BENCH_HEADERS", "").splitlines())
    return Target(port, os.environ["BENCH_KEY"], os.environ.get("BENCH_MODEL", scenario.MODEL), headers)


def message(target: Target, body: bytes) -> bytes:
    """The whole request as it goes over the wire."""
    lines = [
        f"POST {scenario.PATH} HTTP/1.1",
        f"Host: 127.0.0.1:{target.port}",
        f"Authorization: Bearer sk-{target.key}",
        "Content-Type: application/json",
        *target.headers,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

"""Opens everything that a person's browser can be led to: links, fragments, downloads, every address with known ids."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import urldefrag, urljoin, urlsplit

from django.test import Client
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

from tests.attacks.world import GUEST, USER, World

LINK = re.compile(r"""\b(?:href|hx-get|src|action)=["']?([^"'\s>]+)""")
ALIKE = re.compile(r"[?&](sort|size|page|next)=|^/django-admin/.*\?|/history/")  # the same rows in another order
OFTEN = 2  # with one's own ids and with another's
# A GET that does something is the contract's; or it goes out to other hosts, or it never ends.
ACTING = re.compile(
    r"/api/(user/(logout|token|aff)|channel/(test|update_balance|fetch_models)|oauth/(?!state)|verification|reset_password)"
    r"|/oauth/|/static/|/setting/check/|/test-runs/current"
)


@dataclass(frozen=True, slots=True)
class Answer:
    address: str
    status: int
    kind: str  # Content-Type without parameters
    text: str  # head and body


def crawl(client: Client, world: World, who: str) -> Iterator[Answer]:
    """Each route OFTEN times without parameters and once with some."""
    waiting = deque(_starts(world, who))
    visits: Counter[tuple[str, ...]] = Counter()
    while waiting:
        address = waiting.popleft()
        parts = urlsplit(address)
        try:
            like = (str(resolve(parts.path).route), *["?"][: len(parts.query)])
        except Resolver404:
            continue
        visits[like] += 1
        if visits[(address,)] or visits[like] > (1 if parts.query else OFTEN):
            continue
        visits[(address,)] += 1
        answer = client.get(address)
        body = b"".join(answer) if answer.streaming else answer.content
        head = "".join(f"{name}: {value}\n" for name, value in answer.items())
        kind = answer.get("Content-Type", "").partition(";")[0]
        found = Answer(address, answer.status_code, kind, head + body.decode())
        yield found
        waiting.extend(_links(found))


def _links(answer: Answer) -> Iterator[str]:
    for match in LINK.finditer(answer.text) if answer.kind == "text/html" else ():
        parts = urlsplit(urljoin("http://testserver" + answer.address, urldefrag(unescape(match[1]))[0]))
        address = parts._replace(scheme="", netloc="").geturl()
        ours = parts.netloc == "testserver" and parts.scheme == "http" and not ACTING.match(address)
        if ours and not ALIKE.search(address):
            yield address


def _starts(world: World, who: str) -> Iterator[str]:
    """Every address there is, with the ids of this world; of what belongs to a person, their own and another's."""
    name = USER if who == GUEST else who
    for pattern in _patterns(get_resolver().url_patterns, "/"):
        if not re.search(r"[(^$\\]", pattern) and not ACTING.match(pattern):
            for ids in (_ids(world, name), _ids(world, "bob")):
                yield "".join(_value(pattern, part, ids) for part in re.split(r"(<[^>]+>)", pattern))


def _patterns(entries: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for entry in entries:
        here = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _patterns(entry.url_patterns, here)
        elif "django-admin/" not in here or here.endswith(("/", "/change/")):
            yield here


def _ids(world: World, name: str) -> dict[str, str]:
    ids = {
        "token": world.ids[f"{name}'s token"] if name in world.people else 0,
        "user": world.people[name].pk,
        "log": world.ids.get(f"{name}'s line", world.ids["bob's line"]),
        "redemption": world.ids["code"],
        "channel": world.ids["channel"],
        "test-runs": world.ids["run"],
        "audit": world.ids["entry"],
    }
    return {kind: str(value) for kind, value in ids.items()}


def _value(pattern: str, part: str, ids: dict[str, str]) -> str:
    if not part.startswith("<"):
        return part
    if "slug" in part or part.startswith("<str:name"):
        return {"oauth": "github", "content": "about"}.get(pattern.split("/")[1], "disable")
    first = pattern.removeprefix("/api").split("/")[1]
    return ids.get(first, "1")

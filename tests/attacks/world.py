"""An installation in which each secret is a text of its own, and each text that somebody writes tries to be a tag.

`Secret.seen_by`: who may be told it by a page or an answer to a GET; most secrets nobody may.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client

from accounts.confirming import CONFIRMED
from accounts.factors import services as factors
from accounts.http import BACKEND
from accounts.models import Role, User, UserSession
from accounts.services import access_token_digest, create_token, create_user, renew_access_token, top_up
from accounts.sessions import seen
from audit.models import AuditEntry
from audit.services import SYSTEM, Actor
from billing.models import Log, LogType
from channels_app import runs
from channels_app.models import Channel, ChannelHealth, Outcome
from channels_app.services import create_channels
from options.registry import SPECS
from options.services import set_option
from redemptions.models import Redemption
from redemptions.services import create_codes
from tests.accounts.keys import code

GUEST, USER, ADMIN, ROOT = "guest", "alice", "adam", "ruth"
PASSWORD = "canary-password-{}"
TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
TAG = "<i id=xss"  # never to be found in a page; escaped it is &lt;i id=xss


@dataclass(frozen=True, slots=True)
class Secret:
    text: str
    seen_by: frozenset[str] = frozenset()
    stored_readably: bool = False


@dataclass
class World:
    people: dict[str, User] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def tag(self, length: int = 64) -> str:
        """A text that leaves an attribute, and then is an element, in at most so many characters."""
        made = f"{TAG}{next(self._numbers)}>"
        self.tags.append(made)
        return ("\"'>" + made + "{{7}}${7}</script></textarea>")[:length] if length > len(made) + 2 else made

    def client(self, who: str) -> Client:
        """Somebody who has just signed in and shown who they are."""
        client = Client(HTTP_USER_AGENT=self.tag(), raise_request_exception=True)
        if who != GUEST:
            person = self.people[who]
            client.force_login(person, backend=BACKEND)
            session = client.session
            session[CONFIRMED] = int(time.time())
            session.save()
            key = str(client.session.session_key)
            seen(key, person.pk, address="127.0.0.1", user_agent=self.tag())
            self.secrets[f"{who}'s session"] = Secret(key, stored_readably=True)
        return client


def make() -> World:
    world = World()
    for name, role in ((USER, Role.COMMON), ("bob", Role.COMMON), (ADMIN, Role.ADMIN), (ROOT, Role.ROOT)):
        _person(world, name, role)
    _keys_and_codes(world)
    _channels(world)
    _options(world)
    _lines(world)
    return world


def _person(world: World, name: str, role: int) -> None:
    password = PASSWORD.format(name)
    user = create_user(username=name, password=password, role=role, email=f"{name}-canary@example.com")
    User.objects.filter(pk=user.pk).update(
        display_name=world.tag(), access_token_digest=access_token_digest("x" + name)
    )
    world.people[name] = User.objects.get(pk=user.pk)
    world.secrets[f"{name}'s password"] = Secret(password)
    world.secrets[f"{name}'s password hash"] = Secret(world.people[name].password, stored_readably=True)
    world.secrets[f"{name}'s access token"] = Secret(renew_access_token(user.pk, SYSTEM))
    admins = frozenset({name, ADMIN, ROOT})
    world.secrets[f"{name}'s address"] = Secret(f"{name}-canary@example.com", admins, stored_readably=True)
    UserSession.objects.create(session_key=f"gone{name}", user_id=user.pk, user_agent=world.tag())
    if name == USER:
        recovery = factors.add_totp(world.people[name], SYSTEM, TOTP, code(TOTP))
        world.secrets["the app's secret"] = Secret(TOTP)
        world.secrets |= {f"recovery code {number}": Secret(text) for number, text in enumerate(recovery)}


def _keys_and_codes(world: World) -> None:
    for name, person in world.people.items():
        token = create_token(user_id=person.pk, name=world.tag(30), model_names=world.tag())
        world.ids[f"{name}'s token"] = token.pk
        world.secrets[f"{name}'s key"] = Secret(token.key, frozenset({name}))
    codes = create_codes(Actor(world.people[ADMIN].pk, ADMIN), name=world.tag(20), count=2, quota=10)
    Redemption.objects.update(batch=world.tag())
    for number, text in enumerate(codes):
        world.secrets[f"redemption code {number}"] = Secret(text, frozenset({ADMIN, ROOT}))
    world.ids["code"] = Redemption.objects.earliest("pk").pk
    top_up(SYSTEM, world.people[USER].pk, 1_000, world.tag())


def _channels(world: World) -> None:
    texts = {"other": world.tag(), "notes": world.tag(), "system_prompt": world.tag(), "tags": world.tag(40)}
    common = {"models": f"gpt-4o,{world.tag()}", "group": "default", "base_url": "http://127.0.0.1:9", **texts}
    config = {"region": world.tag(), "ak": "canary-ak", "sk": "canary-sk", "proxy": "http://u:canary-proxy@127.0.0.1:9"}
    adc = json.dumps({"type": "service_account", "private_key": "canary-service-account"})
    vertex = {"vertex_ai_adc": adc, "vertex_ai_project_id": "p", "region": "us-central1"}
    made = [
        *create_channels(SYSTEM, {"type": 1, "name": world.tag(), **common}, ["sk-canary-channel-key-0123456789"]),
        *create_channels(SYSTEM, {"type": 33, "name": world.tag(), **common, "config": json.dumps(config)}, [""]),
        *create_channels(SYSTEM, {"type": 42, "name": world.tag(), **common, "config": json.dumps(vertex)}, [""]),
    ]
    for text in (
        "sk-canary-channel-key-0123456789",
        "canary-ak",
        "canary-sk",
        "canary-proxy",
        "canary-service-account",
    ):
        world.secrets[f"channels: {text}"] = Secret(text)
    Channel.objects.filter(pk=made[0]).update(status=3, status_reason=world.tag(), test_model=world.tag())
    ChannelHealth.objects.create(pk=made[0], last_failure=world.tag(), breaker_state=1)
    run = runs.begin("all", world.tag(), Actor(world.people[ADMIN].pk, ADMIN))
    runs.plan(run.pk, 1)
    runs.add_result(made[0], world.tag(), world.tag(), Outcome.FAILED, 1.5, world.tag(), run_id=run.pk)
    world.ids |= {"channel": made[0], "run": run.pk}


def _options(world: World) -> None:
    for key, spec in SPECS.items():
        if spec.secret:
            set_option(SYSTEM, key, f"canary-{key}")
            world.secrets[f"option {key}"] = Secret(f"canary-{key}")
    for key in ("SystemName", "Contact", "WeChatAccountQRCodeImageURL", "TopUpLink", "Notice"):
        set_option(SYSTEM, key, world.tag())
    set_option(SYSTEM, "GroupRatio", json.dumps({"default": 1, world.tag(60): 2}))
    set_option(SYSTEM, "ModelRatio", json.dumps({"gpt-4o": 1, world.tag(60): 2}))
    world.secrets["the deployment's secret"] = Secret(settings.SECRET_KEY)


def _lines(world: World) -> None:
    """Log lines of alice and of bob, who must not see each other's; an audit entry."""
    for name in (USER, "bob"):
        texts = {"content": f"canary-line-{name} {world.tag()}", "token_name": world.tag(), "model_name": world.tag()}
        more = {"user_agent": world.tag(), "upstream_model": world.tag(), "error_code": world.tag(), "ip": "10.9.8.7"}
        line = Log.objects.create(
            user_id=world.people[name].pk, username=name, created_at=int(time.time()) - 60, type=LogType.CONSUME,
            channel_id=world.ids["channel"], quota=7, group=world.tag(60), request_id=f"request-{name}",
            **texts, **more,
        )  # fmt: skip
        world.ids[f"{name}'s line"] = line.pk
        owners = frozenset({name, ADMIN, ROOT})
        world.secrets[f"{name}'s line"] = Secret(f"canary-line-{name}", owners, stored_readably=True)
    entry = AuditEntry.objects.create(
        created_at=int(time.time()), actor_id=world.people[ADMIN].pk, actor_name=world.tag(), action=world.tag(),
        target=world.tag(), detail={"said": world.tag()}, ip="10.9.8.7",
    )  # fmt: skip
    world.ids["entry"] = entry.pk


def stored() -> Iterator[tuple[str, str]]:
    """(table, row as text) of everything in the database."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                yield table, " ".join(map(_readable, row))


def _readable(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)

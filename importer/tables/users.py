"""Users: their passwords, identities and balances. Each balance is one opening ledger entry (invariant I1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import bcrypt
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import Sum as Total

from accounts.external.github import marked
from accounts.models import Role, Token, User, UserStatus, fold
from accounts.services import IDENTITIES, IDENTITY_LENGTHS, access_token_digest
from billing.models import EntryKind, LedgerEntry
from importer import first_root
from importer.hashers import imported
from importer.report import Disagreement
from importer.tables.base import BATCH, Context, add_sums, batches, reset_sequence, rows
from importer.values import Row, differing
from options import versions
from options.registry import MAX_QUOTA
from vault.keys import digest

COLUMNS = (
    *("id", "username", "password", "display_name", "role", "status", "email", *IDENTITIES, "access_token"),
    *("quota", "used_quota", "request_count", "group", "aff_code", "inviter_id"),
)
COMPARED = (
    *("username", "display_name", "role", "status", "email", *IDENTITIES, "access_token_digest"),
    *("quota", "used_quota", "request_count", "group", "aff_code", "inviter_id"),
)
SUMMED = ("quota", "used_quota", "request_count")
UNIQUE = {  # what two people cannot share -> its name for people
    "username_key": "username",
    "email_key": "email",
    **{name: name for name in IDENTITIES},
    "aff_code": "invitation code",
    "access_token_digest": "access token",
}
KNOWN_PASSWORD = b"123456"  # the reference gives it to every new root


class ChangedMeanwhile(RuntimeError):
    """This installation's root was used between planning and writing."""


class Users:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.report = context.report
        self.table = context.report.table("users")
        self.new: list[User] = []
        self.ids: set[int] = set()
        self._root: User | None = None
        self._taken: dict[str, dict[str, int]] = {name: {} for name in UNIQUE}  # among the rows of the source

    def plan(self) -> None:
        found = [self._user(row) for row in rows(self.context, self.table, COLUMNS)]
        self.ids = {user.pk for user in found}
        new_root = self._new_root(found)
        replaced = self.context.replaced
        if new_root is None and found:
            self.context.replaced = replaced = None
            self.report.warnings.append("the source has no enabled root account; none of its users becomes root here")
        self._root = new_root
        if new_root is not None:
            self._prepare_root(new_root)
        here = {row["id"]: row for row in User.objects.values("id", "email_key", "username_key", *COMPARED)}
        if replaced is not None:
            here.pop(replaced.id, None)
        marked = self._marked()
        owners = {name: {row[name]: row["id"] for row in here.values() if row[name]} for name in UNIQUE}
        for user in found:
            stored = here.get(user.pk)
            if stored is not None and user.pk in marked and stored["username_key"] == user.username_key:
                if names := differing(user, stored, COMPARED):
                    self.table.differ(user.pk, names)
                else:
                    self.table.unchanged += 1
                continue
            self._clashes(user, stored, owners)
            self.new.append(user)
        if new_root is not None:
            self.new.sort(key=lambda user: (user is not new_root, user.pk))
        self.table.imported = len(self.new)
        self._disagreements(found)

    def write(self) -> None:
        for batch in batches(self.new):
            with transaction.atomic():
                self._write(batch)
                versions.bump(versions.IDENTITIES)
        if self.new:
            reset_sequence(User, Token)

    def account(self) -> None:
        replaced = self.context.replaced
        mine = self.ids - ({replaced.id} if replaced is not None else set())
        stored = list(User.objects.values("id", *SUMMED))
        add_sums(self.context, self.table, SUMMED, (row for row in stored if row["id"] in mine), self.new)
        entered = dict(
            LedgerEntry.objects.order_by()
            .values_list("user_id")
            .annotate(total=Total("amount"))
            .values_list("user_id", "total")
        )
        self.report.broken_books = [row["id"] for row in stored if row["quota"] != entered.get(row["id"], 0)]

    def explain_root(self) -> None:
        """Say who becomes root, once the source's token keys are known."""
        replaced, root = self.context.replaced, self._root
        if replaced is None or root is None:
            return
        kept = []
        if replaced.access_token_digest and root.access_token_digest == replaced.access_token_digest:
            kept.append("its access token")
        if free := [one for one, _key in replaced.tokens if one not in self.context.token_keys]:
            kept.append("its token" if len(free) == 1 else f"its {len(free)} tokens")
        self.report.root = (
            f"The unused root of this installation (user {replaced.id}) gives way to {root.username!r}, user "
            f"{root.pk} of the source" + (f", who takes over {' and '.join(kept)}." if kept else ".")
        )

    # Reading

    def _user(self, row: Row) -> User:
        status = row.one_of("status", UserStatus.values, UserStatus.ENABLED, UserStatus.DISABLED)
        user = User(
            id=row.id,
            username=row.text("username", 64),
            display_name=row.text("display_name", 64),
            role=row.one_of("role", Role.values, Role.COMMON, Role.COMMON),
            status=status,
            email=row.text("email").strip(),
            group=row.text("group", 64).strip() or "default",
            quota=row.integer("quota", 0, 0, MAX_QUOTA),
            used_quota=row.integer("used_quota", 0, 0),
            request_count=row.integer("request_count", 0, 0),
            inviter_id=row.integer("inviter_id", 0, 0),
            aff_code=row.credential("aff_code") or None,
            password=self._password(row),
            access_token_digest=access_token_digest(token) if (token := row.credential("access_token")) else None,
        )
        for name in IDENTITIES:
            setattr(user, name, self._identity(row, name))
        if status == UserStatus.DELETED:
            self._bury(user)
            self.context.deleted.add(user.pk)
        else:
            self.context.owners.add(user.pk)
        self._make_unique(user, row)
        return user

    def _password(self, row: Row) -> str:
        stored = row.text("password").strip()
        password = imported(stored)
        if password is None:
            if stored:
                self.table.adjust(row.id, "password is no bcrypt hash; it has to be set anew")
            return make_password(None)
        return password

    def _identity(self, row: Row, name: str) -> str | None:
        value = row.text(name).strip()
        if name == "github_id":  # a login there; here, digits alone are a number that GitHub gave
            value = marked(value)
        if len(value) > IDENTITY_LENGTHS[name]:
            self.table.adjust(row.id, f"{name} is longer than {IDENTITY_LENGTHS[name]} characters; now none")
            return None
        return value or None

    @staticmethod
    def _bury(user: User) -> None:
        """As our own deletion leaves an account: a row for the books to point at."""
        if not user.username.startswith("deleted_"):
            user.username = f"deleted_{digest('import', f'{user.pk}:{user.username}')[:32]}"
        user.display_name = user.email = ""
        user.github_id = user.wechat_id = user.lark_id = user.oidc_id = None
        user.aff_code = user.access_token_digest = None
        user.password = make_password(None)

    def _make_unique(self, user: User, row: Row) -> None:
        """Where two rows share what they cannot share here, the one with the lower id keeps it."""
        if not user.username.strip():
            user.username = f"user_{user.pk}"
            self.table.adjust(user.pk, f"username was empty; now {user.username}")
        if len(user.email) > 254:
            user.email = ""
            self.table.adjust(user.pk, "email is longer than 254 characters; now none")
        if first := self._taken["username_key"].get(fold(user.username)):
            was, user.username = user.username, f"{user.username[:43]}_{user.pk}"
            self.table.adjust(user.pk, f"username {was!r} is user {first}'s but for its case; now {user.username!r}")
        if user.email and (first := self._taken["email_key"].get(fold(user.email))):
            user.email = ""
            self.table.adjust(user.pk, f"email is user {first}'s; now none")
        user.username_key = fold(user.username)
        user.email_key = fold(user.email) or None
        for name in ("aff_code", "access_token_digest", *IDENTITIES):
            value = getattr(user, name)
            if value and (first := self._taken[name].get(value)):
                setattr(user, name, None)
                self.table.adjust(user.pk, f"{UNIQUE[name]} is user {first}'s; now none")
        for name in UNIQUE:
            if value := getattr(user, name):
                self._taken[name][value] = user.pk

    # What is here

    @staticmethod
    def _marked() -> set[int]:
        """Users here whose opening entry an import wrote."""
        marks = LedgerEntry.objects.filter(reference__startswith=first_root.MARK).values_list("reference", flat=True)
        return {int(mark.rpartition(":")[2]) for mark in marks if mark}

    def _clashes(self, user: User, stored: dict[str, Any] | None, owners: dict[str, dict[str, int]]) -> None:
        if stored is not None:
            self.report.clash("users", user.pk, f"the id is taken here by {stored['username']!r}")
        for name, label in UNIQUE.items():
            value = getattr(user, name)
            owner = owners[name].get(value) if value else None
            if owner is not None and owner != user.pk:
                shown = f" {value!r}" if name in ("username_key", "email_key", "aff_code") else ""
                self.report.clash("users", user.pk, f"{label}{shown} belongs to user {owner} here")

    @staticmethod
    def _new_root(found: Sequence[User]) -> User | None:
        roots = (user for user in found if user.role == Role.ROOT and user.status == UserStatus.ENABLED)
        return min(roots, key=lambda user: user.pk, default=None)

    def _prepare_root(self, root: User) -> None:
        """The new root: its access token may be the one asked for here, its password not the one everybody knows."""
        if _is_known(root.password):
            root.must_change_password = True
            self.report.warnings.append(
                f"the password of {root.username!r} is {KNOWN_PASSWORD.decode()}, which everybody knows: "
                "it must be changed at the first sign-in"
            )
        replaced = self.context.replaced
        if replaced is None or not replaced.access_token_digest:
            return
        if root.access_token_digest:
            self.report.warnings.append("the source's root has an access token; INITIAL_ROOT_ACCESS_TOKEN is dropped")
        elif replaced.access_token_digest not in self._taken["access_token_digest"]:
            root.access_token_digest = replaced.access_token_digest

    def _disagreements(self, found: Sequence[User]) -> None:
        if not self.context.log_source.has("logs"):
            return
        logged = self.context.log_source.consumption()
        for user in found:
            requests, quota = logged.get(user.pk, (0, 0))
            if (user.used_quota, user.request_count) != (quota, requests):
                self.report.disagreements.append(
                    Disagreement(user.pk, user.username, user.used_quota, quota, user.request_count, requests)
                )

    # Writing

    def _write(self, batch: Sequence[User]) -> None:
        replaced, tokens = self.context.replaced, []
        if replaced is not None:
            if first_root.find(even_used=True) != replaced:
                raise ChangedMeanwhile("root of this installation was used while the import was being planned")
            tokens = first_root.remove(replaced)
        User.objects.bulk_create(batch, batch_size=BATCH)
        now = int(time.time())
        LedgerEntry.objects.bulk_create(
            LedgerEntry(
                user_id=user.pk,
                kind=EntryKind.OPENING,
                amount=user.quota,
                created_at=now,
                reference=f"{first_root.MARK}{user.pk}",
                note="imported",
            )
            for user in batch
        )
        if replaced is not None:
            self._hand_over(tokens, batch[0])
            self.context.replaced = None

    def _hand_over(self, tokens: Sequence[Token], root: User) -> None:
        """The former root's tokens go to the new one, under ids the source does not use; a key it has stays its own."""
        top = max(self.context.top_token_id, first_root.highest_token_id())
        for number, token in enumerate((one for one in tokens if one.key_digest not in self.context.token_keys), 1):
            token.pk = top + number
            token.user_id = root.pk
            token.save(force_insert=True)


def _is_known(password: str) -> bool:
    """Asked of root alone: it takes as long as a sign-in."""
    if not password.startswith("bcrypt$"):
        return False
    stored = password.partition("$")[2].encode()
    try:
        return bcrypt.checkpw(KNOWN_PASSWORD, stored)
    except ValueError:
        return False

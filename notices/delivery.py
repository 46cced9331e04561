"""Delivering what waits: one round over the queue, each message made at the moment it goes out.

Who is written to is looked up here and not in the request that asked: so the request does the same, and takes the
same time, for every address (remedy S14), and no code or link waits in a table.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import urlencode

from django.db import transaction

from accounts.models import Role, User, UserStatus, fold
from notices import codes, letters, mail, pusher, queue
from notices.codes import Purpose
from notices.letters import Letter
from notices.mail import MailError, MailRefused, Postman
from notices.models import Kind, OutboxMessage
from notices.pusher import PushError
from options import services as option_services
from options.registry import Options
from vault.keys import digest

log = logging.getLogger(__name__)

ROUND = 200  # messages at most


def deliver(stopping: Callable[[], bool]) -> int:
    """Try everything that is due; returns how many were delivered. Ends between two messages when `stopping()`."""
    messages = queue.due(ROUND)
    if not messages:
        return 0
    options = option_services.load()
    delivered = 0
    with Postman(mail.Account.of(options)) as postman:
        for message in messages:
            if stopping():
                break
            if queue.claim(message):
                delivered += _deliver(message, options, postman)
    return delivered


def _deliver(message: OutboxMessage, options: Options, postman: Postman) -> bool:
    try:
        if message.recipient:
            _mail(message, options, postman)
        else:
            _tell_operator(message, options)
    except MailRefused as error:
        queue.give_up(message, str(error))
        return False
    except (MailError, PushError) as error:
        queue.put_off(message, str(error))
        return False
    queue.done(message)
    return True


def _mail(message: OutboxMessage, options: Options, postman: Postman) -> None:
    found = _letter(message, options)
    if found is not None:
        address, letter = found
        postman.send(address, letter, digest("message-id", f"{message.pk} {message.created_at}")[:32])


def _letter(message: OutboxMessage, options: Options) -> tuple[str, Letter] | None:
    """To whom and what; None where there is nothing to say (any more)."""
    match message.kind:
        case Kind.VERIFICATION:
            return message.recipient, _verification(message.recipient, options)
        case Kind.RESET:
            return _reset(message.recipient, options)
        case Kind.QUOTA:
            return _quota(message.facts["user_id"], options)
        case _:
            return message.recipient, letters.write(message.kind, options, message.facts)


def _verification(address: str, options: Options) -> Letter:
    """The code; to somebody whose address is an account's already, that it is."""
    if User.objects.filter(email_key=fold(address)).exists():
        return letters.write("address_taken", options, {"address": address})
    code = codes.issue(Purpose.ADDRESS, address)
    return letters.write("verification", options, {"code": code, "minutes": codes.LIFETIME // 60})


def _reset(address: str, options: Options) -> tuple[str, Letter] | None:
    """The link goes to the address as the account has it, however it was typed."""
    user = User.objects.filter(email_key=fold(address), status=UserStatus.ENABLED).first()
    if user is None:
        return None
    query = urlencode({"email": user.email, "token": codes.issue(Purpose.RESET, user.email)})
    link = f"{letters.server_address(options)}/user/reset?{query}"
    facts = {"link": link, "username": user.username, "minutes": codes.LIFETIME // 60}
    return user.email, letters.write("reset", options, facts)


def _quota(user_id: int, options: Options) -> tuple[str, Letter] | None:
    """With the balance of now; nothing to a person who has topped up meanwhile."""
    user = User.objects.filter(pk=user_id, status=UserStatus.ENABLED).first()
    if user is None or not user.email:
        return None
    threshold = max(options["QuotaRemindThreshold"], 1) if user.remind_below is None else user.remind_below
    if user.quota >= threshold:
        return None
    facts = {
        "username": user.username,
        "used_up": user.quota <= 0,
        "balance": letters.balance(options, user.quota),
        "link": f"{letters.server_address(options)}/topup",
    }
    return user.email, letters.write("quota", options, facts)


def _tell_operator(message: OutboxMessage, options: Options) -> None:
    """Push, else mail to every root (remedy A4). Raises PushError where neither can be."""
    failure = "neither a message pusher nor mail to a root account is set up"
    if pusher.configured(options):
        try:
            pusher.push(options, letters.write(message.kind, options, message.facts))
            return
        except PushError as error:
            failure = str(error)
            log.warning("message %s (%s): %s", message.pk, message.kind, failure)
    addresses = User.objects.filter(role=Role.ROOT, status=UserStatus.ENABLED).exclude(email="")
    recipients = ";".join(addresses.order_by("pk").values_list("email", flat=True)) if mail.configured(options) else ""
    if not recipients:
        raise PushError(failure)
    with transaction.atomic():
        queue.post(Kind(message.kind), recipients, facts=message.facts)
        queue.done(message)

"""A message on trial, sent at once and not by the queue: whoever asks for it waits for the outcome."""

from __future__ import annotations

import secrets

from django.utils.translation import get_language

from notices import letters, mail, pusher
from notices.letters import Letter
from notices.mail import Postman
from options.registry import Options


def send_mail(options: Options, address: str) -> None:
    """To one address, by the stored settings. Raises MailError with what the server said."""
    with Postman(mail.Account.of(options)) as postman:
        postman.send(address, _letter(options), secrets.token_hex(16))


def push(options: Options) -> None:
    """To the message pusher. Raises PushError."""
    pusher.push(options, _letter(options))


def _letter(options: Options) -> Letter:
    return letters.write("trial", options, {}, language=get_language() or letters.LANGUAGE)

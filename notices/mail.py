"""Sending mail by SMTP as the options say (management contract, 6.5; remedy S16).

Port 465 is TLS from the first byte; elsewhere STARTTLS is used where the server offers it. Certificates are always
verified, against the system's authorities or those in SMTP_CA_FILE. Account and password never travel unencrypted,
save to this very machine.
"""

from __future__ import annotations

import logging
import re
import smtplib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from django.conf import settings

from notices.letters import Letter
from options.registry import Options

log = logging.getLogger(__name__)

TIMEOUT = 20.0  # seconds for each step of the dialogue
IMPLICIT_TLS = 465
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")  # RFC 5322's dot-atoms


class MailError(Exception):
    """It was not sent, and may be tried again. The text holds nothing secret and nothing of the message."""


class MailRefused(MailError):
    """The server will never take it: another try is useless."""


@dataclass(frozen=True)
class Account:
    """Where mail is handed in, and in whose name."""

    server: str
    port: int
    user: str
    password: str
    sender: str
    sender_name: str

    @classmethod
    def of(cls, options: Options) -> Account:
        """SMTPFrom defaults to SMTPAccount, as in the reference."""
        return cls(
            server=options["SMTPServer"].strip(),
            port=options["SMTPPort"],
            user=options["SMTPAccount"],
            password=options["SMTPToken"],
            sender=parseaddr(options["SMTPFrom"] or options["SMTPAccount"])[1],
            sender_name=options["SystemName"],
        )


def configured(options: Options) -> bool:
    """Whether mail can be sent at all."""
    account = Account.of(options)
    return bool(account.server and account.sender)


class Postman:
    """One connection for all the letters of a round, opened for the first of them.

    A server that cannot be reached, or refuses the account, is not asked again in this round.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._connection: smtplib.SMTP | None = None
        self._away = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._hang_up()

    def send(self, recipient: str, letter: Letter, message_id: str) -> None:
        """To one address. `message_id` is the same for every try. Raises MailError, MailRefused."""
        message = compose(self._account, recipient, letter, message_id)
        connection = self._connected()
        try:
            connection.send_message(message, ascii_address(self._account.sender), [ascii_address(recipient)])
        except smtplib.SMTPRecipientsRefused as error:
            code, reason = next(iter(error.recipients.values()))
            self._start_over()
            raise _refusal(code, f"recipient refused: {code} {_shown(reason)}") from None
        except smtplib.SMTPDataError as error:
            self._start_over()
            raise _refusal(error.smtp_code, f"message refused: {error.smtp_code}") from None  # its text may quote ours
        except (smtplib.SMTPException, OSError, ValueError) as error:
            self._hang_up()
            raise MailError(_described(error)) from None

    def _connected(self) -> smtplib.SMTP:
        if self._away:
            raise MailError(self._away)
        if self._connection is None:
            try:
                self._connection = connect(self._account)
            except MailError as error:
                self._away = str(error)
                raise
        return self._connection

    def _start_over(self) -> None:
        """The connection is fit for the next letter, or is given up."""
        assert self._connection is not None
        try:
            self._connection.rset()
        except (smtplib.SMTPException, OSError):
            self._hang_up()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.quit()
        except (smtplib.SMTPException, OSError):
            connection.close()


def connect(account: Account) -> smtplib.SMTP:
    """A connection that is encrypted as promised above and signed in. Raises MailError."""
    if not (account.server and account.sender):
        raise MailError("no mail server is set: SMTPServer and SMTPFrom (or SMTPAccount) are needed")
    connection: smtplib.SMTP | None = None
    try:
        if account.port == IMPLICIT_TLS:
            connection = smtplib.SMTP_SSL(account.server, account.port, timeout=TIMEOUT, context=tls())
            connection.ehlo_or_helo_if_needed()
        else:
            connection = smtplib.SMTP(account.server, account.port, timeout=TIMEOUT)
            connection.ehlo_or_helo_if_needed()
            if connection.has_extn("starttls"):
                connection.starttls(context=tls())
                connection.ehlo()
            elif account.user or account.password:
                _refuse_in_the_clear(connection)
            else:
                log.warning("mail goes unencrypted: %s:%s offers no STARTTLS", account.server, account.port)
        if account.user or account.password:
            connection.login(account.user, account.password)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        if connection is not None:
            connection.close()
        raise MailError(_described(error)) from None
    return connection


def _refuse_in_the_clear(connection: smtplib.SMTP) -> None:
    assert connection.sock is not None
    if not ip_address(connection.sock.getpeername()[0].partition("%")[0]).is_loopback:
        raise smtplib.SMTPNotSupportedError("the server offers no STARTTLS, and a password is never sent in the clear")


def tls() -> ssl.SSLContext:
    """Certificate and name are checked; TLS 1.2 at least."""
    context = ssl.create_default_context(cafile=settings.SMTP_CA_FILE or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def compose(account: Account, recipient: str, letter: Letter, message_id: str) -> EmailMessage:
    """Headers are built, never glued, so that no name or address can add one. Raises MailError, MailRefused."""
    message = EmailMessage(policy=SMTP)
    try:
        sender = ascii_address(account.sender)
        message["From"] = Address(one_line(account.sender_name), addr_spec=sender)
    except ValueError:
        raise MailError("SMTPFrom is not an e-mail address") from None
    try:
        message["To"] = Address(addr_spec=ascii_address(recipient))
    except ValueError:
        raise MailRefused("the recipient is not an e-mail address") from None
    message["Subject"] = one_line(letter.subject)
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply, please
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


def ascii_address(address: str) -> str:
    """The address as every server takes it, its domain in IDNA. Raises ValueError."""
    local, _at, domain = address.strip().rpartition("@")
    plain = f"{local}@{domain.encode('idna').decode('ascii')}"
    if not ADDRESS.fullmatch(plain):
        raise ValueError("not an e-mail address")
    return plain


def one_line(text: str) -> str:
    """Without what no header may hold: line breaks, control characters, and encoded words, which would be decoded to
    such by the library that builds the header."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).replace("=?", "= ?").split())


def _refusal(code: int, text: str) -> MailError:
    return MailRefused(text) if 500 <= code < 600 else MailError(text)


def _described(error: Exception) -> str:
    match error:
        case smtplib.SMTPResponseException():
            return one_line(f"{type(error).__name__}: {error.smtp_code} {_shown(error.smtp_error)}")
        case smtplib.SMTPException() | ssl.SSLError():
            return one_line(f"{type(error).__name__}: {error}")
        case OSError():
            return one_line(f"{type(error).__name__}: {error.strerror or error}")
        case _:
            return type(error).__name__


def _shown(reply: bytes | str) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply

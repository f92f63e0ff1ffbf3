"""How does a message go out as a mail?

Plain text, through the owner's own mail server. That server may lie in a private network: its name
stands in the owner's file beside the password for it, no outsider can put another there, and most
companies' relays do lie inside. No header can be injected: what comes from feeds reaches the
subject as one line, and a header with a line end is refused by the library.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from threading import Timer
from typing import Final

from services.finance_sentiment.channels import Channel, Mail
from services.finance_sentiment.outcomes import ARRIVED, LATER, NEVER, Outcome
from services.finance_sentiment.payloads import message_id, plain_text
from services.finance_sentiment.wording import Note, shown

# One step of the conversation, and all of it.
STEP_SECONDS: Final = 10.0
TOTAL_SECONDS: Final = 30.0
_MAX_SUBJECT = 150


def mail_of(mail: Mail, note: Note, key: str, now: datetime, after: str | None) -> EmailMessage:
    """The whole mail. `after`: the idempotency key of the mail which this one answers, so that a
    mail program shows both as one thread."""
    said = EmailMessage(policy=SMTP)
    said["From"] = mail.sender
    said["To"] = ", ".join(mail.recipients)
    said["Subject"] = shown(note.summary, _MAX_SUBJECT)
    said["Date"] = format_datetime(now)
    said["Message-ID"] = message_id(key, mail.sender)
    if after:
        said["In-Reply-To"] = said["References"] = message_id(after, mail.sender)
    said["List-Id"] = f"<news-monitor.{mail.sender.rpartition('@')[2]}>"
    # Asks for no automatic answer (RFC 3834).
    said["Auto-Submitted"] = "auto-generated"
    said.set_content(plain_text(note))
    return said


def send_mail(
    channel: Channel, note: Note, key: str, now: datetime, after: str | None = None
) -> Outcome:
    """Send it; an address that the server refuses while it takes others is told in the outcome."""
    mail = channel.mail
    assert mail is not None, "only a channel of kind email comes here"
    message = mail_of(mail, note, key, now, after)
    try:
        refused = _conversation(mail, message)
    except (OSError, smtplib.SMTPException) as error:
        return _failed(error)
    if refused:
        return Outcome(ARRIVED, f"taken, but not for {_reasons(refused)}")
    return Outcome(ARRIVED, f"taken by {mail.host}")


def _failed(error: OSError | smtplib.SMTPException) -> Outcome:
    """4xx passes (RFC 5321, 4.2.1), 5xx and a certificate that is not believed do not."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            passing = any(400 <= code < 500 for code, _ in error.recipients.values())
            text = f"all recipients refused: {_reasons(error.recipients)}"
        case smtplib.SMTPResponseException():
            # A connection that broke is told as -1.
            passing = not 500 <= error.smtp_code < 600
            text = _said(error.smtp_code, error.smtp_error)
        case smtplib.SMTPNotSupportedError():
            passing, text = False, f"the mail server cannot do that: {shown(str(error), 200)}"
        case ssl.SSLCertVerificationError():
            passing, text = False, f"the mail server's certificate: {error.verify_message}"
        case _:
            passing = True
            text = f"no mail server: {shown(str(error), 200) or type(error).__name__}"
    return Outcome(LATER if passing else NEVER, text)


def _conversation(mail: Mail, message: EmailMessage) -> dict[str, tuple[int, bytes]]:
    """Who was refused, with code and reason."""
    context = ssl.create_default_context(cafile=None)
    if mail.ca_file is not None:
        context.load_verify_locations(mail.ca_file)
    if mail.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            mail.host, mail.port, timeout=STEP_SECONDS, context=context
        )
    else:
        server = smtplib.SMTP(mail.host, mail.port, timeout=STEP_SECONDS)
    # The time-out above is of single steps; a server that drips bytes would hold us for ever.
    watch = Timer(TOTAL_SECONDS, _cut, [server])
    watch.daemon = True
    watch.start()
    try:
        with server:
            if mail.security == "starttls":
                server.starttls(context=context)
            if mail.password:
                server.login(mail.user, mail.password)
            return server.send_message(message)
    finally:
        watch.cancel()


def _cut(server: smtplib.SMTP) -> None:
    if (connection := server.sock) is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _reasons(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{name} ({_said(*reason)})" for name, reason in list(refused.items())[:5])


def _said(code: int, reason: bytes | str) -> str:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    return f"the mail server answered {code}: {shown(text, 200)}"

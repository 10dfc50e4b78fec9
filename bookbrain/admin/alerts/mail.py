"""A letter, by the mail server of this machine."""

import smtplib
import socket
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage

from bookbrain.admin.alerts.message import Delivery, Message
from bookbrain.children import describe_exit, run_program
from bookbrain.wording import fill

_SECONDS = 10.0


@dataclass(frozen=True)
class MailServer:
    """The program, and the port at which the server listens, where it does."""

    program: str = "/usr/sbin/sendmail"
    port: int = 25


def send_mail(where: str, address: str, message: Message, server: MailServer) -> Delivery:
    """Through the port; the program is for a machine where nobody listens.

    It often has the setuid bit, which a hardened unit takes from it. `where` is what is shown of
    the address.
    """
    letter = _letter(address, message)
    host = socket.gethostname()
    try:
        with smtplib.SMTP("127.0.0.1", server.port, host, _SECONDS) as smtp:
            smtp.send_message(letter)
        return Delivery(where, True, "the mail server took it")
    except (smtplib.SMTPException, ValueError) as error:
        return Delivery(
            where, False, fill("The mail server refused it: {reason}.", reason=type(error).__name__)
        )
    except OSError:
        return _by_program(where, letter, server.program)


def _by_program(where: str, letter: EmailMessage, program: str) -> Delivery:
    try:
        ended = run_program([program, "-t", "-i"], timeout=_SECONDS, given=letter.as_string())
    except OSError:
        return Delivery(where, False, "There is no mail server on this machine.")
    if ended.code:
        return Delivery(
            where, False, fill("sendmail ended with {reason}.", reason=describe_exit(ended.code))
        )
    return Delivery(where, True, "the mail server took it")


def _letter(address: str, message: Message) -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = Address("BookBrain", "bookbrain", socket.gethostname())
    letter["To"] = address
    letter["Subject"] = message.title
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.text, cte="base64")
    return letter

"""The ways to the owner: Apprise in a child process, or a letter; and what they are told."""

import json
import re
import signal
import smtplib
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from functools import partial
from typing import Literal

from bookbrain.checks import Errand, Receipt
from bookbrain.messages import Language, fill, message_of, translated
from bookbrain.model import printable
from bookbrain.processes import describe_exit, run_program
from bookbrain.remote import in_thread, run
from bookbrain.reports import Check, State, worst_of

_MOST_OF_A_LINE = 300
_MOST = 1900  # Discord takes 2,000 characters, the title among them


@dataclass(frozen=True)
class Message:
    """`text` is whole without the title; `level` is the worst of what it is about."""

    title: str
    text: str
    level: State
    host: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """What came of telling somebody: `where` has no secret, `seen` is what was answered."""

    where: str
    ok: bool
    seen: str


def about_changes(news: Sequence[Check], host: str, language: Language) -> Message:
    """One message for all checks that changed."""
    level = worst_of(check.state for check in news)
    title = {
        State.OK: fill("BookBrain on {host} is well again", host=host),
        State.WARN: fill("BookBrain on {host}: something to look at", host=host),
        State.FAIL: fill("BookBrain on {host} has a fault", host=host),
    }[level]
    order = sorted(news, key=lambda check: list(State).index(check.state), reverse=True)
    lines = [line for check in order for line in _lines(check, language)]
    return Message(translated(title, language), _cut(lines), level, host, tuple(order))


def about_failure(check: Check, journal: str, host: str, language: Language) -> Message:
    """A unit has failed; `journal` has what it last said."""
    title = translated(fill("{unit} on {host} has failed", unit=check.subject, host=host), language)
    said = [printable(line.strip()) for line in journal.splitlines() if line.strip()]
    lines = [*_lines(check, language), *(f"> {line}" for line in said)]
    return Message(title, _cut(lines), check.state, host, (check,))


def about_nothing(host: str, language: Language) -> Message:
    """To see whether a message arrives."""
    title = translated(fill("BookBrain on {host}: a test", host=host), language)
    return Message(title, translated("If you read this, trouble will reach you.", language),
                   State.OK, host)  # fmt: skip


def summary_of(checks: Iterable[Check], language: Language) -> str:
    """A line for each check that is not well; one when all are."""
    lines = [line for check in checks if not check.is_ok for line in _lines(check, language)]
    return _cut(lines) if lines else translated("All is well.", language)


def _lines(check: Check, language: Language) -> list[str]:
    state, name = translated(check.state, language), translated(check.name, language)
    lines = [printable(f"{state}  {name}: {translated(check.seen, language)}")]
    if check.remedy and not check.is_ok:
        lines.append(
            printable(translated(fill("Next:  {hint}", hint=message_of(check.remedy)), language))
        )
    return lines


def _cut(lines: Iterable[str]) -> str:
    return "\n".join(line[:_MOST_OF_A_LINE] for line in lines)[:_MOST]


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


_GRACE = 10.0  # seconds that a courier has to start, and to end by itself
_PAUSES = (1.0, 4.0)  # between three tries
_TOO_MANY = 429
_COURIER = "bookbrain.checks.channels_child"
_LETTER = re.compile("mailto:(?!//)")
_WEB = re.compile(r"(?:ntfy\+)?(https?://)(?:[^/?#]*@)?([^/?#]*)")
_LEVELS: dict[State, Literal["success", "warning", "failure"]] = {
    State.OK: "success", State.WARN: "warning", State.FAIL: "failure"
}  # fmt: skip


@dataclass(frozen=True)
class Outbox:
    """How things leave this machine."""

    mail: MailServer = field(default_factory=MailServer)
    pause: Callable[[float], None] = time.sleep


def deliver(message: Message, channels: Sequence[str], outbox: Outbox) -> list[Delivery]:
    """Tell every channel, all at once; what came of each. None hinders the others."""
    if not channels:
        return []
    with ThreadPoolExecutor(len(channels)) as pool:
        return list(pool.map(lambda channel: _tell(channel, message, outbox), channels))


def ping(url: str, state: State, summary: str, outbox: Outbox) -> Delivery:
    """Call `url`, with /fail behind its path where something is wrong."""
    path, mark, query = url.partition("?")
    if state is State.FAIL:
        path = path.rstrip("/") + "/fail"
    return _send(Errand(path + mark + query, summary, _SECONDS), outbox)


def check_channels(channels: Sequence[str]) -> Iterator[Check]:
    """The addresses of Apprise that Apprise does not know; of the others the settings judge."""
    for place, channel in enumerate(channels, start=1):
        if _LETTER.match(channel) or _WEB.match(channel):
            continue
        if _try(Errand(channel, "", _SECONDS)).failure == "address":
            yield Check(
                "notifications",
                State.WARN,
                fill("Channel {number} of BOOKBRAIN_NOTIFY is of no known kind.", number=place),
                "Mend it, and try it: sudo bookbrain-admin health --test-notification",
                str(place),
            )


def place_of(address: str) -> str:
    """Of a web address scheme and host, of others the scheme: the rest is, or may be, a secret."""
    web = _WEB.match(address)
    return web[1] + web[2] if web else f"{address.partition('://')[0]}://…"


def _tell(channel: str, message: Message, outbox: Outbox) -> Delivery:
    if _LETTER.match(channel):
        return _write(channel, message, outbox.mail)
    whole = f"{message.title}\n{message.text}"
    fields = {
        "text": whole,  # for Slack, Mattermost and others
        "content": whole,  # for Discord
        "level": message.level.value.lower(),
        "host": message.host,
        "checks": [asdict(check) for check in message.checks],
    }
    level = _LEVELS[message.level]
    return _send(Errand(channel, message.text, _SECONDS, message.title, level, fields), outbox)


def _write(channel: str, message: Message, server: MailServer) -> Delivery:
    address = channel.removeprefix("mailto:")
    where = "mailto:…@" + address.rpartition("@")[2]
    try:
        letter = partial(send_mail, where, address, message, server)
        return run(lambda: in_thread(letter), _SECONDS + _GRACE)
    except TimeoutError:
        return Delivery(where, False, _seen(Receipt("late")))


def _send(errand: Errand, outbox: Outbox) -> Delivery:
    """Three tries at most."""
    outcome = _try(errand)
    for seconds in _PAUSES:
        passing = outcome.failure in {"late", "unreachable", "broken"}
        if not (passing or outcome.status == _TOO_MANY or outcome.status >= 500):
            break
        outbox.pause(seconds)
        outcome = _try(errand)
    return Delivery(place_of(errand.address), not outcome.failure, _seen(outcome))


def _try(errand: Errand) -> Receipt:
    """Its address goes through a pipe, never as an argument."""
    paths = ssl.get_default_verify_paths()  # the machine's own, not those of requests
    ended = run_program(
        [sys.executable, "-P", "-m", _COURIER],
        timeout=errand.seconds + _GRACE,
        given=json.dumps(asdict(errand)),
        variables={"REQUESTS_CA_BUNDLE": paths.cafile or paths.capath or ""},
    )
    if ended.code == -signal.SIGKILL:
        return Receipt("late")
    if ended.code:
        return Receipt("broken", reason=describe_exit(ended.code))
    return Receipt(**json.loads(ended.stdout))


def _seen(outcome: Receipt) -> str:
    status, reason = outcome.status, outcome.reason
    refused = fill("It answered {status}.", status=status)
    taken = fill("it answered {status}", status=status)
    return {
        "": taken if status else message_of("it was taken"),
        "late": fill("It did not answer in {seconds:g} s.", seconds=_SECONDS),
        "unreachable": fill("It cannot be reached: {reason}.", reason=reason),
        "broken": fill("It broke off: {reason}.", reason=reason),
        "address": message_of("This is no address."),
        "refused": refused if status >= 300 else message_of("It did not take the message."),
    }[outcome.failure]

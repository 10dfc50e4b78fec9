"""The ways to the owner: a child process with Apprise, or a letter; and the ping after a check."""

import json
import re
import signal
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Literal

from bookbrain.admin.alerts.mail import MailServer, send_mail
from bookbrain.admin.alerts.message import Delivery, Message
from bookbrain.admin.check import Check, State
from bookbrain.children import describe_exit, run_program
from bookbrain.elsewhere import run
from bookbrain.errand import Errand, Outcome
from bookbrain.threads import in_thread
from bookbrain.wording import fill, message_of

_SECONDS = 10.0
_GRACE = 10.0  # seconds that a courier has to start, and to end by itself
_PAUSES = (1.0, 4.0)  # between three tries
_TOO_MANY = 429
_COURIER = "bookbrain.courier"
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
        "checks": [check._asdict() for check in message.checks],
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
        return Delivery(where, False, _seen(Outcome("late")))


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


def _try(errand: Errand) -> Outcome:
    """Its address goes through a pipe, never as an argument."""
    paths = ssl.get_default_verify_paths()  # the machine's own, not those of requests
    ended = run_program(
        [sys.executable, "-P", "-m", _COURIER],
        timeout=errand.seconds + _GRACE,
        given=json.dumps(asdict(errand)),
        variables={"REQUESTS_CA_BUNDLE": paths.cafile or paths.capath or ""},
    )
    if ended.code == -signal.SIGKILL:
        return Outcome("late")
    if ended.code:
        return Outcome("broken", reason=describe_exit(ended.code))
    return Outcome(**json.loads(ended.stdout))


def _seen(outcome: Outcome) -> str:
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

"""The ways to the owner: a webhook, a topic of ntfy, a letter; and the ping after every check."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.header import Header

from bookbrain.admin.alerts.mail import MailServer, send_mail
from bookbrain.admin.alerts.message import Message
from bookbrain.admin.alerts.web import Delivery, Pause, post
from bookbrain.admin.check import State

_NTFY, _MAIL = "ntfy+", "mailto:"
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
_PRIORITIES = {State.OK: "default", State.WARN: "default", State.FAIL: "high"}
_TAGS = {State.OK: "white_check_mark", State.WARN: "warning", State.FAIL: "rotating_light"}


@dataclass(frozen=True)
class Outbox:
    """How things leave this machine."""

    mail: MailServer = field(default_factory=MailServer)
    pause: Pause = time.sleep


def deliver(message: Message, channels: Sequence[str], outbox: Outbox) -> list[Delivery]:
    """Tell every channel, all at once; what came of each. None hinders the others."""
    if not channels:
        return []
    with ThreadPoolExecutor(len(channels)) as pool:
        return list(pool.map(lambda channel: _send(channel, message, outbox), channels))


def ping(url: str, state: State, summary: str, outbox: Outbox) -> Delivery:
    """Call `url`, with /fail behind its path where something is wrong."""
    path, mark, query = url.partition("?")
    if state is State.FAIL:
        path = path.rstrip("/") + "/fail"
    return post(path + mark + query, summary.encode(), _PLAIN, outbox.pause)


def _send(channel: str, message: Message, outbox: Outbox) -> Delivery:
    if channel.startswith(_MAIL):
        return send_mail(channel.removeprefix(_MAIL), message, outbox.mail)
    if channel.startswith(_NTFY):
        headers = {
            **_PLAIN,
            "Title": _header(message.title),
            "Priority": _PRIORITIES[message.level],
            "Tags": _TAGS[message.level],
        }
        url = channel.removeprefix(_NTFY)
        return post(url, message.text.encode(), headers, outbox.pause)
    headers = {"Content-Type": "application/json"}
    return post(channel, _as_json(message), headers, outbox.pause)


def _as_json(message: Message) -> bytes:
    """Slack, Mattermost and others show `text`, Discord `content`."""
    whole = f"{message.title}\n{message.text}"
    values = {
        "text": whole,
        "content": whole,
        "title": message.title,
        "level": message.level.value.lower(),
        "host": message.host,
        "checks": [check._asdict() for check in message.checks],
    }
    return json.dumps(values, ensure_ascii=False).encode()


def _header(text: str) -> str:
    """As RFC 2047 has it where it is not ASCII."""
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=998).encode()

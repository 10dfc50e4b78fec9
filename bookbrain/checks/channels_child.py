"""The child process that tells the owner, by Apprise: its order comes on stdin.

Whatever a server does (hang, drip, send without end), the parent is not held up: this process has
a deadline and little memory. What Apprise logs may quote an address, and leaves this process not.
"""

import json
import logging
import signal
import sys
from dataclasses import asdict
from http.client import HTTPException
from smtplib import SMTPException
from urllib.parse import unquote, urlsplit

import requests
from apprise import Apprise, AppriseAsset, NotifyType
from apprise.plugins.base import NotifyBase
from apprise.plugins.custom_json import NotifyJSON

from bookbrain.checks import Errand, Receipt
from bookbrain.processes import limit_this_process

_MEMORY_MB = 256
_POOL = "urllib3.connectionpool"
_AGAIN = 1.0  # seconds after which somebody who does not hear of the deadline hears of it again
_NTFY = "ntfy+"
_PRIORITIES = {"success": 3, "warning": 3, "failure": 4}
_TAGS = {"success": "white_check_mark", "warning": "warning", "failure": "rotating_light"}
_NOT_SENT = dict.fromkeys(("version", "attachments", "type"), "")
_ASSET = AppriseAsset(
    app_id="BookBrain", app_desc="BookBrain", app_url="", image_url_mask="", image_url_logo="",
    http_redirects=False, storage_mode="memory",
)  # fmt: skip


def main() -> None:
    """Send what stdin asks for."""
    limit_this_process(_MEMORY_MB)
    errand = Errand(**json.load(sys.stdin))
    ear = _Ear()
    logging.basicConfig(handlers=[ear], level=logging.WARNING, force=True)
    logging.getLogger(_POOL).setLevel(logging.DEBUG)
    signal.signal(signal.SIGALRM, _end_what_is_late)
    signal.setitimer(signal.ITIMER_REAL, errand.seconds, _AGAIN)
    try:
        taken = _send(errand)
    except (OSError, ValueError, MemoryError) as error:
        taken, ear.error = False, error
    signal.setitimer(signal.ITIMER_REAL, 0)
    if _is_web(errand.address):  # how its answer goes on is nobody's business
        taken = 200 <= ear.status < 300
    outcome = Receipt(status=ear.status) if taken else _failed(ear)
    print(json.dumps(asdict(outcome)))  # noqa: T201


class _Ear(logging.Handler):
    """Hears what Apprise keeps to itself: the status of the answer, the error on the way."""

    status = 0
    error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == _POOL and isinstance(record.args, tuple) and len(record.args) > 6:
            self.status, self.error = int(str(record.args[6])), None
        else:
            self.error = sys.exc_info()[1] or self.error


def _end_what_is_late(*_: object) -> None:
    raise TimeoutError


def _is_web(address: str) -> bool:
    return address.removeprefix(_NTFY).startswith(("http://", "https://"))


def _send(errand: Errand) -> bool:
    """Whether it was taken. Raises ValueError for what is no address; so without a text, too."""
    if errand.text and not errand.title:
        body = errand.text.encode()
        requests.post(
            errand.address, data=body, headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=errand.seconds, allow_redirects=False, stream=True,
        )  # fmt: skip
        return True
    service = (
        _webhook(errand)
        if _is_web(errand.address)
        else Apprise.instantiate(errand.address, asset=_ASSET)
    )
    if service is None:
        raise ValueError
    service.redirects = False
    return not errand.text or bool(
        service.notify(errand.text, title=errand.title, notify_type=NotifyType(errand.level))
    )


def _webhook(errand: Errand) -> NotifyBase:
    """JSON to a web address; to a topic of ntfy as its server takes it, at its root."""
    parts = urlsplit(errand.address.removeprefix(_NTFY))
    path, fields = parts.path, {**_NOT_SENT, "message": "", **(errand.fields or {})}
    if errand.address.startswith(_NTFY):
        root, _, topic = path.rstrip("/").rpartition("/")
        path, fields = f"{root}/", {
            **_NOT_SENT, "topic": unquote(topic), "priority": _PRIORITIES[errand.level],
            "tags": [_TAGS[errand.level]],
        }  # fmt: skip
    return NotifyJSON(  # type: ignore[no-untyped-call]
        secure=parts.scheme == "https",
        host=parts.netloc.rpartition("@")[2],
        user=parts.username,
        password=parts.password or "",
        fullpath=f"{path}?{parts.query}" if parts.query else path,
        payload=fields,
        asset=_ASSET,
        cto=errand.seconds,
        rto=errand.seconds,
    )


def _failed(ear: _Ear) -> Receipt:
    """Why; of an error only what cannot quote an address, and no text of a server."""
    error = root = ear.error
    while root and (deeper := root.__cause__ or root.__context__):
        root = deeper
    if root is None or ear.status:
        return Receipt("refused", ear.status)
    if isinstance(root, TimeoutError):
        return Receipt("late")
    if isinstance(error, ValueError):
        return Receipt("address")
    if isinstance(root, SMTPException | HTTPException) or not isinstance(root, OSError):
        return Receipt("broken", reason=type(root).__name__)
    return Receipt("unreachable", reason=root.strerror or type(root).__name__)


if __name__ == "__main__":
    main()

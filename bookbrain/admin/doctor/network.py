"""Who listens, where the domain leads, and what the certificate is like."""

import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bookbrain.admin.asking import Answer
from bookbrain.admin.certificate import Certificate
from bookbrain.admin.check import Check, State
from bookbrain.admin.site import Site
from bookbrain.wording import fill, message_of

_PROCESS = re.compile(r'\("(?P<program>[^"]*)",pid=(?P<pid>\d+)')
_PUBLIC, _PRIVATE = (80, 443), (8501, 8502)
_MOST_OF_AN_ERROR = 300
_ASK_CADDY = "sudo systemctl restart caddy; then look: journalctl -u caddy -n 50"


@dataclass(frozen=True)
class Listener:
    """Who waits for connections at an address; "" and 0 where that is not told."""

    address: str
    port: int
    program: str = ""
    pid: int = 0

    @property
    def is_private(self) -> bool:
        return self.address.startswith(("127.", "::1", "[::1", "[::ffff:127."))


def read_listeners(text: str) -> list[Listener]:
    """Of what `ss -Hltnp` prints."""
    found = []
    for line in text.splitlines():
        words = line.split()
        address, _, port = words[3].rpartition(":") if len(words) > 3 else ("", "", "")
        if not port.isdigit():
            continue
        holder = _PROCESS.search(line)
        who = (holder["program"], int(holder["pid"])) if holder else ("", 0)
        found.append(Listener(address, int(port), *who))
    return found


def check_listeners(listeners: Sequence[Listener], own: int) -> list[Check]:
    """`own` is the id of the process of bookbrain.service."""
    checks = [check for port in _PUBLIC for check in _check_public(listeners, port)]
    if not checks:
        checks = [Check("ports", State.OK, "Caddy listens on 80 and 443")]
    for one in listeners:
        if one.program == "bookbrain" and one.pid != own:
            checks.append(
                Check(
                    "ports",
                    State.WARN,
                    fill(
                        "Another BookBrain listens at {address}:{port}.",
                        address=one.address,
                        port=one.port,
                    ),
                    fill("If it is not meant to: sudo kill {pid}", pid=one.pid),
                )
            )
        elif one.port in _PRIVATE and not one.is_private:
            checks.append(
                Check(
                    "ports",
                    State.FAIL,
                    fill(
                        "Port {port} is open to the network: {program} at {address}.",
                        port=one.port,
                        program=one.program,
                        address=one.address,
                    ),
                    "It must listen at 127.0.0.1 only: systemctl cat bookbrain bookbrain-chroma",
                )
            )
    return checks


def _check_public(listeners: Sequence[Listener], port: int) -> list[Check]:
    holders = [one for one in listeners if one.port == port]
    if not holders:
        return [
            Check(
                "ports", State.FAIL, fill("Nobody listens on port {port}.", port=port), _ASK_CADDY
            )
        ]
    return [
        Check(
            "ports",
            State.FAIL,
            fill(
                "Port {port} is taken by {program} (pid {pid}), and Caddy needs it.",
                port=port,
                program=one.program,
                pid=one.pid,
            ),
            "Stop that program, then: sudo systemctl restart caddy",
        )
        for one in holders
        if one.program not in ("caddy", "")
    ]


def check_name(domain: str, theirs: Iterable[str], ours: Iterable[str], proven: bool) -> Check:
    """`theirs` has the addresses of the domain, `ours` those of this machine.

    `proven`: a public authority has found the server by the domain.
    """
    found = {ipaddress.ip_address(text.split("%")[0]) for text in theirs}
    own = {ipaddress.ip_address(text.split("%")[0]) for text in ours}
    names = ", ".join(sorted(map(str, found)))
    if not found:
        return Check(
            "domain",
            State.FAIL,
            fill("{domain} has no address.", domain=domain),
            "Enter this server's public address for it where the domain is registered.",
        )
    if found & own and not any(address.is_loopback for address in found):
        return Check(
            "domain",
            State.OK,
            fill(
                "{domain} is {addresses}, an address of this machine",
                domain=domain,
                addresses=names,
            ),
        )
    if proven:
        return Check(
            "domain",
            State.OK,
            fill(
                "{domain} is {addresses}; a public authority came that way",
                domain=domain,
                addresses=names,
            ),
        )
    if any(address.is_global for address in own):
        seen = fill(
            "{domain} is {addresses}, which is no address of this machine.",
            domain=domain,
            addresses=names,
        )
    else:
        seen = fill(
            "{domain} is {addresses}; behind a cloud's NAT it cannot be told if that is right.",
            domain=domain,
            addresses=names,
        )
    return Check(
        "domain", State.WARN, seen, "Compare it with the public address that the cloud shows."
    )


def read_troubles(journal: str, domain: str) -> str:
    """The newest error about this domain's certificate in the log of Caddy, "" without one."""
    for line in reversed(journal.splitlines()):
        try:
            entry = json.loads(line)
            if entry["level"] != "error" or not entry["logger"].startswith("tls."):
                continue
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        if entry.get("identifier", domain) == domain:
            return str(entry.get("error") or entry.get("msg", ""))[:_MOST_OF_AN_ERROR]
    return ""


def check_certificate(
    site: Site, certificate: Certificate | None, now: datetime, trouble: str
) -> Check:
    """`trouble` is what Caddy last met when it asked for one."""
    if certificate is None:
        seen = fill("There is no certificate for {domain}.", domain=site.domain)
        return Check("certificate", State.FAIL, _because(seen, trouble), _remedy(site))
    day = f"{certificate.ends:%Y-%m-%d}"
    if certificate.ends <= now:
        seen = fill("The certificate has ended: {day}.", day=day)
        return Check("certificate", State.FAIL, _because(seen, trouble), _remedy(site))
    days = certificate.left(now).days
    if certificate.ends_soon(now):
        seen = fill("The certificate ends soon and was not renewed: {day}.", day=day)
        return Check("certificate", State.WARN, _because(seen, trouble), _remedy(site))
    if certificate.distrust and not site.acme:
        return Check("certificate", State.OK, "the server's own, which browsers warn of")
    if certificate.distrust:
        # Of another authority, who comes here may have its root where this machine does not.
        state = State.WARN if site.acme_directory else State.FAIL
        seen = fill(
            "The certificate of {issuer} is not trusted: {reason}.",
            issuer=certificate.issuer,
            reason=certificate.distrust,
        )
        return Check("certificate", state, _because(seen, trouble), _remedy(site))
    return Check(
        "certificate",
        State.OK,
        fill("{issuer}, {days} days left ({day})", issuer=certificate.issuer, days=days, day=day),
    )


def _because(seen: str, trouble: str) -> str:
    return (
        fill("{seen} Caddy: {trouble}", seen=message_of(seen), trouble=trouble) if trouble else seen
    )


def _remedy(site: Site) -> str:
    if not site.acme:
        return _ASK_CADDY
    return fill(
        "{domain} must lead here, and ports 80 and 443 be open in the cloud too. Then: "
        "sudo systemctl restart caddy",
        domain=site.domain,
    )


def check_site(url: str, answer: Answer) -> Check:
    """A server that asks for a password answers 401."""
    if answer.status == 401:
        return Check("site", State.OK, fill("{url} asks for a password, as it should", url=url))
    if answer.status == 0:
        return Check(
            "site",
            State.FAIL,
            fill("{url} does not answer here: {reason}.", url=url, reason=answer.text),
            _ASK_CADDY,
        )
    if answer.status < 400:
        return Check(
            "site",
            State.FAIL,
            fill("{url} answers without a password ({status}).", url=url, status=answer.status),
            "Run install.sh again, then this again.",
        )
    return Check(
        "site",
        State.FAIL,
        fill("{url} answers {status}.", url=url, status=answer.status),
        _ASK_CADDY,
    )

"""Who can reach the site, who listens, who guesses: firewall, ports, names, certificate."""

import ipaddress
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from bookbrain.messages import Filled, fill, message_of
from bookbrain.reports import Check, State
from bookbrain.server.access import Site
from bookbrain.server.probes import Certificate, HttpAnswer, output_of

MARK = "X-Refused"  # by which our filter of fail2ban knows a try
_LIST = re.compile(r"Banned IP list:(.*)")


def check_admin(listen: str, same: bool) -> Check:
    """`listen` is where the running Caddy is talked to, `same` whether it works by its files."""
    if not listen:
        return Check.warn(
            "Caddy",
            "It takes no changes while it runs: `admin off` is among its options.",
            "Take that out of /etc/caddy/Caddyfile, then: sudo systemctl restart caddy",
        )
    if not listen.startswith("unix/"):
        return Check.warn(
            "Caddy",
            fill("Every user of this machine can ask and change it at {listen}.", listen=listen),
            "Take `admin` out of the options in /etc/caddy/Caddyfile, then: "
            "sudo bookbrain-admin site --renew",
        )
    if not same:
        return Check.warn(
            "Caddy",
            "It does not work by its files.",
            "sudo systemctl reload caddy; if that fails: sudo systemctl restart caddy",
        )
    return Check.ok("Caddy", "it works by its files; only root and itself can change that")


def look_at_banned() -> list[str] | None:
    """Whom fail2ban refuses now; None where it does not watch. Needs root."""
    text = output_of("fail2ban-client", "status", "bookbrain")
    return None if text is None else read_banned(text)


def read_banned(text: str) -> list[str]:
    """The addresses in what `fail2ban-client status bookbrain` prints."""
    return [address for rest in _LIST.findall(text) for address in rest.split()]


def check_banned(banned: Sequence[str] | None) -> Check:
    """`banned` is None where the jail does not run."""
    if banned is None:
        return Check.warn(
            "guessing",
            "Guessing passwords is not refused: fail2ban does not watch.",
            "sudo systemctl restart fail2ban; journalctl -u fail2ban -n 20",
        )
    seen = fill("addresses that fail2ban refuses now: {count}", count=len(banned))
    return Check.ok("guessing", seen)


def check_guessing(banned: Sequence[str] | None, told: bool) -> Check:
    """`told` is whether Caddy's log tells of tries."""
    if banned is not None and not told:
        return Check.warn(
            "guessing",
            "fail2ban cannot see who guesses: Caddy works by an older Caddyfile of BookBrain.",
            "Put your changes into /etc/bookbrain/Caddyfile.new and that in place of Caddyfile, "
            "then: sudo systemctl reload caddy",
        )
    if not banned:
        return check_banned(banned)
    return Check.ok(
        "guessing",
        fill(
            "refused now: {addresses}. To let one in: "
            "sudo fail2ban-client set bookbrain unbanip ADDRESS",
            addresses=", ".join(banned),
        ),
    )


Fate = Literal["refused", "policy", "unclear", "open"]  # the worst first
_PORTS = (80, 443)
_SAYS_NOTHING = {"-m", "--comment", "-j", "--reject-with"}
_GOES_ON = {"LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", ""}
_SEEN = {
    "refused": "{program} refuses port 80 or 443: a rule that refuses everything comes first.",
    "policy": "{program} refuses port 80 or 443: what no rule lets in is dropped.",
    "unclear": "{program} has rules of another program: whether 80 and 443 are open cannot be "
    "told.",
    "open": "{program} lets 80 and 443 in; the security list of a cloud cannot be seen from here",
}
_REMEDIES = {
    "refused": "Run install.sh again: it lets them in before that rule. The security list of the "
    "cloud cannot be seen from here: open both ports there too.",
    "policy": "sudo {program} -I INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT",
    "unclear": "See for yourself: sudo {program} -S; with ufw: sudo ufw allow 80,443/tcp",
    "open": "",
}


def check_firewall(program: str, text: str) -> Check:
    """`text` is what `iptables -S INPUT`, or that of `ip6tables`, prints."""
    fates = {fate_of(port, text) for port in _PORTS}
    worst = next(fate for fate in _SEEN if fate in fates)
    # Where there is no IPv6, it may as well be closed.
    wrong = State.WARN if worst == "unclear" or program == "ip6tables" else State.FAIL
    state = State.OK if worst == "open" else wrong
    seen, remedy = fill(_SEEN[worst], program=program), fill(_REMEDIES[worst], program=program)
    return Check("firewall", state, seen, remedy)


def fate_of(port: int, text: str) -> Fate:
    """What happens to a new connection from anywhere to `port`."""
    unclear = False
    policy = "ACCEPT"
    for line in text.splitlines():
        words = shlex.split(line)
        if words[:2] == ["-P", "INPUT"]:
            policy = words[2]
        if words[:2] != ["-A", "INPUT"]:
            continue
        options = dict(_options(words[2:]))
        target, fits = options.get("-j", ""), _fits(options, port)
        if fits is False or target in _GOES_ON:
            continue
        if fits is None or target not in ("ACCEPT", "DROP", "REJECT"):
            unclear = True
        elif target == "ACCEPT":
            return "open"
        else:
            return "unclear" if unclear else "refused"
    if policy == "ACCEPT":
        return "open"
    return "unclear" if unclear else "policy"


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value; one that is turned round has a "!" before its name."""
    name, turned = "", ""
    for word in words:
        if word == "!":
            turned = word
        elif word.startswith("-"):
            name, turned = turned + word, ""
            yield name, ""
        else:
            yield name, word


def _fits(options: dict[str, str], port: int) -> bool | None:
    """Whether the rule is for such a connection; None when that depends on something else."""
    verdicts = {_fits_option(name, value, port) for name, value in options.items()}
    return False if False in verdicts else None if None in verdicts else True


def _fits_option(name: str, value: str, port: int) -> bool | None:
    if name in _SAYS_NOTHING:
        return True
    if name == "-p":
        return value in ("tcp", "all")
    if name in ("--dport", "--dports"):
        return any(_is_in(port, part) for part in value.split(","))
    if name in ("--state", "--ctstate"):
        return "NEW" in value.split(",")
    if name == "-s":  # some may come, or may not; the others are as they were
        return False
    return False if (name, value) == ("-i", "lo") else None


def _is_in(port: int, part: str) -> bool:
    first, _, last = part.partition(":")
    return first.isdigit() and int(first) <= port <= int(last or first)


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
        checks = [Check.ok("ports", "Caddy listens on 80 and 443")]
    for one in listeners:
        if one.program == "bookbrain" and one.pid != own:
            seen = fill("Another BookBrain listens at {address}:{port}.", **asdict(one))
            remedy = fill("If it is not meant to: sudo kill {pid}", pid=one.pid)
            checks.append(Check.warn("ports", seen, remedy))
        elif one.port in _PRIVATE and not one.is_private:
            seen = fill(
                "Port {port} is open to the network: {program} at {address}.", **asdict(one)
            )
            cure = "It must listen at 127.0.0.1 only: systemctl cat bookbrain bookbrain-chroma"
            checks.append(Check.fail("ports", seen, cure))
    return checks


def _check_public(listeners: Sequence[Listener], port: int) -> list[Check]:
    holders = [one for one in listeners if one.port == port]
    if not holders:
        return [Check.fail("ports", fill("Nobody listens on port {port}.", port=port), _ASK_CADDY)]
    taken = "Port {port} is taken by {program} (pid {pid}), and Caddy needs it."
    remedy = "Stop that program, then: sudo systemctl restart caddy"
    return [
        Check.fail("ports", fill(taken, **asdict(one)), remedy)
        for one in holders
        if one.program not in ("caddy", "")
    ]


def check_name(domain: str, theirs: Iterable[str], ours: Iterable[str], proven: bool) -> Check:
    """`theirs` has the addresses of the domain, `ours` those of this machine.

    `proven`: a public authority has found the server by the domain.
    """
    found = {ipaddress.ip_address(text.split("%")[0]) for text in theirs}
    own = {ipaddress.ip_address(text.split("%")[0]) for text in ours}
    if not found:
        return Check.fail(
            "domain",
            fill("{domain} has no address.", domain=domain),
            "Enter this server's public address for it where the domain is registered.",
        )
    state, remedy = State.OK, fill("")
    if found & own and not any(address.is_loopback for address in found):
        seen = "{domain} is {addresses}, an address of this machine"
    elif proven:
        seen = "{domain} is {addresses}; a public authority came that way"
    else:
        state, remedy = State.WARN, fill("Compare it with the public address that the cloud shows.")
        seen = (
            "{domain} is {addresses}, which is no address of this machine."
            if any(address.is_global for address in own)
            else "{domain} is {addresses}; behind a cloud's NAT it cannot be told if that is right."
        )
    names = ", ".join(sorted(map(str, found)))
    return Check("domain", state, fill(seen, domain=domain, addresses=names), remedy)


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
    state, seen = _certificate(site, certificate, now)
    if state is State.OK:
        return Check.ok("certificate", seen)
    if trouble:
        seen = fill("{seen} Caddy: {trouble}", seen=message_of(seen), trouble=trouble)
    remedy = fill(
        "{domain} must lead here, and ports 80 and 443 be open in the cloud too. Then: "
        "sudo systemctl restart caddy",
        domain=site.domain,
    )
    return Check("certificate", state, seen, remedy if site.acme else _ASK_CADDY)


def _certificate(
    site: Site, certificate: Certificate | None, now: datetime
) -> tuple[State, Filled]:
    if certificate is None:
        return State.FAIL, fill("There is no certificate for {domain}.", domain=site.domain)
    issuer, day, left = certificate.issuer, f"{certificate.ends:%Y-%m-%d}", certificate.left(now)
    if certificate.ends <= now:
        return State.FAIL, fill("The certificate has ended: {day}.", day=day)
    if certificate.ends_soon(now):
        seen = fill("The certificate ends soon and was not renewed: {day}.", day=day)
        return State.WARN, seen
    if not certificate.distrust:
        seen = fill("{issuer}, {days} days left ({day})", issuer=issuer, days=left.days, day=day)
        return State.OK, seen
    if not site.acme:
        return State.OK, fill("the server's own, which browsers warn of")
    reason = certificate.distrust
    seen = fill(
        "The certificate of {issuer} is not trusted: {reason}.", issuer=issuer, reason=reason
    )
    # Of another authority, who comes here may have its root where this machine does not.
    return State.WARN if site.acme_directory else State.FAIL, seen


def check_site(url: str, answer: HttpAnswer) -> Check:
    """A server that asks for a password answers 401."""
    status = answer.status
    if status == 401:
        return Check.ok("site", fill("{url} asks for a password, as it should", url=url))
    if status == 0:
        seen = fill("{url} does not answer here: {reason}.", url=url, reason=answer.text)
    elif status < 400:
        seen = fill("{url} answers without a password ({status}).", url=url, status=status)
    else:
        seen = fill("{url} answers {status}.", url=url, status=status)
    again = "Run install.sh again, then this again."
    return Check.fail("site", seen, again if 0 < status < 400 else _ASK_CADDY)

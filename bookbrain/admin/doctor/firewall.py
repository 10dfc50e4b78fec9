"""Whether the machine's own firewall lets the site be reached."""

import shlex
from collections.abc import Iterator
from typing import Literal

from bookbrain.admin.check import Check, State
from bookbrain.wording import fill

Fate = Literal["open", "refused", "policy", "unclear"]

_PORTS = (80, 443)
_SAYS_NOTHING = {"-m", "--comment", "-j", "--reject-with"}
_GOES_ON = {"LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", ""}


def check_firewall(program: str, text: str) -> Check:
    """`text` is what `iptables -S INPUT`, or that of `ip6tables`, prints."""
    fates = {fate_of(port, text) for port in _PORTS}
    # Where there is no IPv6, it may as well be closed.
    closed = State.WARN if program == "ip6tables" else State.FAIL
    if "refused" in fates:
        return Check(
            "firewall",
            closed,
            fill(
                "{program} refuses port 80 or 443: a rule that refuses everything comes first.",
                program=program,
            ),
            "Run install.sh again: it lets them in before that rule. The security list of the "
            "cloud cannot be seen from here: open both ports there too.",
        )
    if "policy" in fates:
        return Check(
            "firewall",
            closed,
            fill(
                "{program} refuses port 80 or 443: what no rule lets in is dropped.",
                program=program,
            ),
            fill(
                "sudo {program} -I INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT",
                program=program,
            ),
        )
    if "unclear" in fates:
        return Check(
            "firewall",
            State.WARN,
            fill(
                "{program} has rules of another program: "
                "whether 80 and 443 are open cannot be told.",
                program=program,
            ),
            fill(
                "See for yourself: sudo {program} -S; with ufw: sudo ufw allow 80,443/tcp",
                program=program,
            ),
        )
    return Check(
        "firewall",
        State.OK,
        fill(
            "{program} lets 80 and 443 in; the security list of a cloud cannot be seen from here",
            program=program,
        ),
    )


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

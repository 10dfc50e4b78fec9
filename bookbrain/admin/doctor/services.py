"""How the units are, and whether the application and Chroma answer."""

from collections.abc import Iterable, Sequence

from bookbrain.admin.asking import Answer
from bookbrain.admin.check import Check, State
from bookbrain.admin.units import Unit

_MANY_RESTARTS = 3
_OURS = ("bookbrain", "caddy")


def check_units(units: Sequence[Unit]) -> list[Check]:
    """One check for each that does not run as it should, or one for all."""
    checks = [check for unit in units for check in _check_unit(unit)]
    names = ", ".join(unit.title for unit in units)
    return checks or [Check("service", State.OK, f"all run: {names}")]


def _check_unit(unit: Unit) -> list[Check]:
    if unit.state == "not-found":
        return [
            Check("service", State.FAIL, f"systemd knows no {unit.title}.", "Run install.sh again.")
        ]
    if not unit.runs:
        return [
            Check(
                "service",
                State.FAIL,
                f"{unit.title} does not run: {unit.state}.",
                f"journalctl -u {unit.name} -n 50, then: sudo systemctl restart {unit.name}",
            )
        ]
    if unit.restarts >= _MANY_RESTARTS:
        return [
            Check(
                "service",
                State.WARN,
                f"{unit.title} came up again {unit.restarts} times.",
                f"See why: journalctl -u {unit.name} -n 200",
            )
        ]
    return []


def check_failed(names: Iterable[str], judged: Iterable[str]) -> list[Check]:
    """Units that have failed, but for those that were `judged` already."""
    return [
        Check(
            "service",
            State.FAIL if name.startswith(_OURS) else State.WARN,
            f"{name} has failed.",
            f"journalctl -u {name} -n 50, then: sudo systemctl restart {name}",
        )
        for name in sorted(set(names) - set(judged))
    ]


def check_application(answer: Answer) -> Check:
    """`answer` is that of /healthz."""
    if answer.status == 200:
        return Check("app", State.OK, f"it answers: {answer.text}")
    if answer.status:
        return Check(
            "app",
            State.FAIL,
            f"It answers {answer.status}: {answer.text}.",
            "See why: sudo bookbrain-admin health; journalctl -u bookbrain -n 50",
        )
    return Check(
        "app",
        State.FAIL,
        f"It does not answer: {answer.text}.",
        "journalctl -u bookbrain -n 50, then: sudo systemctl restart bookbrain",
    )


def check_chroma(url: str, answers: bool) -> Check:
    if answers:
        return Check("Chroma", State.OK, f"it answers at {url}")
    return Check(
        "Chroma",
        State.FAIL,
        f"It does not answer at {url}: search is by keyword only.",
        "journalctl -u bookbrain-chroma -n 50, then: sudo systemctl restart bookbrain-chroma",
    )


def check_key(enabled: bool, model: str) -> Check:
    """The endpoint is not asked: that costs."""
    if enabled:
        return Check(
            "key",
            State.OK,
            f"set, for {model}; not tried, it costs: sudo bookbrain search --mode vector QUERY",
        )
    return Check(
        "key", State.OK, "none: search is by keyword. To set one: sudo bookbrain-admin key"
    )


def check_clock(text: str) -> list[Check]:
    """`text` is what `timedatectl show -p NTPSynchronized` prints."""
    if "NTPSynchronized=yes" in text:
        return [Check("clock", State.OK, "set by the network")]
    if "NTPSynchronized=no" in text:
        return [
            Check(
                "clock",
                State.WARN,
                "Nobody sets the clock; certificates and logins depend on it.",
                "sudo timedatectl set-ntp true",
            )
        ]
    return []

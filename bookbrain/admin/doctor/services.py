"""How the units are, and whether the application and Chroma answer."""

from collections.abc import Iterable, Sequence

from bookbrain.admin.asking import Answer
from bookbrain.admin.check import Check, State
from bookbrain.admin.units import Unit
from bookbrain.wording import fill

_MANY_RESTARTS = 3
_OURS = ("bookbrain", "caddy")


def check_units(units: Sequence[Unit]) -> list[Check]:
    """One check for each that does not run as it should, or one for all."""
    checks = [check for unit in units for check in _check_unit(unit)]
    names = ", ".join(unit.title for unit in units)
    return checks or [Check("service", State.OK, fill("all run: {names}", names=names))]


def _check_unit(unit: Unit) -> list[Check]:
    if unit.state == "not-found":
        return [
            Check(
                "service",
                State.FAIL,
                fill("systemd knows no {unit}.", unit=unit.title),
                "Run install.sh again.",
            )
        ]
    if not unit.runs:
        return [
            Check(
                "service",
                State.FAIL,
                fill("{unit} does not run: {state}.", unit=unit.title, state=unit.state),
                fill(
                    "journalctl -u {unit} -n 50, then: sudo systemctl restart {name}",
                    unit=unit.name,
                    name=unit.name,
                ),
            )
        ]
    if unit.restarts >= _MANY_RESTARTS:
        return [
            Check(
                "service",
                State.WARN,
                fill("{unit} came up again {count} times.", unit=unit.title, count=unit.restarts),
                fill("See why: journalctl -u {unit} -n 200", unit=unit.name),
            )
        ]
    return []


def check_failed(names: Iterable[str], judged: Iterable[str]) -> list[Check]:
    """Units that have failed, but for those that were `judged` already."""
    return [
        Check(
            "service",
            State.FAIL if name.startswith(_OURS) else State.WARN,
            fill("{unit} has failed.", unit=name),
            fill(
                "journalctl -u {unit} -n 50, then: sudo systemctl restart {name}",
                unit=name,
                name=name,
            ),
        )
        for name in sorted(set(names) - set(judged))
    ]


def check_hardening(loose: Iterable[str]) -> list[Check]:
    """`loose` are the services on which no hardening is in force."""
    return [
        Check(
            "service",
            State.FAIL,
            fill("{unit} runs without its hardening.", unit=name),
            "Run install.sh again, and restart that unit.",
        )
        for name in loose
    ]


def check_application(answer: Answer) -> Check:
    """`answer` is that of /healthz."""
    if answer.status == 200:
        return Check("app", State.OK, fill("it answers: {word}", word=answer.text))
    if answer.status:
        return Check(
            "app",
            State.FAIL,
            fill("It answers {status}: {word}.", status=answer.status, word=answer.text),
            "See why: sudo bookbrain-admin health; journalctl -u bookbrain -n 50",
        )
    return Check(
        "app",
        State.FAIL,
        fill("It does not answer: {reason}.", reason=answer.text),
        "journalctl -u bookbrain -n 50, then: sudo systemctl restart bookbrain",
    )


def check_chroma(url: str, answers: bool) -> Check:
    if answers:
        return Check("Chroma", State.OK, fill("it answers at {url}", url=url))
    return Check(
        "Chroma",
        State.FAIL,
        fill("It does not answer at {url}: search is by keyword only.", url=url),
        "journalctl -u bookbrain-chroma -n 50, then: sudo systemctl restart bookbrain-chroma",
    )


def check_key(enabled: bool, model: str) -> Check:
    """The endpoint is not asked: that costs."""
    if enabled:
        return Check(
            "key",
            State.OK,
            fill(
                "set, for {model}; not tried, it costs: sudo bookbrain search --mode vector QUERY",
                model=model,
            ),
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
